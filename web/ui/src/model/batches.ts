// A stream's batches, newest first, and what the waterfall draws of each.

import type { Batch, BatchRendition, ServerEvent } from "../api/types";

/** Most batches that are kept. */
export const MOST_BATCHES = 2000;

/** The batches after the events of this stream; the same array if they change nothing. */
export function applyToBatches(
  batches: readonly Batch[],
  events: readonly ServerEvent[],
  streamId: string,
): readonly Batch[] {
  let next: Batch[] | undefined;
  for (const event of events) {
    if (event.type === "snapshot") next = merge(next ?? batches, event.batches?.[streamId] ?? []);
    else if (event.type === "batch" && event.streamId === streamId)
      next = put(next ?? [...batches], event.batch);
  }
  return next ?? batches;
}

/** Puts one batch in its place; nearly always that is near the front. */
function put(batches: Batch[], batch: Batch): Batch[] {
  let at = 0;
  while (at < batches.length && (batches[at]?.batch ?? 0) > batch.batch) at += 1;
  batches.splice(at, batches[at]?.batch === batch.batch ? 1 : 0, batch);
  if (batches.length > MOST_BATCHES) batches.length = MOST_BATCHES;
  return batches;
}

/** Both lists as one; what `newer` says of a batch stands. */
export function merge(older: readonly Batch[], newer: readonly Batch[]): Batch[] {
  const byNumber = new Map(older.map((batch) => [batch.batch, batch]));
  for (const batch of newer) byNumber.set(batch.batch, batch);
  return [...byNumber.values()].sort((a, b) => b.batch - a.batch).slice(0, MOST_BATCHES);
}

export type Stage = "demux" | "queue" | "processor" | "fallback" | "fit" | "ready" | "air";

export interface Bar {
  stage: Stage;
  /** Seconds since the batch was collected. */
  from: number;
  to: number;
}

export interface WaterfallRow {
  bars: Bar[];
  deadline: number | undefined;
  air: number | undefined;
  late: number | undefined;
  rendition: BatchRendition | undefined;
  failed: boolean;
}

const at = (text: string | undefined): number | undefined => {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms / 1000;
};

/** What became of a batch, as bars on the time since it was collected; what is under way ends now. */
export function waterfallRow(batch: Batch, renditionName: string | undefined, nowS: number): WaterfallRow {
  const rendition = batch.renditions.find((one) => one.name === renditionName) ?? batch.renditions[0];
  const begin = at(batch.times["collected"]) ?? nowS;
  const since = (text: string | undefined) => {
    const time = at(text);
    return time === undefined ? undefined : time - begin;
  };
  const now = Math.max(0, nowS - begin);
  const times = rendition?.times ?? {};
  const [demuxed, sent] = [since(batch.times["demuxed"]), since(times["sent"])];
  const [processed, fallback, remuxed] = [
    since(times["processed"]),
    since(times["fallback"]),
    since(times["remuxed"]),
  ];
  const air = since(batch.airTime);
  const skipped = batch.state === "skipped";
  const bars: Bar[] = [];
  const bar = (stage: Stage, from: number | undefined, to: number | undefined) => {
    if (from !== undefined && to !== undefined && to >= from) bars.push({ stage, from, to });
  };

  const open = skipped ? undefined : now;
  bar("demux", 0, demuxed ?? open);
  // What came may still not fit: then the fallback begins after the reply.
  const answered = processed ?? fallback;
  bar("queue", demuxed, sent ?? answered ?? open);
  bar("processor", sent, answered ?? open);
  if (fallback === undefined) bar("fit", processed, remuxed ?? open);
  else {
    bar("fit", processed, fallback);
    bar("fallback", fallback, remuxed ?? open);
  }
  bar("ready", remuxed, air === undefined ? undefined : Math.min(air, Math.max(now, remuxed ?? 0)));
  if (air !== undefined && !skipped && now > air) bar("air", air, Math.min(now, air + batch.duration));
  return {
    bars,
    deadline: since(batch.deadline),
    air,
    late: since(times["late"]),
    rendition,
    failed: fallback !== undefined || skipped,
  };
}

/** How many seconds the waterfall's axis spans: all deadlines and air times of the rows, and some of the air. */
export function axisSeconds(rows: readonly WaterfallRow[]): number {
  let end = 4;
  for (const row of rows) {
    for (const value of [row.deadline, row.air, row.late]) end = Math.max(end, (value ?? 0) * 1.15);
  }
  return Math.min(end, 900);
}

/** Round steps for an axis of `span` seconds, at most `most` of them. */
export function ticks(span: number, most: number): number[] {
  const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300].find((candidate) => span / candidate <= most) ?? 600;
  return Array.from({ length: Math.floor(span / step) + 1 }, (_, index) => index * step);
}

/** Seconds from sending each batch to the processor's answer, oldest first; late answers count too. */
export function roundTrips(batches: readonly Batch[], renditionName: string | undefined): number[] {
  const trips: number[] = [];
  for (const batch of batches) {
    const rendition = batch.renditions.find((one) => one.name === renditionName) ?? batch.renditions[0];
    const sent = at(rendition?.times["sent"]);
    const back = at(rendition?.times["processed"] ?? rendition?.times["late"]);
    if (sent !== undefined && back !== undefined && back >= sent) trips.push(back - sent);
  }
  return trips.reverse();
}

/** Seconds until the first of the batches that are still to be aired is on air; 0 while it should be. */
export function secondsToAir(batches: readonly Batch[], nowS: number): number | undefined {
  const first = batches.findLast((batch) => {
    const air = at(batch.airTime);
    return air !== undefined && batch.state !== "skipped" && air + batch.duration > nowS;
  });
  const air = at(first?.airTime);
  return air === undefined ? undefined : Math.max(0, air - nowS);
}

/** Whether a batch is skipped because its stream was stopped, which is no fault. */
export const wasStopped = (batch: Batch): boolean =>
  batch.state === "skipped" && /was stopped/.test(batch.reason ?? "");
