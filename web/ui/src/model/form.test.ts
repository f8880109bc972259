import { expect, test } from "vitest";
import { check, emptyForm, emptyRendition, errorsByField, requestBody, suggestId } from "./form";

const filled = () => ({ ...emptyForm(undefined), streamId: "news", sourceUrl: "https://host/live.m3u8" });

test("a form with a source and a name is complete", () => {
  expect(check(filled())).toEqual({});
});

test("every field is checked by the API's rules and named as there", () => {
  const form = {
    ...filled(),
    streamId: "-x",
    sourceUrl: "ftp://host",
    bufferDuration: "1",
    delay: "",
    maxConcurrentBatches: "2.5",
  };
  expect(Object.keys(check(form))).toEqual([
    "streamId",
    "sourceUrl",
    "bufferDuration",
    "delay",
    "maxConcurrentBatches",
  ]);
});

test("renditions are checked each, and their names must differ", () => {
  const wrong = {
    ...emptyRendition(undefined, "MAIN"),
    language: "de_AT",
    audioProcessorUrl: "x",
    rtmpUrls: "rtmp://host/live/ok rtmp://host/live",
  };
  const form = { ...filled(), renditions: [emptyRendition(undefined, "main"), wrong] };
  expect(Object.keys(check(form))).toEqual([
    "renditions[1].name",
    "renditions[1].language",
    "renditions[1].audioProcessorUrl",
    "renditions[1].outputs[1].url",
  ]);
  expect(check({ ...filled(), renditions: [emptyRendition(undefined, "Original")] })).toHaveProperty([
    "renditions[0].name",
  ]);
});

test("a stream without any output is refused", () => {
  expect(Object.keys(check({ ...filled(), hlsOutput: false }))).toEqual(["hlsOutput"]);
});

test("the request bears numbers, outputs and no empty language", () => {
  const form = {
    ...filled(),
    renditions: [{ ...emptyRendition(undefined, "main"), rtmpUrls: " rtmp://h/live/{streamId}\n" }],
  };
  expect(requestBody(form)).toMatchObject({
    streamId: "news",
    bufferDuration: 30,
    renditions: [{ name: "main", outputs: [{ type: "rtmp", url: "rtmp://h/live/{streamId}" }] }],
  });
  expect(JSON.stringify(requestBody(form))).not.toContain("language");
  const told = { ...form, renditions: form.renditions.map((one) => ({ ...one, takesH265: true })) };
  expect(requestBody(told)).toMatchObject({
    renditions: [{ outputs: [{ type: "rtmp", url: "rtmp://h/live/{streamId}", takesH265: true }] }],
  });
});

test("what is said of the source is sent only where it is no default", () => {
  expect(Object.keys(requestBody(filled()))).not.toContain("variant");
  const form = {
    ...filled(),
    variant: "lowest",
    audioLanguage: "de",
    sourceHeaders: "Referer: http://a/\n X-Key:  7 \n",
  };
  expect(check(form)).toEqual({});
  expect(requestBody(form)).toMatchObject({
    variant: "lowest",
    audioLanguage: "de",
    sourceHeaders: { Referer: "http://a/", "X-Key": "7" },
  });
  const wrong = { ...filled(), audioLanguage: "d", sourceHeaders: "no header" };
  expect(Object.keys(check(wrong))).toEqual(["audioLanguage", "sourceHeaders"]);
});

test("the API's errors stand at their fields, those of unknown fields at the form", () => {
  const errors = [
    { field: "delay", message: "too long" },
    { field: "delay", message: "too late" },
    { field: "colour", message: "unknown" },
  ];
  expect(errorsByField(errors, (field) => field === "delay")).toEqual({
    delay: "too long; too late",
    "": "unknown",
  });
});

test("a name is suggested from the source's address, and a free one", () => {
  const none = () => false;
  expect(suggestId("https://www.example.com/live/news/index.m3u8", none)).toBe("news");
  expect(suggestId("https://example.com/channel_1.m3u8?token=x", none)).toBe("channel_1");
  expect(suggestId("https://example.com/", none)).toBe("example");
  expect(suggestId("http://127.0.0.1:8080/index.m3u8", none)).toBe("stream");
  expect(suggestId("http://[::1]:80/a b/ü.m3u8", none)).toMatch(/^[A-Za-z0-9][\w-]*$/);
  expect(suggestId("https://h/news/index.m3u8", (id) => id === "news" || id === "news-2")).toBe("news-3");
  expect(suggestId("nonsense", none)).toBe("");
});

test("the configured RTMP URL stands in the form, unless it is the built-in one or hides a key", () => {
  const pushed = (srsRtmpUrl: string) => emptyForm({ srsRtmpUrl }).renditions[0]?.rtmpUrls;
  expect(pushed("rtmp://srs/live/{streamId}")).toBe("rtmp://srs/live/{streamId}");
  for (const none of ["", "rtmp://localhost/live/{streamId}", "rtmp://cdn/live/***"])
    expect(pushed(none), none).toBe("");
});
