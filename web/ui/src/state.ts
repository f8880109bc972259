// What the page knows: signals that views read, kept by the fleet's connection.

import { computed, signal } from "@preact/signals";
import { api, whenUnauthorized } from "./api/client";
import { storedToken, storeToken } from "./api/token";
import type { ServerEvent, Session, Stream } from "./api/types";
import { abandonSilent, listen, retryNow } from "./links";
import { applyToFleet, type Fleet } from "./model/fleet";

/** Events are taken in together this often, so that a busy fleet costs a few renderings a second. */
const FLUSH_MS = 100;
/** A machine that has slept, or a network that has changed, leaves a connection that never says so. */
const SILENCE_MS = 45_000;

export const session = signal<Session | undefined>(undefined);
export const fleet = signal<Fleet>(new Map());
/** Whether a snapshot has come since the page was opened. */
export const fleetKnown = signal(false);
export const tokenWanted = signal<string | undefined>(undefined);
/** The time, once a second while the page is seen. */
export const now = signal(Date.now());
export const mayChange = computed(() => session.value?.access !== "read");

/** Gathers events and hands them on together. */
export function gather(take: (events: ServerEvent[]) => void): (event: ServerEvent) => void {
  let waiting: ServerEvent[] = [];
  return (event) => {
    waiting.push(event);
    if (waiting.length > 1) return;
    setTimeout(() => {
      const events = waiting;
      waiting = [];
      take(events);
    }, FLUSH_MS);
  };
}

let disconnect: () => void = () => {};

function connect(): void {
  disconnect();
  disconnect = listen({
    logs: "off",
    talks: () => [...fleet.peek().values()].some(talks),
    // The service may have been started anew, with other settings.
    onLive: () => void refreshSession(),
    onEvent: gather((batch) => {
      fleet.value = applyToFleet(fleet.value, batch);
      if (batch.some((event) => event.type === "snapshot")) fleetKnown.value = true;
    }),
  });
}

/** A stream that runs always has something to tell. */
export const talks = (stream: Stream | undefined): boolean => stream?.state === "running";

/** Takes in a stream as an answer tells of it, before its event comes. */
export function learn(stream: Stream): void {
  fleet.value = new Map(fleet.value).set(stream.streamId, stream);
}

function tick(): void {
  if (document.visibilityState !== "visible") return;
  now.value = Date.now();
  abandonSilent(SILENCE_MS);
}

async function refreshSession(): Promise<void> {
  try {
    session.value = await api.session();
    if (session.value.access === "none") tokenWanted.value ??= "";
  } catch {
    // The banner tells that the service cannot be reached.
  }
}

/** Takes the token if the service accepts it; says what is wrong otherwise. */
export async function signIn(token: string): Promise<string | undefined> {
  storeToken(token);
  try {
    const answer = await api.session();
    if (answer.access === "none") {
      storeToken(null);
      return "This token is not accepted";
    }
    session.value = answer;
    tokenWanted.value = undefined;
    connect();
    retryNow();
    return undefined;
  } catch {
    return "The service cannot be reached; try again";
  }
}

export function signOut(): void {
  storeToken(null);
  location.reload();
}

export async function begin(): Promise<void> {
  whenUnauthorized(() => {
    tokenWanted.value ??= storedToken() === null ? "" : "The token is no longer accepted";
  });
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
  await refreshSession();
  if (session.value?.access !== "none") connect();
}
