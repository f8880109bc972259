// What the page knows of the one stream that is looked at: its batches and its log, over a socket of its own.

import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { api } from "./api/client";
import type { Batch, Level, ServerEvent } from "./api/types";
import { listen } from "./links";
import { applyToBatches, merge } from "./model/batches";
import { LogBuffer } from "./model/logs";
import { fleet, gather, talks } from "./state";

const OLDER_PAGE = 500;
const LOG_HISTORY = 1000;

export class Detail {
  readonly batches: Signal<readonly Batch[]> = signal([]);
  readonly log = new LogBuffer();
  /** Counts up whenever the log has changed. */
  readonly logVersion = signal(0);
  readonly hasOlder = signal(false);
  /** The least level that the service is asked for. */
  readonly logLevel: Signal<Level>;
  private disconnect: () => void;
  private closed = false;

  constructor(readonly streamId: string) {
    this.logLevel = signal<Level>("info");
    this.disconnect = this.connect();
  }

  close(): void {
    this.closed = true;
    this.disconnect();
  }

  /** Asks the service for lines from this level on. */
  setLogLevel(level: Level): void {
    if (level === this.logLevel.value) return;
    this.logLevel.value = level;
    this.disconnect();
    this.disconnect = this.connect();
  }

  async loadOlder(): Promise<void> {
    const oldest = this.batches.value.at(-1)?.batch;
    const page = await api.batches(this.streamId, OLDER_PAGE, oldest);
    // What came live meanwhile is newer.
    this.batches.value = merge(page.batches, this.batches.value);
    this.hasOlder.value = page.nextBefore !== undefined;
  }

  private connect(): () => void {
    return listen({
      streamId: this.streamId,
      logs: this.logLevel.value,
      talks: () => talks(fleet.peek().get(this.streamId)),
      // Lines from before, and those that were missed while it was cut.
      onLive: () => void this.loadLog(),
      onEvent: gather((events) => this.take(events)),
    });
  }

  private take(events: ServerEvent[]): void {
    if (this.closed) return;
    const before = this.batches.value.length;
    this.batches.value = applyToBatches(this.batches.value, events, this.streamId);
    const snapshot = events.some((event) => event.type === "snapshot");
    if (snapshot && before === 0) this.hasOlder.value = (this.batches.value.at(-1)?.batch ?? 0) > 0;
    const lines = events.flatMap((event) => (event.type === "log" ? [event] : []));
    if (lines.length > 0) {
      this.log.push(lines);
      this.logVersion.value += 1;
    }
  }

  private async loadLog(): Promise<void> {
    try {
      const { entries } = await api.logs(this.streamId, LOG_HISTORY, this.logLevel.value);
      if (this.closed) return;
      this.log.fill(entries);
      this.logVersion.value += 1;
    } catch {
      // A stream without a log of its own yet: what comes live is shown.
    }
  }
}

const current = signal<Detail | undefined>(undefined);
export const detail: ReadonlySignal<Detail | undefined> = current;

/** Looks at this stream, or at none. */
export function lookAt(streamId: string | undefined): void {
  if (current.peek()?.streamId === streamId) return;
  current.peek()?.close();
  current.value = streamId === undefined ? undefined : new Detail(streamId);
}
