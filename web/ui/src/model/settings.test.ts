import { expect, test } from "vitest";
import { stream } from "../test-data";
import { changes, checkDraft, draftOf } from "./settings";

const { settings } = stream("news");

test("without a change there is nothing to send, and nothing wrong with what is hidden", () => {
  expect(changes(draftOf(settings), settings)).toBeUndefined();
  expect(checkDraft(draftOf(settings), settings)).toEqual({});
});

test("only what has changed is sent, of a rendition too", () => {
  const draft = draftOf(settings);
  const [main] = draft.renditions;
  if (!main) throw new Error("a rendition");
  const changed = { ...draft, delay: "20", renditions: [{ ...main, fallback: "silence" }] };
  expect(changes(changed, settings)).toEqual({
    delay: 20,
    renditions: [{ name: "main", fallback: "silence" }],
  });
});

test("headers change by name, hidden ones stay, and one that is left out goes", () => {
  const secret = { ...settings, sourceHeaders: { "X-Key": "***", "X-Old": "***" } };
  const draft = draftOf(secret);
  expect(draft.sourceHeaders).toBe("X-Key: ***\nX-Old: ***");
  expect(changes(draft, secret)).toBeUndefined();
  const changed = { ...draft, sourceHeaders: "x-key: ***\nX-New: v" };
  expect(checkDraft(changed, secret)).toEqual({});
  expect(changes(changed, secret)).toEqual({ sourceHeaders: { "X-Old": null, "X-New": "v" } });
  const unknown = { ...draft, sourceHeaders: "X-New: ***" };
  expect(checkDraft(unknown, secret)).toHaveProperty(["sourceHeaders"]);
});

test("limits of a variant are kept, and another choice takes their place", () => {
  const limited = { ...settings, variant: { maxHeight: 720 } };
  const draft = draftOf(limited);
  expect(changes(draft, limited)).toBeUndefined();
  const changed = { ...draft, variant: "lowest", audioLanguage: "de" };
  expect(changes(changed, limited)).toEqual({ variant: "lowest", audioLanguage: "de" });
  expect(changes(draft, settings)).toEqual({ variant: { maxHeight: 720 } });
});

test("a hidden key is never sent back: a changed list of outputs must be given in full", () => {
  const draft = draftOf(settings);
  const [main] = draft.renditions;
  if (!main) throw new Error("a rendition");
  const kept = { ...draft, renditions: [{ ...main, rtmpUrls: "rtmp://cdn/live/***\nrtmp://cdn/live/two" }] };
  expect(checkDraft(kept, settings)).toHaveProperty(["renditions[0].outputs"]);
  const given = { ...draft, renditions: [{ ...main, rtmpUrls: "rtmp://cdn/live/one" }] };
  expect(checkDraft(given, settings)).toEqual({});
  expect(changes(given, settings)).toEqual({
    renditions: [{ name: "main", outputs: [{ type: "rtmp", url: "rtmp://cdn/live/one" }] }],
  });
});
