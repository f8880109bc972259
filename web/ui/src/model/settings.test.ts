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
