import { expect, test } from "vitest";
import { at, batch, second } from "../test-data";
import {
  applyToBatches,
  axisSeconds,
  MOST_BATCHES,
  merge,
  roundTrips,
  secondsToAir,
  ticks,
  waterfallRow,
} from "./batches";

const head = { v: 1, at: "" };
const numbers = (batches: readonly { batch: number }[]) => batches.map((one) => one.batch);
const bars = (row: ReturnType<typeof waterfallRow>) =>
  row.bars.map(({ stage, from, to }) => [stage, from, to]);

test("batches stand newest first, each once, in its newest state", () => {
  const events = [
    { ...head, type: "snapshot" as const, streams: [], batches: { news: [batch(2), batch(1)] } },
    { ...head, type: "batch" as const, streamId: "news", batch: batch(3) },
    { ...head, type: "batch" as const, streamId: "news", batch: batch(1, { state: "published" }) },
    { ...head, type: "batch" as const, streamId: "other", batch: batch(9) },
  ];
  const all = applyToBatches([], events, "news");
  expect(numbers(all)).toEqual([3, 2, 1]);
  expect(all[2]?.state).toBe("published");
});

test("a snapshot after a reconnect keeps older batches that it no longer tells of", () => {
  const snapshot = {
    ...head,
    type: "snapshot" as const,
    streams: [],
    batches: { news: [batch(5), batch(4)] },
  };
  expect(numbers(applyToBatches([batch(4), batch(3)], [snapshot], "news"))).toEqual([5, 4, 3]);
});

test("events of other kinds leave the batches as they are", () => {
  const before = [batch(1)];
  expect(applyToBatches(before, [{ ...head, type: "deleted", streamId: "x" }], "news")).toBe(before);
});

test("the number of kept batches is bounded", () => {
  const many = Array.from({ length: MOST_BATCHES + 50 }, (_, number) => batch(number));
  expect(merge([], many)).toHaveLength(MOST_BATCHES);
  const one = { ...head, type: "batch" as const, streamId: "news", batch: batch(9999) };
  const after = applyToBatches(merge([], many), [one], "news");
  expect([after.length, after[0]?.batch]).toEqual([MOST_BATCHES, 9999]);
});

test("a batch that went well is demuxed, waits, is processed, fitted, ready and on air", () => {
  const row = waterfallRow(batch(1), "main", second(12));
  expect(bars(row)).toEqual([
    ["demux", 0, 1],
    ["queue", 1, 2],
    ["processor", 2, 5],
    ["fit", 5, 6],
    ["ready", 6, 10],
    ["air", 10, 12],
  ]);
  expect([row.deadline, row.air, row.failed]).toEqual([9, 10, false]);
});

test("a batch that is with the processor ends now", () => {
  const open = batch(1, { renditions: [{ name: "main", state: "sent", times: { sent: at(2) } }] });
  expect(bars(waterfallRow(open, "main", second(4)))).toEqual([
    ["demux", 0, 1],
    ["queue", 1, 2],
    ["processor", 2, 4],
  ]);
});

test("a batch on fallback shows how long the processor was waited for", () => {
  const fallen = batch(1, {
    renditions: [
      {
        name: "main",
        state: "remuxed",
        times: { sent: at(2), fallback: at(9), remuxed: at(9.5), late: at(11) },
      },
    ],
  });
  const row = waterfallRow(fallen, "main", second(10));
  expect(bars(row).slice(2, 4)).toEqual([
    ["processor", 2, 9],
    ["fallback", 9, 9.5],
  ]);
  expect([row.failed, row.late]).toEqual([true, 11]);
});

test("a reply that does not fit shows how long fitting was tried before the fallback", () => {
  const times = { sent: at(2), processed: at(5), fallback: at(8), remuxed: at(9) };
  const unfit = batch(1, { renditions: [{ name: "main", state: "remuxed", times }] });
  const row = waterfallRow(unfit, "main", second(10));
  expect(bars(row).slice(2, 5)).toEqual([
    ["processor", 2, 5],
    ["fit", 5, 8],
    ["fallback", 8, 9],
  ]);
  expect(row.failed).toBe(true);
});

test("a skipped batch does not go on for ever", () => {
  const skipped = batch(1, { state: "skipped", times: { collected: at(0) }, renditions: [] });
  expect(waterfallRow(skipped, "main", second(500)).bars).toEqual([]);
});

test("the axis holds every deadline and air time, within bounds", () => {
  expect(axisSeconds([waterfallRow(batch(1), "main", second(12))])).toBeCloseTo(11.5);
  expect(axisSeconds([])).toBe(4);
  expect(ticks(11.5, 8)).toEqual([0, 2, 4, 6, 8, 10]);
});

test("round trips are counted from sending to the answer, late ones too, and not without an answer", () => {
  const late = batch(2, {
    renditions: [{ name: "main", state: "remuxed", times: { sent: at(2), fallback: at(9), late: at(12) } }],
  });
  const none = batch(3, {
    renditions: [{ name: "main", state: "remuxed", times: { sent: at(2), fallback: at(9) } }],
  });
  expect(roundTrips([none, late, batch(1)], "main")).toEqual([3, 10]);
});

test("what is on air next is the oldest batch that is still to be aired, however many wait behind it", () => {
  const waiting = [at(40), at(34), at(28)].map((airTime, index) => batch(3 - index, { airTime }));
  expect(secondsToAir(waiting, second(20.5))).toBe(7.5);
  expect(secondsToAir(waiting, second(29)), "it should be on air by now").toBe(0);
  expect(secondsToAir(waiting, second(34)), "the first has been aired").toBe(0);
  expect(secondsToAir([...waiting, batch(0, { state: "skipped", airTime: at(22) })], second(20))).toBe(8);
  expect(secondsToAir(waiting, second(47))).toBeUndefined();
});
