// The fields of one rendition: a processor, a language, a fallback, outputs.

import { type RenditionForm, urlLines } from "../../model/form";
import { Check, LinesField, SelectField, TextField } from "../../parts/field";
import { Icon } from "../../parts/icon";

export const FALLBACKS = [
  { value: "original", text: "The original sound" },
  { value: "silence", text: "Silence" },
  { value: "drop", text: "No sound at all" },
];

/** Of the servers pushed to: many that take H.265 do not tell. */
export const TAKES_H265 = "These servers take H.265 (Enhanced RTMP), even where they do not say so";

interface Props {
  index: number;
  rendition: RenditionForm;
  alone: boolean;
  error: (field: string) => string | undefined;
  leave: (field: string) => () => void;
  onChange: (changed: RenditionForm, field: string) => void;
  onRemove: () => void;
}

export function RenditionFields({ index, rendition, alone, error, leave, onChange, onRemove }: Props) {
  const name = (field: string) => `renditions[${index}].${field}`;
  const set = (field: keyof RenditionForm) => (value: string) =>
    onChange({ ...rendition, [field]: value }, name(field));
  const outputs = urlLines(rendition.rtmpUrls);
  const outputErrors = outputs
    .map((_, number) => error(name(`outputs[${number}].url`)))
    .filter((one) => one !== undefined);
  const title = alone ? "What changes the sound" : `Language ${index + 1}`;
  return (
    <section class="card" aria-label={title}>
      <div class="card-head">
        <h2>{title}</h2>
        {!alone && (
          <button
            type="button"
            class="ghost square"
            title="Remove"
            aria-label={`Remove language ${index + 1}`}
            onClick={onRemove}
          >
            <Icon name="trash" />
          </button>
        )}
      </div>
      <TextField
        label="Processor"
        name={name("audioProcessorUrl")}
        value={rendition.audioProcessorUrl}
        onValue={set("audioProcessorUrl")}
        onLeave={leave(name("audioProcessorUrl"))}
        placeholder="ws://localhost:5000"
        help="The Socket.IO server that the sound is sent to; empty: the one of the configuration"
        error={error(name("audioProcessorUrl"))}
        mono
      />
      <div class="fields">
        <TextField
          label="Track name"
          name={name("name")}
          value={rendition.name}
          onValue={set("name")}
          onLeave={leave(name("name"))}
          help="As listeners see it"
          error={error(name("name"))}
          mono
        />
        <TextField
          label="Language"
          name={name("language")}
          value={rendition.language}
          onValue={set("language")}
          onLeave={leave(name("language"))}
          placeholder="de"
          help="Optional: de, pt-BR …"
          error={error(name("language"))}
          mono
        />
        <SelectField
          label="If it is late or wrong"
          name={name("fallback")}
          value={rendition.fallback}
          options={FALLBACKS}
          onValue={set("fallback")}
          help="What goes on air instead"
          error={error(name("fallback"))}
        />
      </div>
      <LinesField
        label="Push to RTMP"
        name={name("outputs[0].url")}
        value={rendition.rtmpUrls}
        onValue={set("rtmpUrls")}
        onLeave={leave(name("outputs[0].url"))}
        placeholder="rtmp://localhost/live/{streamId}"
        help="Optional, one address a line: rtmp://host/live/{streamId}"
        error={outputErrors.length > 0 ? outputErrors.join("; ") : error(name("outputs"))}
      />
      {outputs.length > 0 && (
        <Check
          name={name("takesH265")}
          checked={rendition.takesH265}
          onValue={(takesH265) => onChange({ ...rendition, takesH265 }, name("takesH265"))}
        >
          {TAKES_H265}
        </Check>
      )}
    </section>
  );
}
