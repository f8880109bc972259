// What to do about what is wrong; the same words as in docs/TROUBLESHOOTING.md.

import type { Stream } from "../api/types";

const FALLBACKS: Record<string, { title: string; advice: string }> = {
  not_connected: {
    title: "Processor not connected",
    advice: "Start the processor, and check its URL and the link's last fault.",
  },
  no_reply: {
    title: "No reply in time",
    advice: "Raise the delay, or make the processor faster: the histogram shows what it takes.",
  },
  busy: {
    title: "Processor busy",
    advice: "Raise “batches at once” if the processor can work on several, or raise the delay.",
  },
  too_late: {
    title: "Batch complete too late",
    advice: "After a restart or an outage this passes. If it stays, the source is fetched too slowly.",
  },
  too_large: {
    title: "Fragment too large",
    advice: "Raise maxHttpBufferSize at the processor, or lower the buffer.",
  },
  processor_error: {
    title: "Processor error",
    advice: "The processor refused the batch: its message is shown with it.",
  },
  not_audio: {
    title: "Reply is not audio",
    advice: "The processor must send fMP4, MPEG-TS, ADTS, WAV, MP3, Ogg or FLAC.",
  },
  fit_failed: {
    title: "Audio does not fit",
    advice: "The message says why. For formats other than the source's AAC, ffmpeg must be installed.",
  },
  file_error: {
    title: "File error",
    advice: "Look at the disk, and at the permissions of the storage folder.",
  },
};

export const fallbackTitle = (kind: string | undefined): string =>
  (kind === undefined ? undefined : FALLBACKS[kind]?.title) ?? "Fallback";

export const fallbackAdvice = (kind: string | undefined): string | undefined =>
  kind === undefined ? undefined : FALLBACKS[kind]?.advice;

const REASONS: [RegExp, string][] = [
  [
    /refused|resolve|unreachable|timed out|connect/i,
    "Is the URL right, is the server up, and can this machine reach it?",
  ],
  [
    /answered (40\d|41\d)|404|403|410/i,
    "The URL or its token is wrong or has expired: change the source and restart.",
  ],
  [
    /not an? (HLS )?playlist/i,
    "The URL gives something else, often a web page: the reason shows how it begins.",
  ],
  [/nothing new/i, "The encoder behind the source has stopped: look there."],
  [/private address/i, "fetch.allow_private is false and the source leads into a private network."],
  [/disk|quota/i, "Free some space, or raise storage.quota_bytes. Segments wait in the source meanwhile."],
  [
    /not supported/i,
    "Its codec or its encryption cannot be taken: video must be H.264 or H.265, encryption AES-128.",
  ],
];

/** What to do about the stream as a whole, in one or two sentences. */
export function advise(stream: Stream): string | undefined {
  switch (stream.state) {
    case "failed":
      return "It is tried again by itself. Read the last fault below, or restart it now.";
    case "waiting":
      return (
        REASONS.find(([pattern]) => pattern.test(stream.reason ?? ""))?.[1] ?? "It is tried again by itself."
      );
    case "degraded": {
      const fallen = stream.renditions.find((rendition) => rendition.lastFallback);
      const unlinked = stream.renditions.some((rendition) => !rendition.connected);
      const advice = fallbackAdvice(unlinked ? "not_connected" : fallen?.lastFallback?.reason);
      const down = stream.outputs.filter((output) => !output.up).map((output) => output.name);
      if (advice === undefined && down.length === 0) return undefined;
      return [
        advice === undefined ? "It is on air." : `It is on air with the fallback. ${advice}`,
        down.length > 0 && `Is the server of ${down.join(" and ")} up, and does it accept the stream key?`,
      ]
        .filter(Boolean)
        .join(" ");
    }
    case "ended":
      return "Start it again when the source is back.";
    default:
      return undefined;
  }
}
