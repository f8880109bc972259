// The form of a new stream. What it needs stands first; the rest has defaults.

import "../../styles/forms.css";
import { useRef, useState } from "preact/hooks";
import { api } from "../../api/client";
import { ApiError, sentence } from "../../api/problem";
import {
  check,
  emptyForm,
  emptyRendition,
  type Errors,
  errorsByField,
  requestBody,
  type StreamForm,
  suggestId,
} from "../../model/form";
import { Check, SelectField, TextField } from "../../parts/field";
import { Icon } from "../../parts/icon";
import { tell } from "../../parts/toast";
import { go, streamLink } from "../../route";
import { fleet, learn, session } from "../../state";
import { RenditionFields } from "./rendition";
import { SOURCE_FIELDS, SourceFields, STARTS } from "./source";

export function Create() {
  // The defaults may come after the page; a form that is being filled in stays as it is.
  return session.value === undefined ? <div class="empty" aria-busy="true" /> : <Form />;
}

function Form() {
  const defaults = session.value?.defaults;
  const [form, setForm] = useState<StreamForm>(() => emptyForm(defaults));
  const [idTouched, setIdTouched] = useState(false);
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [tried, setTried] = useState(false);
  const [fromApi, setFromApi] = useState<Errors>({});
  const [busy, setBusy] = useState(false);
  const element = useRef<HTMLFormElement>(null);

  const own = check(form);
  // Nobody likes to be told off for a field that they have not come to yet.
  const error = (field: string) => (tried || left.has(field) ? own[field] : undefined) ?? fromApi[field];
  const change = (changes: Partial<StreamForm>, ...fields: string[]) => {
    setForm({ ...form, ...changes });
    if (fields.some((field) => field in fromApi))
      setFromApi(Object.fromEntries(Object.entries(fromApi).filter(([name]) => !fields.includes(name))));
  };
  const leave = (field: string) => () => setLeft(new Set([...left, field]));

  const setSource = (sourceUrl: string) => {
    const id = idTouched ? {} : { streamId: suggestId(sourceUrl, (taken) => fleet.value.has(taken)) };
    change({ sourceUrl, ...id }, "sourceUrl");
  };

  const toFirstError = () =>
    setTimeout(() => element.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());

  const submit = async (event: Event) => {
    event.preventDefault();
    setTried(true);
    if (Object.keys(own).length > 0) return toFirstError();
    setBusy(true);
    setFromApi({});
    try {
      const created = await api.create(requestBody(form));
      // The answer is the id alone where the stream could not be shown at once.
      if (created.settings !== undefined) learn(created);
      tell("good", `${form.streamId} has been created`);
      go(streamLink(form.streamId));
    } catch (thrown) {
      const fields = thrown instanceof ApiError ? thrown.fields : [];
      const names = new Set(
        [...(element.current?.querySelectorAll("[name]") ?? [])].map((one) => one.getAttribute("name")),
      );
      const errors = errorsByField(fields, (field) => names.has(field));
      // An id that is taken is a conflict without a field.
      if (thrown instanceof ApiError && thrown.status === 409) errors["streamId"] = sentence(thrown);
      else if (Object.keys(errors).length === 0) errors[""] = sentence(thrown);
      setFromApi(errors);
      setBusy(false);
      toFirstError();
    }
    return undefined;
  };

  const seconds = Number(form.bufferDuration) + Number(form.delay);
  return (
    <form class="create" ref={element} onSubmit={submit} noValidate aria-label="New stream">
      <div class="page-head">
        <h1>New stream</h1>
      </div>
      <section class="card" aria-label="Source">
        <h2>Where it comes from</h2>
        <TextField
          label="Source"
          name="sourceUrl"
          value={form.sourceUrl}
          onValue={setSource}
          onLeave={leave("sourceUrl")}
          placeholder="https://example.com/live/index.m3u8"
          help="The address of a live HLS playlist"
          error={error("sourceUrl")}
          mono
        />
        <TextField
          label="Name"
          name="streamId"
          value={form.streamId}
          onValue={(streamId) => {
            setIdTouched(true);
            change({ streamId }, "streamId");
          }}
          onLeave={leave("streamId")}
          placeholder="news-1"
          help="Letters, digits, - and _; it stands in the addresses of the stream"
          error={error("streamId")}
          mono
        />
        <details open={SOURCE_FIELDS.some((field) => error(field) !== undefined)}>
          <summary>Several qualities or languages, or headers</summary>
          <SourceFields form={form} error={error} leave={leave} onChange={change} />
        </details>
      </section>
      {form.renditions.map((rendition, index) => (
        <RenditionFields
          key={index}
          index={index}
          rendition={rendition}
          alone={form.renditions.length === 1}
          error={error}
          leave={leave}
          onChange={(changed, field) =>
            change({ renditions: form.renditions.map((one, at) => (at === index ? changed : one)) }, field)
          }
          onRemove={() => change({ renditions: form.renditions.filter((_, at) => at !== index) })}
        />
      ))}
      <button
        type="button"
        class="add"
        onClick={() =>
          change({
            renditions: [
              ...form.renditions,
              emptyRendition(defaults, `language-${form.renditions.length + 1}`),
            ],
          })
        }
      >
        <Icon name="plus" /> Add a language
      </button>
      <details
        class="card"
        open={["bufferDuration", "delay", "maxConcurrentBatches", "start", "hlsOutput"].some(
          (field) => error(field) !== undefined,
        )}
      >
        <summary>
          <h2>Timing and outputs</h2>
          <span class="dim">
            {form.bufferDuration} s buffer, {form.delay} s delay{form.hlsOutput ? ", HLS on" : ""}
          </span>
        </summary>
        <div class="fields">
          <TextField
            label="Buffer"
            name="bufferDuration"
            value={form.bufferDuration}
            onValue={(bufferDuration) => change({ bufferDuration }, "bufferDuration")}
            onLeave={leave("bufferDuration")}
            help="How much goes to the processor at a time, 2 to 120"
            suffix="s"
            error={error("bufferDuration")}
            numeric
          />
          <TextField
            label="Delay"
            name="delay"
            value={form.delay}
            onValue={(delay) => change({ delay }, "delay")}
            onLeave={leave("delay")}
            help="What a processor has at least, 1 to 300"
            suffix="s"
            error={error("delay")}
            numeric
          />
          <TextField
            label="Batches at once"
            name="maxConcurrentBatches"
            value={form.maxConcurrentBatches}
            onValue={(maxConcurrentBatches) => change({ maxConcurrentBatches }, "maxConcurrentBatches")}
            onLeave={leave("maxConcurrentBatches")}
            help="With one processor, 1 to 64"
            error={error("maxConcurrentBatches")}
            numeric
          />
          <SelectField
            label="Begin"
            name="start"
            value={form.start}
            options={STARTS}
            onValue={(start) => change({ start }, "start")}
            error={error("start")}
          />
        </div>
        <Check
          name="hlsOutput"
          checked={form.hlsOutput}
          onValue={(hlsOutput) => change({ hlsOutput }, "hlsOutput")}
        >
          HLS output: watch it here, and in any player
        </Check>
        {error("hlsOutput") !== undefined && <p class="error">{error("hlsOutput")}</p>}
      </details>
      {error("") !== undefined && (
        <p class="error card" role="alert">
          {error("")}
        </p>
      )}
      <div class="create-foot">
        <Check name="autostart" checked={form.autostart} onValue={(autostart) => change({ autostart })}>
          Start it at once
        </Check>
        <span class="dim create-hint">
          {Number.isFinite(seconds) && form.autostart
            ? `It begins to play about ${Math.ceil(seconds + 6)} s after that.`
            : ""}
        </span>
        <div class="buttons">
          <a class="button" href="#/">
            Cancel
          </a>
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "Creating …" : form.autostart ? "Create and start" : "Create"}
          </button>
        </div>
      </div>
    </form>
  );
}
