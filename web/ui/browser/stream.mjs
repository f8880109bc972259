// One stream's view, by mouse and by keyboard, against the stand-in of the service (dev/server.mjs).
import assert from "node:assert/strict";
import { tone } from "../dev/tone.mjs";
import { inBrowser, picture, until } from "./kit.mjs";
import { serve } from "./stand-in.mjs";

const ID = "news-berlin";
/** How long each language's sound is, by which it is told what plays. */
const SOUND_S = { de: 1, fr: 2 };

const seconds = (ago) => new Date(Date.now() - ago * 1000).toISOString();
const batch = (times) => ({
  batch: 2000,
  state: "demuxed",
  firstSegment: 1,
  lastSegment: 5,
  duration: 30,
  epoch: 0,
  times: { collected: seconds(5), demuxed: seconds(4) },
  deadline: seconds(-60),
  airTime: seconds(-70),
  renditions: Object.keys(SOUND_S).map((name) => ({
    name,
    state: "sent",
    times: { sent: seconds(4), ...times },
  })),
});

/** The stream's socket brings one batch alone; the answer says another state of it. */
async function withOneBatch(page, shown) {
  let say;
  await page.routeWebSocket(/streamId=/, (socket) => {
    say = (next) =>
      socket.send(JSON.stringify({ v: 1, at: seconds(0), type: "batch", streamId: ID, batch: next }));
    socket.connectToServer().onMessage((text) => {
      const event = JSON.parse(text);
      if (event.type === "snapshot") event.batches[ID] = [shown];
      if (event.type !== "batch") socket.send(JSON.stringify(event));
    });
  });
  return (next) => say(next);
}

async function comparesWhatIsShown(page, base) {
  await page.addInitScript(() => {
    globalThis.played = [];
    const { start } = AudioBufferSourceNode.prototype;
    AudioBufferSourceNode.prototype.start = function (...when) {
      globalThis.played.push(this.buffer.duration);
      start.apply(this, when);
    };
  });
  await page.route("**/audio?*", (route) => {
    const { searchParams } = new URL(route.request().url());
    const body = tone(searchParams.get("track"), 1, SOUND_S[searchParams.get("rendition")]);
    return route.fulfill({ contentType: "audio/wav", body });
  });
  const say = await withOneBatch(page, batch({}));
  const plays = async () => {
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    return page.evaluate(() => globalThis.played.splice(0));
  };

  await page.goto(`${base}/#/streams/${ID}/batches/2000`);
  await page.getByRole("slider", { name: "Waveform: Original" }).waitFor();
  await page.getByText("nothing came back").waitFor();
  say(batch({ processed: seconds(1), remuxed: seconds(0) }));
  await page.getByRole("slider", { name: "Waveform: On air" }).waitFor();
  assert.deepEqual(await plays(), [1, 1, 1], "all that is shown plays once the reply has come");
  await page.getByRole("radio", { name: "fr" }).check({ force: true });
  await page.locator(".compare-bar").getByText("2.0 s").waitFor();
  assert.deepEqual(await plays(), [2, 2, 2], "the language that is shown is the one that plays");
}

const MASTER = `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="main",DEFAULT=YES,AUTOSELECT=YES,URI="main.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Original",AUTOSELECT=YES,URI="original.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1000000,CODECS="avc1.64001f,mp4a.40.2",AUDIO="sound"
video.m3u8
`;
const EMPTY = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n";

/** An output with two sound tracks and no segment yet; the answer takes it away and brings it back. */
async function withOutput(page) {
  let there = true;
  await page.route("**/live/**", (route) => {
    if (!there) return route.fulfill({ status: 404, body: "" });
    const body = route.request().url().endsWith("/index.m3u8") ? MASTER : EMPTY;
    return route.fulfill({ contentType: "application/vnd.apple.mpegurl", body });
  });
  return (now) => (there = now);
}

async function isWalkedByKeyboard(page, base) {
  await withOutput(page);
  await page.goto(`${base}/#/streams/${ID}`);
  const rows = page.locator(".waterfall-rows");
  await rows.locator(".wf-row").first().waitFor();
  await rows.focus();
  for (const key of ["ArrowDown", "ArrowDown", "End", "ArrowUp"]) await page.keyboard.press(key);
  const number = await rows.locator(".wf-selected").getAttribute("data-batch");
  assert.equal(new URL(page.url()).hash, `#/streams/${ID}`, "moving through the rows stays on the page");
  await picture(page, "overview-keys", ["desktop"]);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: `Batch ${number}` }).waitFor();

  await page.goto(`${base}/#/streams/${ID}/log`);
  await page.locator(".log-line").first().waitFor();
  await page.locator(".log-rows").focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  const line = await page.locator(".log-selected .log-text").innerText();
  await page.keyboard.press("Enter");
  const [message] = line.split(/ \w+=/);
  await page.getByRole("region", { name: "The chosen line" }).getByText(message).waitFor();
  await picture(page, "log-keys", ["phone", "desktop"]);
}

async function saysThatItsSocketIsCut(page, base) {
  let refused = false;
  const open = [];
  await page.routeWebSocket(/streamId=/, (socket) => {
    if (refused) return socket.close();
    open.push(socket);
    return socket.connectToServer();
  });
  await page.goto(`${base}/#/streams/${ID}/log`);
  await page.locator(".log-line").first().waitFor();
  refused = true;
  for (const socket of open.splice(0)) await socket.close();
  await page.getByText("The service answers, but its events do not come through").waitFor();
  await page.locator("html[data-stale]").waitFor();
  await picture(page, "cut", ["phone", "desktop"]);
  await fetch(`${base}/api/streams/${ID}`, { method: "PATCH", body: '{"maxConcurrentBatches":7}' });
  // Let in by the press itself: a retry of the page's own would take the button away before it.
  await page.exposeFunction("letIn", () => {
    refused = false;
  });
  await page.evaluate(() =>
    document.addEventListener("click", () => window.letIn(), { capture: true, once: true }),
  );
  await page.getByRole("button", { name: "Try now" }).click();
  await page.locator("html:not([data-stale])").waitFor();
  await page.locator(".log-line", { hasText: "changed on request" }).waitFor();
}

async function keepsTheTrack(page, base, errors) {
  const setThere = await withOutput(page);
  await page.goto(`${base}/#/streams/${ID}`);
  await page.getByRole("radio", { name: "Original" }).check({ force: true });
  setThere(false);
  await page.getByText("It is tried again").waitFor();
  setThere(true);
  await page.waitForRequest("**/index.m3u8");
  await page.waitForRequest("**/original.m3u8");
  await until(page, () => document.querySelector(".player-bar :checked")?.value === "1");
  errors.splice(0, errors.length, ...errors.filter((error) => !/404.*\/live\//.test(error)));
}

async function undoesNobodysChange(page, base) {
  await page.goto(`${base}/#/streams/${ID}/settings`);
  await page.locator("[name=delay]").fill("12");
  await fetch(`${base}/api/streams/${ID}`, { method: "PATCH", body: '{"maxConcurrentBatches":7}' });
  await until(page, () => document.querySelector("[name=maxConcurrentBatches]")?.value === "7");
  const sent = page.waitForRequest((request) => request.method() === "PATCH");
  await page.getByRole("button", { name: "Change", exact: true }).click();
  assert.deepEqual((await sent).postDataJSON(), { delay: 12 });
  await page.getByText("Nothing has been changed").waitFor();
}

async function knowsTheRtmpServer(page, base) {
  await page.goto(`${base}/#/new`);
  const pushed = await page.locator("[name='renditions[0].outputs[0].url']").inputValue();
  assert.equal(pushed, "rtmp://srs/live/{streamId}");
}

for (const test of [
  comparesWhatIsShown,
  isWalkedByKeyboard,
  saysThatItsSocketIsCut,
  keepsTheTrack,
  undoesNobodysChange,
  knowsTheRtmpServer,
]) {
  const service = await serve({ STREAMS: "2", BATCHES: "100", LINES: "300" });
  try {
    await inBrowser((page, errors) => test(page, service.base, errors));
  } finally {
    await service.stop();
  }
}
