// The events socket: dials for ever with backoff, says what state it is in, hands on what comes.

import { storedToken } from "./token";
import type { Level, ServerEvent } from "./types";

const PROTOCOL = "overdub.v1";
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** A socket that opens but never brings its snapshot is as good as none. */
const SNAPSHOT_DEADLINE_MS = 15_000;

export type Link =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "lost"; reason: string | undefined; retryAt: number };

export interface EventsOptions {
  streamId?: string;
  logs: Level | "off";
  onEvent: (event: ServerEvent) => void;
  onLink: (link: Link) => void;
}

/** Milliseconds before the next try: doubling, with up to a quarter more so that pages do not come in step. */
export function backoffMs(failures: number, random: number): number {
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 10));
  return Math.round(wait * (1 + random / 4));
}

export function eventsUrl(base: string, options: Pick<EventsOptions, "streamId" | "logs">): string {
  const url = new URL("/api/events", base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (options.streamId !== undefined) url.searchParams.set("streamId", options.streamId);
  url.searchParams.set("logs", options.logs);
  return url.href;
}

export class Events {
  private socket: WebSocket | undefined;
  private timer: number | undefined;
  private failures = 0;
  private reason: string | undefined;
  private closed = false;
  private heardAt = Date.now();

  constructor(private readonly options: EventsOptions) {
    addEventListener("online", this.retry);
    addEventListener("offline", this.drop);
    this.dial();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.retry);
    removeEventListener("offline", this.drop);
    this.socket?.close();
  }

  /** Dials at once instead of waiting. */
  readonly retry = (): void => {
    if (this.closed || this.socket !== undefined) return;
    clearTimeout(this.timer);
    this.dial();
  };

  private readonly drop = (): void => this.abandon("this device is offline");

  /** Gives up a connection that has brought nothing for so long although there was something to tell. */
  abandonIfSilent(limitMs: number): void {
    if (Date.now() - this.heardAt > limitMs) this.abandon("the service has gone silent");
  }

  /** A dead connection would take its time to close: it is not waited for. */
  private abandon(reason: string): void {
    const { socket } = this;
    if (socket === undefined) return;
    this.socket = undefined;
    socket.onmessage = null;
    socket.close();
    this.lost(reason);
  }

  private dial(): void {
    this.options.onLink({ state: "connecting" });
    const token = storedToken();
    const protocols = token === null ? [PROTOCOL] : [PROTOCOL, `bearer.${token}`];
    let socket: WebSocket;
    try {
      socket = new WebSocket(eventsUrl(location.href, this.options), protocols);
    } catch {
      this.lost("the token has characters that a browser cannot send");
      return;
    }
    this.socket = socket;
    this.heardAt = Date.now();
    this.timer = window.setTimeout(() => socket.close(), SNAPSHOT_DEADLINE_MS);
    socket.onmessage = (message) => this.receive(message);
    socket.onclose = (event) => this.ended(socket, event);
  }

  private receive(message: MessageEvent<unknown>): void {
    this.heardAt = Date.now();
    if (typeof message.data !== "string") return;
    const event = JSON.parse(message.data) as ServerEvent;
    if (event.type === "closing") this.reason = event.reason;
    if (event.type === "snapshot") {
      clearTimeout(this.timer);
      this.failures = 0;
      this.reason = undefined;
      this.options.onLink({ state: "live" });
    }
    this.options.onEvent(event);
  }

  private ended(socket: WebSocket, event: CloseEvent): void {
    if (this.socket !== socket) return;
    this.socket = undefined;
    if (!this.closed) this.lost(this.reason ?? (event.reason || undefined));
  }

  private lost(reason: string | undefined): void {
    clearTimeout(this.timer);
    const wait = backoffMs(this.failures, Math.random());
    this.failures += 1;
    this.options.onLink({ state: "lost", reason, retryAt: Date.now() + wait });
    this.timer = window.setTimeout(() => this.dial(), wait);
  }
}
