// The stream's settings: what can change live changes at once, the rest with a restart that is asked for.

import "../../styles/forms.css";
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import { ApiError, sentence } from "../../api/problem";
import type { Stream } from "../../api/types";
import type { Errors } from "../../model/form";
import { errorsByField, urlLines } from "../../model/form";
import {
  changes,
  checkDraft,
  type Draft,
  draftOf,
  type Edit,
  follow,
  type RenditionDraft,
} from "../../model/settings";
import { confirm } from "../../parts/dialog";
import { Check, LinesField, SelectField, TextField } from "../../parts/field";
import { tell } from "../../parts/toast";
import { learn, mayChange } from "../../state";
import { isActive } from "../actions";
import { FALLBACKS, TAKES_H265 } from "../create/rendition";
import { SOURCE_FIELDS, SourceFields, STARTS } from "../create/source";

/** What the service says of a change while the stream runs. */
const LIVE = "at once";
const RESTART = "with a restart";
const FIELDS = [
  "sourceUrl",
  ...SOURCE_FIELDS,
  "bufferDuration",
  "delay",
  "maxConcurrentBatches",
  "hlsOutput",
  "start",
];

export function Settings({ stream }: { stream: Stream }) {
  const id = stream.streamId;
  const current = draftOf(stream.settings);
  const [edit, setEdit] = useState<Edit>({ draft: current, before: current });
  const [fromApi, setFromApi] = useState<Errors>({});
  const [busy, setBusy] = useState(false);
  const { draft, before } = follow(edit, current);
  const own = checkDraft({ draft, before });
  const body = changes({ draft, before });
  const disabled = !mayChange.value || busy;
  const error = (field: string) => own[field] ?? fromApi[field];
  const change = (part: Partial<Draft>) => {
    setEdit({ draft: { ...draft, ...part }, before });
    setFromApi({});
  };
  const text = (field: "sourceUrl" | "bufferDuration" | "delay" | "maxConcurrentBatches") => ({
    name: field,
    value: draft[field],
    onValue: (value: string) => change({ [field]: value }),
    error: error(field),
    disabled,
    tag: field === "maxConcurrentBatches" ? LIVE : RESTART,
  });

  const apply = async (patch: Record<string, unknown>, restart: boolean) => {
    const answer = await api.patch(id, patch, restart);
    learn(answer.stream);
    const changed = draftOf(answer.stream.settings);
    setEdit({ draft: changed, before: changed });
    tell("good", `Changed: ${Object.keys(answer.changed).join(", ")}`);
  };
  const withRestart = (patch: Record<string, unknown>, fields: string[]) =>
    confirm({
      title: `Restart ${id} with the changes?`,
      text: `${fields.length > 0 ? fields.join(", ") : "These settings"} cannot change while it runs: its outputs end and begin again, and viewers see a gap of the buffer and the delay.`,
      action: "Change and restart",
      run: () => apply(patch, true),
    });
  const submit = async (event: Event) => {
    event.preventDefault();
    if (body === undefined || Object.keys(own).length > 0) return;
    setBusy(true);
    setFromApi({});
    try {
      await apply(body, false);
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.status === 409 && isActive(stream))
        withRestart(body, thrown.restart);
      else {
        const errors =
          thrown instanceof ApiError
            ? errorsByField(
                thrown.fields,
                (field) => FIELDS.includes(field) || field.startsWith("renditions["),
              )
            : {};
        setFromApi(Object.keys(errors).length > 0 ? errors : { "": sentence(thrown) });
      }
    }
    setBusy(false);
  };

  return (
    <form class="settings" onSubmit={submit} noValidate aria-label="Settings">
      <section class="card" aria-labelledby="timing">
        <h2 id="timing">Source and timing</h2>
        <TextField
          label="Source"
          {...text("sourceUrl")}
          mono
          help="Credentials and query values are not shown"
        />
        <SourceFields
          form={draft}
          error={error}
          onChange={change}
          tags={{ variant: RESTART, audioLanguage: RESTART, sourceHeaders: LIVE }}
          headersHelp="One a line: Name: value. Values are not shown; one left as *** stays"
          disabled={disabled}
        />
        <div class="fields">
          <TextField label="Buffer" {...text("bufferDuration")} suffix="s" numeric help="2 to 120" />
          <TextField label="Delay" {...text("delay")} suffix="s" numeric help="1 to 300" />
          <TextField label="Batches at once" {...text("maxConcurrentBatches")} numeric help="1 to 64" />
          <SelectField
            label="Begin"
            tag={LIVE}
            name="start"
            value={draft.start}
            options={STARTS}
            onValue={(start) => change({ start })}
            error={error("start")}
            disabled={disabled}
          />
        </div>
        <Check
          name="hlsOutput"
          checked={draft.hlsOutput}
          onValue={(hlsOutput) => change({ hlsOutput })}
          disabled={disabled}
        >
          HLS output <span class="tag">{RESTART}</span>
        </Check>
      </section>
      {draft.renditions.map((rendition, index) => (
        <RenditionSettings
          key={rendition.name}
          rendition={rendition}
          at={`renditions[${index}]`}
          error={error}
          disabled={disabled}
          onChange={(changed) =>
            change({ renditions: draft.renditions.map((one, place) => (place === index ? changed : one)) })
          }
        />
      ))}
      {fromApi[""] !== undefined && (
        <p class="card error" role="alert">
          {fromApi[""]}
        </p>
      )}
      {mayChange.value && (
        <div class="create-foot">
          <span class="dim">
            {body === undefined ? "Nothing has been changed." : `To change: ${Object.keys(body).join(", ")}`}
          </span>
          <div class="buttons">
            <button type="button" disabled={body === undefined || busy} onClick={() => change(current)}>
              Undo
            </button>
            <button
              type="submit"
              class="primary"
              disabled={body === undefined || busy || Object.keys(own).length > 0}
            >
              {busy ? "Changing …" : "Change"}
            </button>
          </div>
        </div>
      )}
    </form>
  );
}

interface RenditionProps {
  rendition: RenditionDraft;
  at: string;
  error: (field: string) => string | undefined;
  disabled: boolean;
  onChange: (changed: RenditionDraft) => void;
}

function RenditionSettings({ rendition, at, error, disabled, onChange }: RenditionProps) {
  const outputsError = error(`${at}.outputs`) ?? error(`${at}.outputs[0].url`);
  return (
    <section class="card" aria-label={`Rendition ${rendition.name}`}>
      <h2>
        Rendition <span class="mono">{rendition.name}</span>
      </h2>
      <TextField
        label="Processor"
        tag={LIVE}
        name={`${at}.audioProcessorUrl`}
        value={rendition.audioProcessorUrl}
        onValue={(audioProcessorUrl) => onChange({ ...rendition, audioProcessorUrl })}
        error={error(`${at}.audioProcessorUrl`)}
        disabled={disabled}
        mono
      />
      <div class="fields">
        <TextField
          label="Language"
          tag={RESTART}
          name={`${at}.language`}
          value={rendition.language}
          onValue={(language) => onChange({ ...rendition, language })}
          error={error(`${at}.language`)}
          disabled={disabled}
          mono
        />
        <SelectField
          label="If it is late or wrong"
          tag={LIVE}
          name={`${at}.fallback`}
          value={rendition.fallback}
          options={FALLBACKS}
          onValue={(fallback) => onChange({ ...rendition, fallback })}
          error={error(`${at}.fallback`)}
          disabled={disabled}
        />
      </div>
      <LinesField
        label="Push to RTMP"
        tag={LIVE}
        name={`${at}.outputs`}
        value={rendition.rtmpUrls}
        onValue={(rtmpUrls) => onChange({ ...rendition, rtmpUrls })}
        help="One address a line; keys are not shown. Another number of them needs a restart"
        error={outputsError}
        disabled={disabled}
      />
      {urlLines(rendition.rtmpUrls).length > 0 && (
        <Check
          name={`${at}.takesH265`}
          checked={rendition.takesH265}
          onValue={(takesH265) => onChange({ ...rendition, takesH265 })}
          disabled={disabled}
        >
          {TAKES_H265}
        </Check>
      )}
    </section>
  );
}
