// The log as the page keeps it: bounded, filtered, searched.

import type { Level, LogEntry } from "../api/types";

export const MOST_LINES = 10_000;

export const LEVELS: readonly Level[] = ["error", "warn", "info", "debug"];

export interface LogLine {
  /** Counts up; a line's place in the whole log. */
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

  get lines(): readonly LogLine[] {
    return this.kept;
  }

  /** Appends; the oldest lines go when there are too many. */
  push(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      const level = String(entry.level).toLowerCase() as Level;
      const hay = `${entry.message} ${fieldsText(entry.fields)} ${entry.target ?? ""}`.toLowerCase();
      this.kept.push({ seq: this.next, entry: { ...entry, level }, hay });
      this.next += 1;
    }
    if (this.kept.length > MOST_LINES) this.kept = this.kept.slice(-MOST_LINES);
  }

  /** Lines from before the live ones; those that came live as well are left out. */
  prepend(entries: readonly LogEntry[]): void {
    const known = new Set(this.kept.map(({ entry }) => key(entry)));
    const live = this.kept.map(({ entry }) => entry);
    this.kept = [];
    this.push([...entries.filter((entry) => !known.has(key(entry))), ...live]);
  }

  clear(): void {
    this.kept = [];
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
