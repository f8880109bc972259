import { expect, test } from "vitest";
import { stream } from "../test-data";
import { changes, checkDraft, type Draft, draftOf, follow } from "./settings";

const { settings } = stream("news");
const edit = (draft: Draft, before = settings) => ({ draft, before: draftOf(before) });

test("without a change there is nothing to send, and nothing wrong with what is hidden", () => {
  expect(changes(edit(draftOf(settings)))).toBeUndefined();
  expect(checkDraft(edit(draftOf(settings)))).toEqual({});
});

test("only what has changed is sent, of a rendition too", () => {
  const draft = draftOf(settings);
  const [main] = draft.renditions;
  if (!main) throw new Error("a rendition");
  const changed = { ...draft, delay: "20", renditions: [{ ...main, fallback: "silence" }] };
  expect(changes(edit(changed))).toEqual({
    delay: 20,
    renditions: [{ name: "main", fallback: "silence" }],
  });
});

test("headers change by name, hidden ones stay, and one that is left out goes", () => {
  const secret = { ...settings, sourceHeaders: { "X-Key": "***", "X-Old": "***" } };
  const draft = draftOf(secret);
  expect(draft.sourceHeaders).toBe("X-Key: ***\nX-Old: ***");
  expect(changes(edit(draft, secret))).toBeUndefined();
  const changed = { ...draft, sourceHeaders: "x-key: ***\nX-New: v" };
  expect(checkDraft(edit(changed, secret))).toEqual({});
  expect(changes(edit(changed, secret))).toEqual({ sourceHeaders: { "X-Old": null, "X-New": "v" } });
  const unknown = { ...draft, sourceHeaders: "X-New: ***" };
  expect(checkDraft(edit(unknown, secret))).toHaveProperty(["sourceHeaders"]);
});

test("limits of a variant are kept, and another choice takes their place", () => {
  const limited = { ...settings, variant: { maxHeight: 720 } };
  const draft = draftOf(limited);
  expect(changes(edit(draft, limited))).toBeUndefined();
  const changed = { ...draft, variant: "lowest", audioLanguage: "de" };
  expect(changes(edit(changed, limited))).toEqual({ variant: "lowest", audioLanguage: "de" });
  expect(changes(edit(draft))).toEqual({ variant: { maxHeight: 720 } });
});

test("a hidden key is never sent back: a changed list of outputs must be given in full", () => {
  const draft = draftOf(settings);
  const [main] = draft.renditions;
  if (!main) throw new Error("a rendition");
  const kept = { ...draft, renditions: [{ ...main, rtmpUrls: "rtmp://cdn/live/***\nrtmp://cdn/live/two" }] };
  expect(checkDraft(edit(kept))).toHaveProperty(["renditions[0].outputs"]);
  const given = { ...draft, renditions: [{ ...main, rtmpUrls: "rtmp://cdn/live/one" }] };
  expect(checkDraft(edit(given))).toEqual({});
  expect(changes(edit(given))).toEqual({
    renditions: [{ name: "main", outputs: [{ type: "rtmp", url: "rtmp://cdn/live/one" }] }],
  });
  const told = { ...draft, renditions: [{ ...main, takesH265: true }] };
  expect(checkDraft(edit(told))).toHaveProperty(["renditions[0].outputs"]);
  const both = { ...draft, renditions: [{ ...main, rtmpUrls: "rtmp://cdn/live/one", takesH265: true }] };
  expect(changes(edit(both))).toEqual({
    renditions: [{ name: "main", outputs: [{ type: "rtmp", url: "rtmp://cdn/live/one", takesH265: true }] }],
  });
});

test("what another person changes meanwhile is followed where it was left alone, and never undone", () => {
  const draft = draftOf(settings);
  const elsewhere = draftOf({
    ...settings,
    delay: 15,
    bufferDuration: 20,
    sourceHeaders: { "X-New": "***" },
    renditions: settings.renditions.map((one) => ({ ...one, fallback: "silence" as const, language: "fr" })),
  });
  const [main] = draft.renditions;
  if (!main) throw new Error("a rendition");
  const mine = { ...draft, delay: "12", renditions: [{ ...main, language: "de" }] };
  const followed = follow(edit(mine), elsewhere);
  expect(followed.draft).toMatchObject({ delay: "12", bufferDuration: "20", sourceHeaders: "X-New: ***" });
  expect(followed.draft.renditions).toMatchObject([{ language: "de", fallback: "silence" }]);
  expect(changes(followed)).toEqual({ delay: 12, renditions: [{ name: "main", language: "de" }] });

  const headers = follow(edit({ ...draft, sourceHeaders: "X-Own: 1" }), elsewhere);
  expect(changes(headers), "the other person's header stays").toEqual({ sourceHeaders: { "X-Own": "1" } });
  expect(changes(follow(edit(elsewhere), elsewhere)), "the same change twice").toBeUndefined();
});
