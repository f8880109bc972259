// What to take of a source that offers a choice, and what to say to its server.

import { useState } from "preact/hooks";
import type { VariantLimits } from "../../api/types";
import type { StreamForm } from "../../model/form";
import { LinesField, SelectField, TextField } from "../../parts/field";

export const SOURCE_FIELDS = ["variant", "audioLanguage", "sourceHeaders"];

export const STARTS = [
  { value: "live", text: "At the live edge" },
  { value: "window", text: "With the oldest that is listed" },
];

const VARIANTS = [
  { value: "highest", text: "The highest" },
  { value: "lowest", text: "The lowest" },
];

type SourceForm = Pick<StreamForm, "variant" | "audioLanguage" | "sourceHeaders">;

interface Props {
  form: SourceForm;
  error: (field: string) => string | undefined;
  leave?: (field: string) => () => void;
  onChange: (changes: Partial<SourceForm>, ...fields: string[]) => void;
  /** What changing a field of a running stream takes. */
  tags?: Record<keyof SourceForm, string>;
  headersHelp?: string;
  disabled?: boolean;
}

function limitsText(json: string): string {
  const { maxBandwidth, maxHeight } = JSON.parse(json) as VariantLimits;
  const parts = [
    maxBandwidth === undefined ? [] : [`${maxBandwidth / 1e6} Mbit/s`],
    maxHeight === undefined ? [] : [`${maxHeight} lines`],
  ];
  return `The highest up to ${parts.flat().join(" and ")}`;
}

export function SourceFields({
  form,
  error,
  leave = () => () => {},
  onChange,
  tags,
  headersHelp = "Optional, one a line: Name: value",
  disabled = false,
}: Props) {
  // Limits come by the API; the form keeps them.
  const [limits] = useState(form.variant.startsWith("{") ? form.variant : undefined);
  const variants =
    limits === undefined ? VARIANTS : [...VARIANTS, { value: limits, text: limitsText(limits) }];
  const tag = (field: keyof SourceForm) => (tags === undefined ? {} : { tag: tags[field] });
  return (
    <div class="source-fields">
      <div class="fields">
        <SelectField
          label="Quality"
          {...tag("variant")}
          name="variant"
          value={form.variant}
          options={variants}
          disabled={disabled}
          onValue={(variant) => onChange({ variant }, "variant")}
          help="Of a multivariant playlist, by bandwidth"
          error={error("variant")}
        />
        <TextField
          label="Language of the sound"
          {...tag("audioLanguage")}
          disabled={disabled}
          name="audioLanguage"
          value={form.audioLanguage}
          onValue={(audioLanguage) => onChange({ audioLanguage }, "audioLanguage")}
          onLeave={leave("audioLanguage")}
          placeholder="en"
          help="Optional: otherwise the playlist's default"
          error={error("audioLanguage")}
          mono
        />
      </div>
      <LinesField
        label="Headers"
        {...tag("sourceHeaders")}
        name="sourceHeaders"
        value={form.sourceHeaders}
        onValue={(sourceHeaders) => onChange({ sourceHeaders }, "sourceHeaders")}
        onLeave={leave("sourceHeaders")}
        help={headersHelp}
        error={error("sourceHeaders")}
        disabled={disabled}
      />
    </div>
  );
}
