// The form of a stream's settings, and what of it has changed.

import type { StreamSettings } from "../api/types";
import { type Errors, numberError, processorError, rtmpError, sourceError, urlLines } from "./form";

export interface RenditionDraft {
  name: string;
  language: string;
  audioProcessorUrl: string;
  fallback: string;
  rtmpUrls: string;
}

export interface Draft {
  sourceUrl: string;
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
    })),
  };
}

/** What is wrong with the fields that were changed; the others are as the service has them, secrets hidden. */
export function checkDraft(draft: Draft, settings: StreamSettings): Errors {
  const before = draftOf(settings);
  const errors: Errors = {};
  const note = (field: string, changed: boolean, message: string | undefined) => {
    if (changed && message !== undefined) errors[field] = message;
  };
  note("sourceUrl", draft.sourceUrl !== before.sourceUrl, sourceError(draft.sourceUrl));
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
    note(`${at}.outputs`, rendition.rtmpUrls !== old?.rtmpUrls, hidden);
  });
  return errors;
}

/** The body of a PATCH with only what has changed; nothing if nothing has. */
export function changes(draft: Draft, settings: StreamSettings): Record<string, unknown> | undefined {
  const before = draftOf(settings);
  const body: Record<string, unknown> = {};
  if (draft.sourceUrl !== before.sourceUrl) body["sourceUrl"] = draft.sourceUrl;
  for (const name of ["bufferDuration", "delay", "maxConcurrentBatches"] as const) {
    if (Number(draft[name]) !== settings[name]) body[name] = Number(draft[name]);
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
    if (rendition.rtmpUrls !== old?.rtmpUrls) {
      changed["outputs"] = urlLines(rendition.rtmpUrls).map((url) => ({ type: "rtmp", url }));
    }
    return Object.keys(changed).length === 0 ? [] : [{ name: rendition.name, ...changed }];
  });
  if (renditions.length > 0) body["renditions"] = renditions;
  return Object.keys(body).length === 0 ? undefined : body;
}
