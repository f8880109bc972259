import { expect, test } from "vitest";
import type { Output, Rendition } from "../api/types";
import { stream } from "../test-data";
import { advise } from "./advice";

const output = (name: string, reason?: string): Output => ({
  name,
  target: "",
  up: reason === undefined,
  connectionStatus: "",
  published: 0,
  missedSamples: 0,
  bytes: 0,
  maxLatenessMs: 0,
  ...(reason === undefined ? {} : { reason }),
});
const rendition = (changed: Partial<Rendition>): Rendition => ({
  name: "main",
  connected: true,
  onFallback: false,
  processed: 0,
  fallbacks: 0,
  late: 0,
  pending: 0,
  remuxed: 0,
  pendingRemux: 0,
  ...changed,
});
const lastFallback = { reason: "no_reply", message: "", at: "" };

test("a fallback of long ago is not what an output's fault is about", () => {
  const recovered = stream("a", {
    state: "degraded",
    renditions: [rendition({ lastFallback })],
    outputs: [output("main/rtmp-0", "server closed the connection"), output("hls")],
  });
  expect(advise(recovered)).toBe(
    "It is on air. main/rtmp-0: is its server up, and does it accept the stream key?",
  );
});

test("each fault has its advice, and each advice stands once", () => {
  const h265 = "server does not say that it takes H.265: if it does, set the output's takesH265";
  const degraded = stream("a", {
    state: "degraded",
    renditions: [
      rendition({ name: "de", connected: false, onFallback: true, lastFallback }),
      rendition({ name: "fr", onFallback: true, lastFallback }),
      rendition({ name: "it", onFallback: true, lastFallback }),
    ],
    outputs: [
      output("de/rtmp-0", h265),
      output("fr/rtmp-0", h265),
      output("it/rtmp-0", "server took no data for 5 s"),
    ],
  });
  expect(advise(degraded)?.split(/(?<=[.?]) /)).toEqual([
    "It is on air with the fallback.",
    "Start the processor, and check its URL and the link's last fault.",
    "Raise the delay, or make the processor faster: the histogram shows what it takes.",
    "de/rtmp-0 and fr/rtmp-0: if its server takes H.265, say so in the settings; if not, push H.264.",
    "it/rtmp-0: its server, or the network, is too slow for the stream.",
  ]);
  expect(advise(stream("a", { state: "degraded" }))).toBeUndefined();
});
