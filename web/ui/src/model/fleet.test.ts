import { expect, test } from "vitest";
import { stream } from "../test-data";
import { applyToFleet, type Fleet } from "./fleet";

const head = { v: 1, at: "" };

test("a snapshot replaces everything: what was deleted while the connection was lost is gone", () => {
  const before: Fleet = new Map([["old", stream("old")]]);
  const after = applyToFleet(before, [{ ...head, type: "snapshot", streams: [stream("new")] }]);
  expect([...after.keys()]).toEqual(["new"]);
});

test("streams change and go, and the ones that did not are the same objects", () => {
  const [a, b] = [stream("a"), stream("b")];
  const before: Fleet = new Map([
    ["a", a],
    ["b", b],
  ]);
  const failed = stream("b", { state: "failed" });
  const after = applyToFleet(before, [
    { ...head, type: "stream", stream: failed },
    { ...head, type: "stream", stream: stream("c") },
    { ...head, type: "deleted", streamId: "c" },
  ]);
  expect([...after.keys()]).toEqual(["a", "b"]);
  expect([after.get("a") === a, after.get("b") === failed, before.get("b") === b]).toEqual([
    true,
    true,
    true,
  ]);
});

test("events that change no stream change nothing", () => {
  const before: Fleet = new Map();
  expect(
    applyToFleet(before, [
      { ...head, type: "log", level: "info", message: "x" } as never,
      { ...head, type: "deleted", streamId: "x" },
    ]),
  ).toBe(before);
});
