import { expect, test } from "vitest";
import { output, rendition, stream } from "../test-data";
import { advise } from "./advice";

const down = (name: string, reason: string) => output({ name, up: false, reason });
const lastFallback = { reason: "no_reply", message: "", at: "" };

test("a fallback of long ago is not what an output's fault is about", () => {
  const recovered = stream("a", {
    state: "degraded",
    renditions: [rendition({ lastFallback })],
    outputs: [down("main/rtmp-0", "server closed the connection"), output()],
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
      down("de/rtmp-0", h265),
      down("fr/rtmp-0", h265),
      down("it/rtmp-0", "server took no data for 5 s"),
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
