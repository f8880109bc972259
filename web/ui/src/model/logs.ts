// The log as the page keeps it: bounded, filtered, searched.

import type { Level, LogEntry } from "../api/types";

export const MOST_LINES = 10_000;

export const LEVELS: readonly Level[] = ["error", "warn", "info", "debug"];

export interface LogLine {
  /** Counts up from line to line. */
  seq: number;
  entry: LogEntry;
  /** What the search looks at, in lower case. */
  hay: string;
}

export interface LogQuery {
  level: Level;
  search: string;
}

const rank = (level: string): number => {
  const index = LEVELS.indexOf(level as Level);
  return index < 0 ? LEVELS.length : index;
};

/** Fields as text: `batch=7 rendition=main`. */
export function fieldsText(fields: Record<string, unknown> | undefined): string {
  return Object.entries(fields ?? {})
    .filter(([name]) => name !== "stream" && name !== "message")
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}

export class LogBuffer {
  private next = 0;
  private kept: LogLine[] = [];
  /** The time of the newest line that was thrown away on purpose. */
  private clearedAt = "";

  get lines(): readonly LogLine[] {
    return this.kept;
  }

  /** Appends; the oldest lines go when there are too many. */
  push(entries: readonly LogEntry[]): void {
    for (const entry of entries) this.kept.push(this.line(entry));
    if (this.kept.length > MOST_LINES) this.kept = this.kept.slice(-MOST_LINES);
  }

  /** Puts in the lines of a stretch of the log that did not come live; cleared ones stay away. */
  fill(entries: readonly LogEntry[]): void {
    const known = new Set(this.kept.map(({ entry }) => key(entry)));
    const missing = entries.filter((entry) => entry.at > this.clearedAt && !known.has(key(entry)));
    if (missing.length === 0) return;
    const all = [...missing.map((entry) => this.line(entry)), ...this.kept];
    all.sort((a, b) => (a.entry.at < b.entry.at ? -1 : a.entry.at > b.entry.at ? 1 : 0));
    this.kept = all.slice(-MOST_LINES);
    for (const line of this.kept) {
      this.next += 1;
      line.seq = this.next;
    }
  }

  clear(): void {
    this.clearedAt = this.kept.at(-1)?.entry.at ?? this.clearedAt;
    this.kept = [];
  }

  private line(entry: LogEntry): LogLine {
    const level = String(entry.level).toLowerCase() as Level;
    const hay = `${entry.message} ${fieldsText(entry.fields)} ${entry.target ?? ""}`.toLowerCase();
    this.next += 1;
    return { seq: this.next, entry: { ...entry, level }, hay };
  }
}

const key = (entry: LogEntry): string => `${entry.at} ${entry.message} ${fieldsText(entry.fields)}`;

export function selectLines(lines: readonly LogLine[], query: LogQuery): readonly LogLine[] {
  const words = query.search.toLowerCase().split(/\s+/).filter(Boolean);
  const least = rank(query.level);
  if (words.length === 0 && least >= LEVELS.length - 1) return lines;
  return lines.filter(
    (line) => rank(line.entry.level) <= least && words.every((word) => line.hay.includes(word)),
  );
}

export function countLevels(lines: readonly LogLine[]): Record<Level, number> {
  const counts: Record<Level, number> = { error: 0, warn: 0, info: 0, debug: 0 };
  for (const { entry } of lines) if (entry.level in counts) counts[entry.level] += 1;
  return counts;
}
