// What to take of a source that offers a choice, and what to say to its server.

import type { StreamForm } from "../../model/form";
import { Field, SelectField, TextField } from "../../parts/field";

export const SOURCE_FIELDS = ["variant", "audioLanguage", "sourceHeaders"];

const VARIANTS = [
  { value: "highest", text: "The highest" },
  { value: "lowest", text: "The lowest" },
];

interface Props {
  form: StreamForm;
  error: (field: string) => string | undefined;
  leave: (field: string) => () => void;
  onChange: (changes: Partial<StreamForm>, ...fields: string[]) => void;
}

export function SourceFields({ form, error, leave, onChange }: Props) {
  return (
    <div class="source-fields">
      <div class="fields">
        <SelectField
          label="Quality"
          name="variant"
          value={form.variant}
          options={VARIANTS}
          onValue={(variant) => onChange({ variant }, "variant")}
          help="Of a multivariant playlist, by bandwidth"
          error={error("variant")}
        />
        <TextField
          label="Language of the sound"
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
      <Field
        label="Headers"
        name="sourceHeaders"
        help="Optional, one a line: Name: value"
        error={error("sourceHeaders")}
      >
        {(bind) => (
          <textarea
            {...bind}
            class="mono"
            rows={Math.max(1, form.sourceHeaders.split("\n").length)}
            value={form.sourceHeaders}
            spellcheck={false}
            onInput={(event) => onChange({ sourceHeaders: event.currentTarget.value }, "sourceHeaders")}
            onBlur={leave("sourceHeaders")}
          />
        )}
      </Field>
    </div>
  );
}
