import { expect, test } from "vitest";
import type { Level, LogEntry } from "../api/types";
import { countLevels, LogBuffer, MOST_LINES, selectLines } from "./logs";

const entry = (level: Level, message: string, fields = {}, second = 0): LogEntry => ({
  at: `2026-01-01T00:00:0${second}.000Z`,
  level,
  message,
  fields,
});

test("the log keeps the newest lines and no more than it may", () => {
  const log = new LogBuffer();
  log.push(Array.from({ length: MOST_LINES + 5 }, (_, number) => entry("info", `line ${number}`)));
  expect([log.lines.length, log.lines[0]?.entry.message]).toEqual([MOST_LINES, "line 5"]);
});

test("history goes before the live lines, and none stands there twice", () => {
  const log = new LogBuffer();
  log.push([entry("info", "two"), entry("info", "three")]);
  log.fill([entry("info", "one"), entry("info", "two")]);
  expect(log.lines.map((line) => line.entry.message)).toEqual(["one", "two", "three"]);
  expect(log.lines.map((line) => line.seq)).toEqual(
    [...log.lines.map((line) => line.seq)].sort((a, b) => a - b),
  );
});

test("lines that were missed stand in their place, and cleared ones do not come back", () => {
  const at = (second: number) => entry("info", `line ${second}`, {}, second);
  const log = new LogBuffer();
  log.push([at(1), at(2), at(5)]);
  const [, two] = log.lines;
  log.fill([at(2), at(3), at(4), at(5)]);
  expect(log.lines.map((line) => line.entry.message)).toEqual([1, 2, 3, 4, 5].map((n) => `line ${n}`));
  expect(log.lines[1], "a chosen line stays the same").toBe(two);
  log.clear();
  log.push([at(7)]);
  log.fill([at(5), at(6), at(7)]);
  expect(log.lines.map((line) => line.entry.message)).toEqual(["line 6", "line 7"]);
});

test("lines are chosen by level and by every word of the search, in message and fields", () => {
  const log = new LogBuffer();
  log.push([
    entry("error", "output is down", { output: "main/rtmp-0" }),
    entry("warn", "late"),
    entry("debug", "output written", { batch: 7 }),
  ]);
  const chosen = (level: Level, search: string) =>
    selectLines(log.lines, { level, search }).map((line) => line.entry.message);
  expect(chosen("warn", "")).toEqual(["output is down", "late"]);
  expect(chosen("debug", "OUTPUT")).toEqual(["output is down", "output written"]);
  expect(chosen("debug", "output batch=7")).toEqual(["output written"]);
  expect(countLevels(log.lines)).toEqual({ error: 1, warn: 1, info: 0, debug: 1 });
});
