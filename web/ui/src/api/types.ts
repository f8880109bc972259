// What the API says, as far as the page reads it. Durations are seconds, times RFC 3339.

export type StreamState =
  "starting" | "waiting" | "running" | "degraded" | "failed" | "stopping" | "stopped" | "ended";

export type Fallback = "original" | "silence" | "drop";

export interface OutputSettings {
  type: "rtmp";
  url: string;
  /** H.265 is sent although the server does not say that it takes it. */
  takesH265?: boolean;
}

export interface RenditionSettings {
  name: string;
  language?: string;
  audioProcessorUrl: string;
  fallback: Fallback;
  outputs: OutputSettings[];
}

export interface VariantLimits {
  maxBandwidth?: number;
  maxHeight?: number;
}

export interface StreamSettings {
  streamId: string;
  sourceUrl: string;
  bufferDuration: number;
  delay: number;
  maxConcurrentBatches: number;
  hlsOutput: boolean;
  start: "live" | "window";
  /** The highest where it is not there. */
  variant?: "highest" | "lowest" | VariantLimits;
  audioLanguage?: string;
  /** Values are hidden. */
  sourceHeaders?: Record<string, string>;
  renditions: RenditionSettings[];
}

export interface Fault {
  actor: string;
  message: string;
  at: string;
}

export interface Actor {
  name: string;
  running: boolean;
  restarts: number;
  lastFault?: Fault;
}

export interface Source {
  up: boolean;
  segments: number;
  bytes: number;
  lostSegments: number;
  /** Holes that lost media left in the timeline. */
  gaps: number;
  accumulatedDuration: number;
  currentBatch: number;
  clockJumps: number;
  /** Bits a second over the newest segments. */
  bitrate?: number | null;
  bufferDuration?: number;
  /** What was taken of a source that offers several, and why. */
  variant?: string;
  audio?: string;
  /** Tracks of the newest batch. */
  media?: string;
}

/** Counts of the last hour, oldest bucket first. */
export interface History {
  bucketSeconds: number;
  batches: number[];
  fallbacks: number[];
}

export interface Rendition {
  name: string;
  language?: string | null;
  connected: boolean;
  processed: number;
  fallbacks: number;
  late: number;
  pending: number;
  remuxed: number;
  pendingRemux: number;
  history?: History;
  onFallback: boolean;
  /** The newest, however long ago. */
  lastFallback?: { reason: string; message: string; at: string };
}

export interface Output {
  name: string;
  target: string;
  up: boolean;
  connectionStatus: string;
  published: number;
  missedSamples: number;
  bytes: number;
  maxLatenessMs: number;
  reason?: string;
}

export interface Stream {
  streamId: string;
  state: StreamState;
  reason?: string;
  since: string;
  settings: StreamSettings;
  actors: Actor[];
  source: Source;
  renditions: Rendition[];
  outputs: Output[];
  anchor?: string;
  lastError?: Fault;
  hlsPath?: string;
  delay?: number;
  endToEnd?: number | null;
  lastTurnaround?: number | null;
}

export interface Fit {
  slotSamples: number;
  receivedSamples: number;
  differenceSamples: number;
  timing: string;
  borderUnits: number;
  primingSamples: number;
  converted: boolean;
}

export type Times = Record<string, string>;

export interface BatchRendition {
  name: string;
  state: "waiting" | "sent" | "processed" | "fallback" | "remuxed";
  times: Times;
  fallbackKind?: string;
  fallbackReason?: string;
  fit?: Fit;
  metadata?: unknown;
}

export interface Batch {
  batch: number;
  state: "collected" | "demuxed" | "publishing" | "published" | "cleaned" | "skipped";
  firstSegment: number;
  lastSegment: number;
  duration: number;
  epoch: number;
  times: Times;
  airTime?: string;
  deadline?: string;
  reason?: string;
  renditions: BatchRendition[];
}

export type Level = "error" | "warn" | "info" | "debug";

export interface LogEntry {
  at: string;
  level: Level;
  message: string;
  target?: string;
  streamId?: string;
  fields?: Record<string, unknown>;
}

export interface Storage {
  originalStreamSize: number;
  processedFragmentsSize: number;
  totalSize: number;
  oldestBatch: number | null;
  newestBatch: number | null;
}

export interface Session {
  access: "full" | "read" | "none";
  authRequired: boolean;
  version: string;
  defaults?: Partial<StreamSettings> & {
    audioProcessorUrl?: string;
    srsRtmpUrl?: string;
    fallback?: Fallback;
  };
}

export interface Webhook {
  id: string;
  url: string;
  events?: string[];
  streamId?: string | null;
}

export interface WebhookTest {
  delivered: boolean;
  status?: number;
  error?: string;
}

export type ServerEvent = { v: number; at: string } & (
  | { type: "snapshot"; streams: Stream[]; batches?: Record<string, Batch[]> }
  | { type: "stream"; stream: Stream }
  | { type: "batch"; streamId: string; batch: Batch }
  | { type: "deleted"; streamId: string }
  | ({ type: "log" } & LogEntry)
  | { type: "closing"; reason: string }
);
