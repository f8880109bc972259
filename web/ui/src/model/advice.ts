// What to do about what is wrong; the same words as in docs/TROUBLESHOOTING.md.

import type { Output, Rendition, Stream } from "../api/types";

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

const OUTPUTS: [RegExp, string][] = [
  [/H\.265/, "if its server takes H.265, say so in the settings; if not, push H.264"],
  [/refused/i, "is its server up, is the stream key right, and does no other publisher hold it?"],
  [/no data|too slowly/, "its server, or the network, is too slow for the stream"],
  [
    /handshake/,
    "something else listens there: is it the server's RTMP port, and rtmps:// where it wants TLS?",
  ],
];
const ANY_OUTPUT = "is its server up, and does it accept the stream key?";

/** Of each rendition that is not as it should be now; each advice once. */
function renditionsAdvice(renditions: readonly Rendition[]): string[] {
  const reasons = renditions.map(({ connected, onFallback, lastFallback }) => {
    if (!connected) return "not_connected";
    return onFallback ? lastFallback?.reason : undefined;
  });
  return [...new Set(reasons)].map(fallbackAdvice).filter((advice) => advice !== undefined);
}

function outputsAdvice(outputs: readonly Output[]): string[] {
  const down = outputs.filter(({ up, reason }) => !up && reason !== undefined);
  const adviceOf = ({ reason = "" }: Output) =>
    OUTPUTS.find(([pattern]) => pattern.test(reason))?.[1] ?? ANY_OUTPUT;
  return [...new Set(down.map(adviceOf))].map((advice) => {
    const names = down.filter((output) => adviceOf(output) === advice).map(({ name }) => name);
    return `${names.join(" and ")}: ${advice}${/[?.]$/.test(advice) ? "" : "."}`;
  });
}

/** What to do about the stream as a whole, in a few sentences. */
export function advise(stream: Stream): string | undefined {
  switch (stream.state) {
    case "failed":
      return "It is tried again by itself. Read the last fault below, or restart it now.";
    case "waiting":
      return (
        REASONS.find(([pattern]) => pattern.test(stream.reason ?? ""))?.[1] ?? "It is tried again by itself."
      );
    case "degraded": {
      const advice = [...renditionsAdvice(stream.renditions), ...outputsAdvice(stream.outputs)];
      if (advice.length === 0) return undefined;
      const fallen = stream.renditions.some((rendition) => rendition.onFallback);
      return [fallen ? "It is on air with the fallback." : "It is on air.", ...advice].join(" ");
    }
    case "ended":
      return "Start it again when the source is back.";
    default:
      return undefined;
  }
}
