// Streams and batches for tests.

import type { Batch, Output, Rendition, Stream } from "./api/types";

export function stream(streamId: string, changes: Partial<Stream> = {}): Stream {
  return {
    streamId,
    state: "running",
    since: "2026-01-01T00:00:00Z",
    settings: {
      streamId,
      sourceUrl: "http://source/live.m3u8",
      bufferDuration: 30,
      delay: 10,
      maxConcurrentBatches: 3,
      hlsOutput: true,
      start: "live",
      renditions: [
        {
          name: "main",
          audioProcessorUrl: "ws://dub:5000/",
          fallback: "original",
          outputs: [{ type: "rtmp", url: "rtmp://cdn/live/***" }],
        },
      ],
    },
    actors: [],
    source: {
      up: true,
      segments: 1,
      bytes: 1,
      lostSegments: 0,
      gaps: 0,
      accumulatedDuration: 3,
      currentBatch: 1,
      clockJumps: 0,
    },
    renditions: [],
    outputs: [],
    ...changes,
  };
}

export function output(changes: Partial<Output> = {}): Output {
  return {
    name: "hls",
    target: "/live",
    up: true,
    connectionStatus: "",
    published: 0,
    missedSamples: 0,
    bytes: 0,
    maxLatenessMs: 0,
    ...changes,
  };
}

export function rendition(changes: Partial<Rendition> = {}): Rendition {
  return {
    name: "main",
    connected: true,
    onFallback: false,
    processed: 0,
    fallbacks: 0,
    late: 0,
    pending: 0,
    remuxed: 0,
    pendingRemux: 0,
    ...changes,
  };
}

const at = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();

/** Collected at second 0, demuxed at 1, sent at 2, back at 5, fitted at 6, due at 9, on air at 10. */
export function batch(number: number, changes: Partial<Batch> = {}): Batch {
  return {
    batch: number,
    state: "publishing",
    firstSegment: number,
    lastSegment: number,
    duration: 6,
    epoch: 0,
    times: { collected: at(0), demuxed: at(1) },
    deadline: at(9),
    airTime: at(10),
    renditions: [
      { name: "main", state: "remuxed", times: { sent: at(2), processed: at(5), remuxed: at(6) } },
    ],
    ...changes,
  };
}

export const second = (value: number): number => Date.UTC(2026, 0, 1) / 1000 + value;
export { at };
