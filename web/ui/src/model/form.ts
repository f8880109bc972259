// The form of a new stream: what is wrong before the API is asked, and what it is sent.

import type { FieldError } from "../api/problem";
import type { OutputSettings, Session } from "../api/types";

export interface RenditionForm {
  name: string;
  language: string;
  audioProcessorUrl: string;
  fallback: string;
  rtmpUrls: string;
  /** Of all its RTMP servers. */
  takesH265: boolean;
}

export interface StreamForm {
  streamId: string;
  sourceUrl: string;
  /** `highest` or `lowest` of what a multivariant playlist offers. */
  variant: string;
  audioLanguage: string;
  /** One `Name: value` a line. */
  sourceHeaders: string;
  bufferDuration: string;
  delay: string;
  maxConcurrentBatches: string;
  hlsOutput: boolean;
  start: string;
  autostart: boolean;
  renditions: RenditionForm[];
}

export type Errors = Record<string, string>;

export function emptyRendition(defaults: Session["defaults"], name: string): RenditionForm {
  const processor = defaults?.audioProcessorUrl ?? "";
  return {
    name,
    language: "",
    // One with hidden credentials is left to the service.
    audioProcessorUrl: processor.includes("***") ? "" : processor,
    fallback: defaults?.fallback ?? "original",
    rtmpUrls: "",
    takesH265: false,
  };
}

/** The service's own default, where seldom something listens. */
const UNSET_RTMP_URL = "rtmp://localhost/live/{streamId}";

/** The RTMP URL that the service is configured with; one with a hidden key cannot be sent back. */
function configuredRtmpUrl(defaults: Session["defaults"]): string {
  const url = defaults?.srsRtmpUrl ?? "";
  return url === UNSET_RTMP_URL || url.includes("***") ? "" : url;
}

export function emptyForm(defaults: Session["defaults"]): StreamForm {
  return {
    streamId: "",
    sourceUrl: "",
    variant: "highest",
    audioLanguage: "",
    sourceHeaders: "",
    bufferDuration: String(defaults?.bufferDuration ?? 30),
    delay: String(defaults?.delay ?? 10),
    maxConcurrentBatches: String(defaults?.maxConcurrentBatches ?? 3),
    hlsOutput: defaults?.hlsOutput ?? true,
    start: defaults?.start ?? "live",
    autostart: true,
    // Further renditions would be pushed to the same place.
    renditions: [{ ...emptyRendition(defaults, "main"), rtmpUrls: configuredRtmpUrl(defaults) }],
  };
}

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const LANGUAGE = /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/;

function urlError(text: string, schemes: string[], what: string): string | undefined {
  if (text === "") return `Give ${what}`;
  const scheme = /^([a-z]+):\/\/[^/\s?#]+/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined || !schemes.includes(scheme) || /\s/.test(text)) {
    return `Must be a URL that begins with ${schemes.map((one) => `${one}://`).join(" or ")}`;
  }
  return undefined;
}

export const sourceError = (text: string) =>
  urlError(text, ["http", "https"], "the URL of a live HLS playlist");
export const processorError = (text: string) =>
  urlError(text, ["ws", "wss", "http", "https"], "the URL of the processor's Socket.IO server");

export function rtmpError(text: string): string | undefined {
  const wrong = urlError(text, ["rtmp", "rtmps"], "an RTMP URL");
  if (wrong !== undefined) return wrong;
  const path = text.replace(/^[a-z]+:\/\/[^/]+\/?/i, "").split("?")[0] ?? "";
  return path.split("/").filter(Boolean).length < 2
    ? "Needs an application and a stream key: rtmp://host/live/key"
    : undefined;
}

export function numberError(text: string, least: number, most: number, whole = false): string | undefined {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  const fits = value >= least && value <= most && (!whole || Number.isInteger(value));
  return fits ? undefined : `Must be ${whole ? "a whole number" : "a number"} from ${least} to ${most}`;
}

const HEADER = /^([!#$%&'*+.^_`|~\w-]+):\s*(\S.*)$/;

const headerLines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

/** Names and values of the lines that are headers. */
export const headersOf = (text: string): [string, string][] =>
  headerLines(text).flatMap((line) => {
    const [, name, value] = HEADER.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value]];
  });

export const headersError = (text: string): string | undefined =>
  headerLines(text).every((line) => HEADER.test(line)) ? undefined : "One header a line: Name: value";

export const languageError = (text: string): string | undefined =>
  text === "" || LANGUAGE.test(text) ? undefined : "A language tag such as de, pt-BR or zh-Hant";

export const urlLines = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** What is wrong, by the API's names of the fields; empty when nothing is. */
export function check(form: StreamForm): Errors {
  const errors: Errors = {};
  const note = (field: string, message: string | undefined) => {
    if (message !== undefined) errors[field] = message;
  };
  note(
    "streamId",
    ID.test(form.streamId) ? undefined : "1 to 64 letters, digits, - and _, the first a letter or digit",
  );
  note("sourceUrl", sourceError(form.sourceUrl));
  note("audioLanguage", languageError(form.audioLanguage));
  note("sourceHeaders", headersError(form.sourceHeaders));
  note("bufferDuration", numberError(form.bufferDuration, 2, 120));
  note("delay", numberError(form.delay, 1, 300));
  note("maxConcurrentBatches", numberError(form.maxConcurrentBatches, 1, 64, true));
  const names = new Set<string>(["original"]);
  let outputs = 0;
  form.renditions.forEach((rendition, index) => {
    const at = `renditions[${index}]`;
    const name = rendition.name.toLowerCase();
    if (!ID.test(rendition.name)) note(`${at}.name`, "1 to 64 letters, digits, - and _");
    else if (names.has(name))
      note(`${at}.name`, name === "original" ? "“Original” is the source's own sound" : "This name is taken");
    names.add(name);
    note(`${at}.language`, languageError(rendition.language));
    const processor = rendition.audioProcessorUrl;
    note(`${at}.audioProcessorUrl`, processor === "" ? undefined : processorError(processor));
    urlLines(rendition.rtmpUrls).forEach((url, number) =>
      note(`${at}.outputs[${number}].url`, rtmpError(url)),
    );
    outputs += urlLines(rendition.rtmpUrls).length;
  });
  if (!form.hlsOutput && outputs === 0)
    note("hlsOutput", "The stream has no output: leave HLS on or give an RTMP URL");
  return errors;
}

/** Only what differs from what the service does by itself. */
function sourceOptions(form: StreamForm): Record<string, unknown> {
  const headers = headersOf(form.sourceHeaders);
  return {
    ...(form.variant === "highest" ? {} : { variant: form.variant }),
    ...(form.audioLanguage === "" ? {} : { audioLanguage: form.audioLanguage }),
    ...(headers.length === 0 ? {} : { sourceHeaders: Object.fromEntries(headers) }),
  };
}

/** The outputs that a rendition's fields stand for. */
export function rtmpOutputs({
  rtmpUrls,
  takesH265,
}: Pick<RenditionForm, "rtmpUrls" | "takesH265">): OutputSettings[] {
  return urlLines(rtmpUrls).map((url) => ({ type: "rtmp", url, ...(takesH265 ? { takesH265 } : {}) }));
}

/** The body of `POST /api/streams`. */
export function requestBody(form: StreamForm): Record<string, unknown> {
  return {
    streamId: form.streamId,
    sourceUrl: form.sourceUrl,
    ...sourceOptions(form),
    bufferDuration: Number(form.bufferDuration),
    delay: Number(form.delay),
    maxConcurrentBatches: Number(form.maxConcurrentBatches),
    hlsOutput: form.hlsOutput,
    start: form.start,
    autostart: form.autostart,
    renditions: form.renditions.map((rendition) => ({
      name: rendition.name,
      ...(rendition.language === "" ? {} : { language: rendition.language }),
      ...(rendition.audioProcessorUrl === "" ? {} : { audioProcessorUrl: rendition.audioProcessorUrl }),
      fallback: rendition.fallback,
      outputs: rtmpOutputs(rendition),
    })),
  };
}

/** The API's errors by field; those of an unknown field stand under the empty name. */
export function errorsByField(errors: readonly FieldError[], known: (field: string) => boolean): Errors {
  const byField: Errors = {};
  for (const { field, message } of errors) {
    const place = known(field) ? field : "";
    byField[place] = byField[place] === undefined ? message : `${byField[place]}; ${message}`;
  }
  return byField;
}

/** A free id made of the source's host and path, to save typing. */
export function suggestId(sourceUrl: string, taken: (id: string) => boolean): string {
  const match = /^https?:\/\/([^/:?#]+)[^/?#]*([^?#]*)/i.exec(sourceUrl);
  if (!match) return "";
  const parts = (match[2] ?? "").split("/").filter((part) => part !== "" && !/\.m3u8$/i.test(part));
  const file = /([^/]+)\.m3u8$/i.exec(match[2] ?? "")?.[1];
  const telling =
    file !== undefined && !/^(index|master|playlist|live|main|chunklist)$/i.test(file) ? file : parts.at(-1);
  const host = (match[1] ?? "").replace(/^www\./, "").split(".")[0] ?? "";
  const raw = telling ?? (/^[\d.]+$/.test(match[1] ?? "") ? "stream" : host);
  const id =
    raw
      .replace(/[^A-Za-z0-9_-]+/g, "-")
      .replace(/^[-_]+|[-_]+$/g, "")
      .slice(0, 60) || "stream";
  if (!taken(id)) return id;
  let number = 2;
  while (taken(`${id}-${number}`)) number += 1;
  return `${id}-${number}`;
}
