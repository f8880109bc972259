import { expect, test } from "vitest";
import type { Rendition } from "../api/types";
import { output, rendition, stream } from "../test-data";
import { countGroups, fallbackShare, matches, sourceNote, totalHistory, verdict, worstFirst } from "./health";

const withHistory = (batches: number[], fallbacks: number[]): Rendition =>
  rendition({ history: { bucketSeconds: 120, batches, fallbacks } });

test("the worst stream stands first, and among equals the one with more outputs down, then with more fallbacks", () => {
  const streams = [
    stream("stopped", { state: "stopped" }),
    stream("well"),
    stream("fallen", { state: "degraded", renditions: [withHistory([4], [3])] }),
    stream("less-fallen", { state: "degraded", renditions: [withHistory([4], [1])] }),
    stream("output-down", { state: "degraded", outputs: [output({ up: false })] }),
    stream("lost", { state: "waiting" }),
    stream("dead", { state: "failed" }),
  ];
  const order = streams.sort(worstFirst).map((one) => one.streamId);
  expect(order).toEqual(["dead", "lost", "output-down", "fallen", "less-fallen", "well", "stopped"]);
});

test("streams that are equally well stand in the order of their names, numbers by their value", () => {
  const order = ["news-10", "news-9", "art"].map((id) => stream(id)).sort(worstFirst);
  expect(order.map((one) => one.streamId)).toEqual(["art", "news-9", "news-10"]);
});

test("the verdict says how many need attention, and in the tone of the worst", () => {
  expect(verdict([])).toEqual({ tone: "idle", text: "There is no stream yet" });
  expect(verdict([stream("a"), stream("b")])).toEqual({ tone: "good", text: "All 2 streams are on air" });
  expect(verdict([stream("a"), stream("b", { state: "degraded" })])).toEqual({
    tone: "warn",
    text: "1 of 2 streams needs attention",
  });
  expect(verdict([stream("a", { state: "failed" }), stream("b", { state: "degraded" })]).tone).toBe("bad");
  expect(verdict([stream("a", { state: "waiting" })]).text).toBe("The stream needs attention");
  expect(verdict([stream("a", { state: "stopped" })]).text).toBe("No stream is running");
});

test("every stream is counted in its group and in all", () => {
  const streams = (["failed", "running", "starting", "ended"] as const).map((state) =>
    stream(state, { state }),
  );
  expect(countGroups(streams)).toEqual({ all: 4, attention: 1, well: 2, off: 1 });
});

test("a search finds what stands in name, reason, source or state, all words of it", () => {
  const lost = stream("news", { state: "waiting", reason: "source: connection refused" });
  for (const good of ["", "NEWS", "refused connection", "no source", "live.m3u8"])
    expect(matches(lost, good), good).toBe(true);
  for (const bad of ["sports", "news accepted"]) expect(matches(lost, bad), bad).toBe(false);
});

test("the fallback share is over all renditions, and nothing where nothing has been", () => {
  const total = totalHistory([withHistory([2, 2], [0, 1]), withHistory([2, 2], [0, 1])]);
  expect(total).toEqual({ bucketSeconds: 120, batches: [4, 4], fallbacks: [0, 2] });
  expect(fallbackShare(total)).toBe(0.25);
  expect(fallbackShare({ bucketSeconds: 120, batches: [0], fallbacks: [0] })).toBeUndefined();
  expect(fallbackShare(undefined)).toBeUndefined();
});

test("what is missing of a source is said beside what came, and only then", () => {
  const { source } = stream("a");
  expect(sourceNote(source)).toBe("1 segment");
  expect(sourceNote({ ...source, segments: 9, lostSegments: 3, gaps: 1 })).toBe("9 segments, 3 lost, 1 gap");
});
