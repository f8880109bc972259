import { expect, test } from "vitest";
import { ago, bitrate, bytes, percent, plural, seconds, span } from "./format";
import { histogram, quantile } from "./histogram";
import { loudnessDb, peaks } from "./wave";

test("figures are as short as they are exact", () => {
  expect([null, 0, 0.0123, 0.95, 3.21, 45.4, 3700].map(seconds)).toEqual([
    "–",
    "0 s",
    "12 ms",
    "950 ms",
    "3.2 s",
    "45 s",
    "1 h 1 min",
  ]);
  expect([59, 61, 3600, 90_000].map(span)).toEqual(["59 s", "1 min 1 s", "1 h 0 min", "1 d 1 h"]);
  expect([undefined, 128_000, 2_345_678, 25_000_000].map(bitrate)).toEqual([
    "–",
    "128 kbit/s",
    "2.35 Mbit/s",
    "25.0 Mbit/s",
  ]);
  expect([0, 1023, 1024, 1_500_000, 5e9].map(bytes)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.4 MiB",
    "4.7 GiB",
  ]);
  expect([0, 0.004, 0.5, 0.999, 1].map(percent)).toEqual(["0 %", "< 1 %", "50 %", "> 99 %", "100 %"]);
  expect([plural(1, "batch", "batches"), plural(2, "batch", "batches")]).toEqual(["1 batch", "2 batches"]);
  expect([ago("2026-01-01T00:00:00Z", Date.UTC(2026, 0, 1, 0, 1)), ago(undefined, 0)]).toEqual([
    "1 min 0 s ago",
    "–",
  ]);
});

test("a histogram counts every value once, in round buckets", () => {
  expect(histogram([0.1, 0.4, 0.6, 2.9], 10)).toEqual({
    edges: [0, 0.5, 1, 1.5, 2, 2.5],
    counts: [2, 1, 0, 0, 0, 1],
    width: 0.5,
  });
  expect(histogram([], 10).counts).toEqual([0]);
});

test("a quantile is the nearest rank", () => {
  expect([0.5, 0.95, 1].map((share) => quantile([4, 1, 3, 2], share))).toEqual([2, 4, 4]);
  expect(quantile([], 0.5)).toBeUndefined();
});

test("a waveform has the extremes of each column and is flat beyond the sound's end", () => {
  const { low, high } = peaks(
    [Float32Array.of(0.5, -0.25, 0, 0), Float32Array.of(0, -0.75, 0.25, 0)],
    2,
    4,
    4,
  );
  expect([[...low], [...high]]).toEqual([
    [-0.75, 0, 0, 0],
    [0.5, 0.25, 0, 0],
  ]);
});

test("loudness is in dB below full scale, and silence has none", () => {
  expect(loudnessDb([Float32Array.of(1, -1)])).toBeCloseTo(0);
  expect(loudnessDb([Float32Array.of(0.1, -0.1)])).toBeCloseTo(-20);
  expect(loudnessDb([new Float32Array(8)])).toBeUndefined();
});
