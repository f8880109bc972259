// Webhooks: where the service tells others what happens.

import "../styles/forms.css";
import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import { ApiError, sentence } from "../api/problem";
import type { Webhook, WebhookTest } from "../api/types";
import { type Errors, errorsByField } from "../model/form";
import { confirm } from "../parts/dialog";
import { Check, SelectField, TextField } from "../parts/field";
import { Icon } from "../parts/icon";
import { ToneIcon } from "../parts/status";
import { tell } from "../parts/toast";
import { fleet, mayChange } from "../state";

const EVENTS = [
  ["stream.state", "A stream changes its state"],
  ["fallback.started", "A fallback begins"],
  ["fallback.ended", "A fallback ends"],
  ["output.up", "An output comes up"],
  ["output.down", "An output goes down"],
] as const;

export function Webhooks() {
  const [hooks, setHooks] = useState<Webhook[]>();
  const [error, setError] = useState<string>();
  const load = () => api.webhooks().then(setHooks, (thrown: unknown) => setError(sentence(thrown)));
  useEffect(() => void load(), []);
  return (
    <div class="webhooks">
      <div class="page-head">
        <h1>Webhooks</h1>
      </div>
      {error !== undefined && <p class="card error">{error}</p>}
      {hooks !== undefined && hooks.length === 0 && (
        <p class="card dim">
          There is none yet. A webhook is an address that the service tells what happens, signed and with
          retries.
        </p>
      )}
      {hooks?.map((hook) => (
        <Hook key={hook.id} hook={hook} onRemoved={load} />
      ))}
      {mayChange.value && <Add onAdded={load} />}
    </div>
  );
}

function Hook({ hook, onRemoved }: { hook: Webhook; onRemoved: () => void }) {
  const [test, setTest] = useState<WebhookTest | "running">();
  const run = async () => {
    setTest("running");
    setTest(
      await api
        .testWebhook(hook.id)
        .catch((error: unknown) => ({ delivered: false, error: sentence(error) })),
    );
  };
  const remove = () =>
    confirm({
      title: "Delete this webhook?",
      text: `${hook.url} is told nothing any more.`,
      action: "Delete",
      danger: true,
      run: async () => {
        await api.removeWebhook(hook.id);
        onRemoved();
      },
    });
  const told = hook.events ?? [];
  const all = told.length === 0 || EVENTS.every(([name]) => told.includes(name));
  const events = all ? "all events" : told.join(", ");
  return (
    <section class="card hook" aria-label={hook.url}>
      <div class="hook-what">
        <p class="mono hook-url">{hook.url}</p>
        <p class="dim">
          {hook.streamId ? `Stream ${hook.streamId}` : "All streams"}, {events}
        </p>
        <p role="status">
          {test !== undefined && test !== "running" && (
            <span class="hook-result">
              <ToneIcon tone={test.delivered ? "good" : "bad"} />
              {test.delivered
                ? `Delivered${test.status === undefined ? "" : `, answered ${test.status}`}`
                : `Not delivered: ${test.error ?? `answered ${test.status}`}`}
            </span>
          )}
        </p>
      </div>
      {mayChange.value && (
        <div class="buttons">
          <button type="button" onClick={run} disabled={test === "running"}>
            {test === "running" ? "Sending …" : "Send a test"}
          </button>
          <button
            type="button"
            class="ghost square"
            aria-label={`Delete ${hook.url}`}
            title="Delete"
            onClick={remove}
          >
            <Icon name="trash" />
          </button>
        </div>
      )}
    </section>
  );
}

function Add({ onAdded }: { onAdded: () => void }) {
  const [url, setUrl] = useState("");
  const [secret, setSecret] = useState("");
  const [streamId, setStreamId] = useState("");
  const [events, setEvents] = useState<ReadonlySet<string>>(new Set(EVENTS.map(([name]) => name)));
  const [errors, setErrors] = useState<Errors>({});
  const [busy, setBusy] = useState(false);
  const streams = [
    { value: "", text: "All streams" },
    ...[...fleet.value.keys()].sort().map((id) => ({ value: id, text: id })),
  ];
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!/^https?:\/\/[^/\s]+/i.test(url))
      return setErrors({ url: "Must be a URL that begins with http:// or https://" });
    if (events.size === 0) return setErrors({ events: "Choose at least one" });
    setBusy(true);
    setErrors({});
    try {
      const all = events.size === EVENTS.length;
      await api.addWebhook({
        url,
        ...(secret === "" ? {} : { secret }),
        ...(all ? {} : { events: [...events] }),
        ...(streamId === "" ? {} : { streamId }),
      });
      tell("good", "The webhook has been added");
      setUrl("");
      setSecret("");
      onAdded();
    } catch (thrown) {
      const found =
        thrown instanceof ApiError
          ? errorsByField(thrown.fields, (field) => ["url", "secret", "events", "streamId"].includes(field))
          : {};
      setErrors(Object.keys(found).length > 0 ? found : { "": sentence(thrown) });
    }
    setBusy(false);
  };
  const toggle = (name: string, on: boolean) =>
    setEvents(new Set(EVENTS.map(([one]) => one).filter((one) => (one === name ? on : events.has(one)))));
  return (
    <form class="card" onSubmit={submit} noValidate aria-label="Add a webhook">
      <h2>Add a webhook</h2>
      <TextField
        label="Address"
        name="url"
        value={url}
        onValue={setUrl}
        placeholder="https://example.com/hook"
        error={errors["url"]}
        mono
      />
      <div class="fields">
        <TextField
          label="Secret"
          name="secret"
          value={secret}
          onValue={setSecret}
          help="Optional: signs what is sent (HMAC-SHA256)"
          error={errors["secret"]}
          secret
          mono
        />
        <SelectField
          label="Streams"
          name="streamId"
          value={streamId}
          options={streams}
          onValue={setStreamId}
          error={errors["streamId"]}
        />
      </div>
      <fieldset class="choices">
        <legend>When</legend>
        {EVENTS.map(([name, text]) => (
          <Check key={name} name={name} checked={events.has(name)} onValue={(on) => toggle(name, on)}>
            {text}
          </Check>
        ))}
        {errors["events"] !== undefined && <p class="error">{errors["events"]}</p>}
      </fieldset>
      {errors[""] !== undefined && (
        <p class="error" role="alert">
          {errors[""]}
        </p>
      )}
      <div class="buttons end">
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "Adding …" : "Add"}
        </button>
      </div>
    </form>
  );
}
