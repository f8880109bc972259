// Calls of the API. Each answers what was asked for or throws an ApiError.

import { ApiError, problemFrom } from "./problem";
import { storedToken } from "./token";
import type { Batch, Level, LogEntry, Session, Storage, Stream, Webhook, WebhookTest } from "./types";

/** How long an answer may take; stopping drains, which takes a while. */
const DEADLINE_MS = 60_000;

let onUnauthorized: () => void = () => {};

/** Is called whenever the API wants another token. */
export function whenUnauthorized(call: () => void): void {
  onUnauthorized = call;
}

export async function send(method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  const token = storedToken();
  if (token !== null) headers["Authorization"] = `Bearer ${token}`;
  const init: RequestInit = { method, headers, signal: AbortSignal.timeout(DEADLINE_MS), cache: "no-store" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    const timedOut = cause instanceof DOMException && cause.name === "TimeoutError";
    throw new ApiError(0, timedOut ? "the service did not answer in time" : "the service cannot be reached");
  }
  if (response.ok) return response;
  if (response.status === 401) onUnauthorized();
  throw problemFrom(response.status, await response.json().catch(() => null));
}

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await send(method, path, body);
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

const stream = (id: string) => `/api/streams/${encodeURIComponent(id)}`;

export const api = {
  session: () => json<Session>("GET", "/api/session"),
  streams: (id?: string) => json<unknown>("GET", id === undefined ? "/api/streams" : stream(id)),
  create: (body: unknown) => json<Stream>("POST", "/api/streams", body),
  patch: (id: string, body: unknown, restart: boolean) =>
    json<{ stream: Stream; changed: Record<string, [unknown, unknown]> }>(
      "PATCH",
      `${stream(id)}${restart ? "?restart=true" : ""}`,
      body,
    ),
  act: (id: string, action: "start" | "stop" | "restart") =>
    json<unknown>("POST", `${stream(id)}/${action}`, {}),
  remove: (id: string, purge: boolean) =>
    json<unknown>("DELETE", `${stream(id)}${purge ? "?purge=true" : ""}`),
  batches: (id: string, limit: number, before?: number) =>
    json<{ batches: Batch[]; nextBefore?: number }>(
      "GET",
      `${stream(id)}/batches?limit=${limit}${before === undefined ? "" : `&before=${before}`}`,
    ),
  logs: (id: string, limit: number, level: Level) =>
    json<{ entries: LogEntry[] }>("GET", `${stream(id)}/logs?limit=${limit}&level=${level}`),
  storage: (id: string) => json<Storage>("GET", `/api/storage/stats?streamId=${encodeURIComponent(id)}`),
  clean: (id: string, keepLast: number) =>
    json<{ removedBatches: number; freedBytes: number }>("POST", "/api/storage/clean", {
      streamId: id,
      keepLast,
    }),
  audio: async (id: string, batch: number, track: string, rendition: string): Promise<ArrayBuffer> => {
    const query = new URLSearchParams({ track, rendition });
    return (await send("GET", `${stream(id)}/batches/${batch}/audio?${query}`)).arrayBuffer();
  },
  webhooks: async (): Promise<Webhook[]> => {
    const answer = await json<Webhook[] | { webhooks: Webhook[] }>("GET", "/api/webhooks");
    return Array.isArray(answer) ? answer : answer.webhooks;
  },
  addWebhook: (body: unknown) => json<Webhook>("POST", "/api/webhooks", body),
  removeWebhook: (id: string) => json<unknown>("DELETE", `/api/webhooks/${encodeURIComponent(id)}`),
  testWebhook: (id: string) => json<WebhookTest>("POST", `/api/webhooks/${encodeURIComponent(id)}/test`, {}),
};
