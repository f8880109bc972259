// What is wrong with a stream, in words, and which one is worst.

import type { History, Rendition, Source, Stream, StreamState } from "../api/types";
import { plural } from "./format";

/** How much a state asks for a person; each tone has a colour, an icon and a word. */
export type Tone = "bad" | "warn" | "busy" | "good" | "idle";

export type Group = "attention" | "well" | "off";

interface Judgement {
  tone: Tone;
  word: string;
  group: Group;
  /** 0 is worst. */
  rank: number;
}

const JUDGEMENTS: Record<StreamState, Judgement> = {
  failed: { tone: "bad", word: "Failed", group: "attention", rank: 0 },
  waiting: { tone: "bad", word: "No source", group: "attention", rank: 1 },
  degraded: { tone: "warn", word: "Degraded", group: "attention", rank: 2 },
  starting: { tone: "busy", word: "Starting", group: "well", rank: 3 },
  stopping: { tone: "busy", word: "Stopping", group: "well", rank: 4 },
  running: { tone: "good", word: "Running", group: "well", rank: 5 },
  ended: { tone: "idle", word: "Ended", group: "off", rank: 6 },
  stopped: { tone: "idle", word: "Stopped", group: "off", rank: 7 },
};

export const GROUP_NAMES: Record<Group, string> = {
  attention: "Needs attention",
  well: "Running",
  off: "Not running",
};

export const judge = (state: StreamState): Judgement => JUDGEMENTS[state] ?? JUDGEMENTS.failed;

/** What came of a source, and what did not. */
export function sourceNote(source: Source): string {
  const lost = source.lostSegments > 0 ? `, ${source.lostSegments} lost` : "";
  const gaps = source.gaps > 0 ? `, ${plural(source.gaps, "gap")}` : "";
  return `${plural(source.segments, "segment")}${lost}${gaps}`;
}

export const outputsDown = (stream: Stream): number => stream.outputs.filter((output) => !output.up).length;

/** The sum of the renditions' histories, or nothing before there is any. */
export function totalHistory(renditions: Rendition[]): History | undefined {
  const histories = renditions.flatMap((rendition) => (rendition.history ? [rendition.history] : []));
  const [first] = histories;
  if (first === undefined) return undefined;
  const sum = (pick: (history: History) => number[]) =>
    pick(first).map((_, bucket) =>
      histories.reduce((total, history) => total + (pick(history)[bucket] ?? 0), 0),
    );
  return {
    bucketSeconds: first.bucketSeconds,
    batches: sum((h) => h.batches),
    fallbacks: sum((h) => h.fallbacks),
  };
}

/** Share of the last hour's batches that were filled by the fallback; nothing without batches. */
export function fallbackShare(history: History | undefined): number | undefined {
  if (history === undefined) return undefined;
  const total = history.batches.reduce((sum, count) => sum + count, 0);
  const fallen = history.fallbacks.reduce((sum, count) => sum + count, 0);
  return total === 0 ? undefined : Math.min(1, fallen / total);
}

/** What a stream is ordered by. A stream that has not changed is the same object: it is judged once. */
interface Badness {
  rank: number;
  down: number;
  share: number;
}

const judged = new WeakMap<Stream, Badness>();

function badness(stream: Stream): Badness {
  let known = judged.get(stream);
  if (known === undefined) {
    const share = fallbackShare(totalHistory(stream.renditions)) ?? 0;
    known = { rank: judge(stream.state).rank, down: outputsDown(stream), share };
    judged.set(stream, known);
  }
  return known;
}

/** Worst first: by state, then by outputs down, by fallback share, by id. */
export function worstFirst(a: Stream, b: Stream): number {
  const [one, other] = [badness(a), badness(b)];
  return one.rank - other.rank || other.down - one.down || other.share - one.share || compareIds(a, b);
}

const collator = new Intl.Collator(undefined, { numeric: true });

export const compareIds = (a: Stream, b: Stream): number => collator.compare(a.streamId, b.streamId);

/** Whether all words of the search stand in what is known of the stream. */
export function matches(stream: Stream, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const targets = stream.outputs.map((output) => output.target);
  const names = stream.renditions.flatMap((rendition) => [rendition.name, rendition.language ?? ""]);
  const fields = [
    stream.streamId,
    stream.state,
    judge(stream.state).word,
    stream.reason,
    stream.settings.sourceUrl,
  ];
  const hay = [...fields, ...targets, ...names].join(" ").toLowerCase();
  return words.every((word) => hay.includes(word));
}

export type Filter = "all" | Group;

export function countGroups(streams: Iterable<Stream>): Record<Filter, number> {
  const counts: Record<Filter, number> = { all: 0, attention: 0, well: 0, off: 0 };
  for (const stream of streams) {
    counts.all += 1;
    counts[judge(stream.state).group] += 1;
  }
  return counts;
}

/** One sentence about all streams: what a person wants to know first. */
export function verdict(streams: Stream[]): { tone: Tone; text: string } {
  const counts = countGroups(streams);
  if (counts.all === 0) return { tone: "idle", text: "There is no stream yet" };
  if (counts.attention > 0) {
    const tone = streams.some((stream) => judge(stream.state).tone === "bad") ? "bad" : "warn";
    const who = counts.all === 1 ? "The stream" : `${counts.attention} of ${counts.all} streams`;
    return { tone, text: `${who} ${counts.attention === 1 ? "needs" : "need"} attention` };
  }
  if (counts.well === 0) return { tone: "idle", text: "No stream is running" };
  const starting = streams.some((stream) => judge(stream.state).tone === "busy");
  const [one, many] = starting
    ? ["The stream is on its way", `${counts.well} streams are on air or on their way`]
    : ["The stream is on air", `All ${counts.well} streams are on air`];
  return { tone: starting ? "busy" : "good", text: counts.well === 1 ? one : many };
}
