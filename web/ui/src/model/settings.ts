// The form of a stream's settings, and what of it has changed.

import type { StreamSettings } from "../api/types";
import {
  type Errors,
  headersError,
  headersOf,
  languageError,
  numberError,
  processorError,
  rtmpError,
  rtmpOutputs,
  sourceError,
  urlLines,
} from "./form";

export interface RenditionDraft {
  name: string;
  language: string;
  audioProcessorUrl: string;
  fallback: string;
  rtmpUrls: string;
  takesH265: boolean;
}

export interface Draft {
  sourceUrl: string;
  /** `highest`, `lowest`, or limits as JSON. */
  variant: string;
  audioLanguage: string;
  /** One `Name: value` a line; a value that is hidden stays. */
  sourceHeaders: string;
  bufferDuration: string;
  delay: string;
  maxConcurrentBatches: string;
  hlsOutput: boolean;
  start: string;
  renditions: RenditionDraft[];
}

export function draftOf(settings: StreamSettings): Draft {
  return {
    sourceUrl: settings.sourceUrl,
    variant: variantText(settings.variant),
    audioLanguage: settings.audioLanguage ?? "",
    sourceHeaders: Object.entries(settings.sourceHeaders ?? {})
      .map(([name, value]) => `${name}: ${value}`)
      .join("\n"),
    bufferDuration: String(settings.bufferDuration),
    delay: String(settings.delay),
    maxConcurrentBatches: String(settings.maxConcurrentBatches),
    hlsOutput: settings.hlsOutput,
    start: settings.start,
    renditions: settings.renditions.map((rendition) => ({
      name: rendition.name,
      language: rendition.language ?? "",
      audioProcessorUrl: rendition.audioProcessorUrl,
      fallback: rendition.fallback,
      rtmpUrls: rendition.outputs.map((output) => output.url).join("\n"),
      takesH265: rendition.outputs.some((output) => output.takesH265 === true),
    })),
  };
}

/** What somebody makes of the settings, and the settings that they began with. */
export interface Edit<T = Draft> {
  draft: T;
  before: T;
}

/** The edit after the settings have changed elsewhere: fields that were left alone follow. */
export function follow(edit: Edit, current: Draft): Edit {
  const renditions = current.renditions.map((rendition) => {
    const named = (draft: Draft) => draft.renditions.find((one) => one.name === rendition.name) ?? rendition;
    return followFields({ draft: named(edit.draft), before: named(edit.before) }, rendition);
  });
  const { draft, before } = followFields(edit, current);
  return {
    draft: { ...draft, renditions: renditions.map((one) => one.draft) },
    before: { ...before, renditions: renditions.map((one) => one.before) },
  };
}

function followFields<T extends object>({ draft, before }: Edit<T>, current: T): Edit<T> {
  const names = Object.keys(current) as (keyof T)[];
  const touched = names.filter((name) => draft[name] !== before[name] && draft[name] !== current[name]);
  const own = (from: T) => Object.fromEntries(touched.map((name) => [name, from[name]]));
  return { draft: { ...current, ...own(draft) }, before: { ...current, ...own(before) } };
}

const HIDDEN = "***";

const variantText = (variant: StreamSettings["variant"]): string =>
  typeof variant === "object" ? JSON.stringify(variant) : (variant ?? "highest");

/** Headers by name with what becomes of them: a new value, or null for one that is to go. */
function headerChanges(text: string, before: string): Record<string, string | null> {
  const now = headersOf(text);
  const kept = new Set(now.map(([name]) => name.toLowerCase()));
  const gone = headersOf(before).filter(([name]) => !kept.has(name.toLowerCase()));
  return Object.fromEntries([
    ...gone.map(([name]) => [name, null]),
    ...now.filter(([, value]) => value !== HIDDEN),
  ]);
}

function headerError(text: string, before: string): string | undefined {
  const known = new Set(headersOf(before).map(([name]) => name.toLowerCase()));
  const hidden = headersOf(text).find(([name, value]) => value === HIDDEN && !known.has(name.toLowerCase()));
  return headersError(text) ?? (hidden === undefined ? undefined : `Give the value of ${hidden[0]}`);
}

/** What is wrong with the fields that were changed; the others are as the service has them, secrets hidden. */
export function checkDraft({ draft, before }: Edit): Errors {
  const errors: Errors = {};
  const note = (field: string, changed: boolean, message: string | undefined) => {
    if (changed && message !== undefined) errors[field] = message;
  };
  note("sourceUrl", draft.sourceUrl !== before.sourceUrl, sourceError(draft.sourceUrl));
  note("audioLanguage", true, languageError(draft.audioLanguage));
  note("sourceHeaders", true, headerError(draft.sourceHeaders, before.sourceHeaders));
  note("bufferDuration", true, numberError(draft.bufferDuration, 2, 120));
  note("delay", true, numberError(draft.delay, 1, 300));
  note("maxConcurrentBatches", true, numberError(draft.maxConcurrentBatches, 1, 64, true));
  draft.renditions.forEach((rendition, index) => {
    const old = before.renditions[index];
    const at = `renditions[${index}]`;
    note(
      `${at}.audioProcessorUrl`,
      rendition.audioProcessorUrl !== old?.audioProcessorUrl,
      processorError(rendition.audioProcessorUrl),
    );
    const wrong = urlLines(rendition.rtmpUrls)
      .map(rtmpError)
      .find((error) => error !== undefined);
    const hidden = rendition.rtmpUrls.includes("***")
      ? "Give every address in full: keys are not shown here"
      : wrong;
    note(`${at}.outputs`, outputsChanged(rendition, old), hidden);
  });
  return errors;
}

const outputsChanged = (rendition: RenditionDraft, old: RenditionDraft | undefined) =>
  rendition.rtmpUrls !== old?.rtmpUrls || rendition.takesH265 !== old.takesH265;

/** The body of a PATCH with only what has changed; nothing if nothing has. */
export function changes({ draft, before }: Edit): Record<string, unknown> | undefined {
  const body: Record<string, unknown> = {};
  if (draft.sourceUrl !== before.sourceUrl) body["sourceUrl"] = draft.sourceUrl;
  if (draft.variant !== before.variant)
    body["variant"] = draft.variant.startsWith("{") ? JSON.parse(draft.variant) : draft.variant;
  if (draft.audioLanguage !== before.audioLanguage)
    body["audioLanguage"] = draft.audioLanguage === "" ? null : draft.audioLanguage;
  const headers = headerChanges(draft.sourceHeaders, before.sourceHeaders);
  if (Object.keys(headers).length > 0) body["sourceHeaders"] = headers;
  for (const name of ["bufferDuration", "delay", "maxConcurrentBatches"] as const) {
    if (Number(draft[name]) !== Number(before[name])) body[name] = Number(draft[name]);
  }
  if (draft.hlsOutput !== before.hlsOutput) body["hlsOutput"] = draft.hlsOutput;
  if (draft.start !== before.start) body["start"] = draft.start;
  const renditions = draft.renditions.flatMap((rendition, index) => {
    const old = before.renditions[index];
    const changed: Record<string, unknown> = {};
    if (rendition.language !== old?.language)
      changed["language"] = rendition.language === "" ? null : rendition.language;
    if (rendition.audioProcessorUrl !== old?.audioProcessorUrl)
      changed["audioProcessorUrl"] = rendition.audioProcessorUrl;
    if (rendition.fallback !== old?.fallback) changed["fallback"] = rendition.fallback;
    if (outputsChanged(rendition, old)) changed["outputs"] = rtmpOutputs(rendition);
    return Object.keys(changed).length === 0 ? [] : [{ name: rendition.name, ...changed }];
  });
  if (renditions.length > 0) body["renditions"] = renditions;
  return Object.keys(body).length === 0 ? undefined : body;
}
