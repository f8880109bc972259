// Many streams, long histories and a connection that breaks, against the stand-in of the service (dev/server.mjs).
import assert from "node:assert/strict";
import { inBrowser, picture, SIZES, until } from "./kit.mjs";
import { serve } from "./stand-in.mjs";

const BATCHES = 1000;
const LINES = 10_000;
// Twice what a quiet machine takes at most: without virtual rows it is hundreds.
const FRAME_MS = 40;
const TOKEN = "let-me-in";
const SETTINGS = { BATCHES: String(BATCHES), LINES: String(LINES), TOKEN };

/** Processor time of the page's main thread so far, which a busy machine does not stretch. */
async function threadMs(devtools) {
  const { metrics } = await devtools.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "ThreadTime").value * 1000;
}

/** Scrolls through the box as fast as a hand does: main thread's time a frame, most rows at once, how many different ones. */
async function scroll(page, box, row) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
  const before = await threadMs(devtools);
  const found = await scrollThrough(page, box, row);
  return { ...found, msAFrame: (await threadMs(devtools)) / found.frames - before / found.frames };
}

const scrollThrough = (page, box, row) =>
  page.evaluate(
    async ([box, row]) => {
      const element = document.querySelector(box);
      let [frames, most] = [0, 0];
      const seen = new Set();
      element.scrollTop = 0;
      while (frames < 90) {
        element.scrollTop += 120;
        await new Promise(requestAnimationFrame);
        frames += 1;
        const rows = element.querySelectorAll(row);
        most = Math.max(most, rows.length);
        if (rows.length > 0) seen.add(rows[0].textContent);
      }
      element.scrollTop = element.scrollHeight;
      return { frames, most, seen: seen.size };
    },
    [box, row],
  );

/** Scrolls up at the moment a line has come, `rounds` times: how often the viewer was left there. */
const scrollAsLinesCome = (page, rounds) =>
  page.evaluate(async (rounds) => {
    const frame = () => new Promise(requestAnimationFrame);
    const follow = [...document.querySelectorAll("button")].find(({ innerText }) => /Follow/.test(innerText));
    const box = document.querySelector(".log-rows");
    let left = 0;
    for (let round = 0; round < rounds; round += 1) {
      if (follow.getAttribute("aria-pressed") !== "true") follow.click();
      for (let frames = 0; frames < 10; frames += 1) await frame();
      const end = box.scrollTop;
      await new Promise((resolve) => {
        const observer = new MutationObserver(() => {
          observer.disconnect();
          box.scrollTop = end - 2000;
          resolve();
        });
        observer.observe(box, { subtree: true, childList: true, attributes: true });
      });
      for (let frames = 0; frames < 10; frames += 1) await frame();
      if (box.scrollTop === end - 2000) left += 1;
    }
    return left;
  }, rounds);

let service = await serve(SETTINGS);
const { base } = service;
try {
  await inBrowser(async (page, errors) => {
    // A token is asked for, refused when wrong, and kept for the tab.
    await page.goto(base);
    await page.locator("[name=token]").fill("wrong");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("This token is not accepted").waitFor();
    await page.locator("[name=token]").fill(TOKEN);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /^7 of 52 streams need attention$/ }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: /streams need attention/ }).waitFor();
    assert.equal(
      await page.evaluate(() => localStorage.length),
      0,
      "nothing is stored for longer than the tab",
    );

    // Worst first, each with its reason.
    const states = await page
      .locator("tr.stream")
      .evaluateAll((rows) => rows.map((row) => row.dataset.state));
    assert.deepEqual(states.slice(0, 7), [
      "failed",
      "failed",
      "waiting",
      "waiting",
      "degraded",
      "degraded",
      "degraded",
    ]);
    assert.equal(await page.locator(".group-attention .reason").count(), 7);
    await picture(page, "fleet");

    // By keyboard alone: search, find, open.
    await page.keyboard.press("/");
    await page.keyboard.type("connection refused no source");
    await until(page, () => document.querySelectorAll("tr.stream").length === 2);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("Is the URL right, is the server up").waitFor();

    // On a phone every tab is seen, and what the figures say is seen whole.
    // The stand-in has no media: its player waits for a playlist's first segment.
    const empty = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n";
    await page.route("**/live/**", (route) =>
      route.fulfill({ contentType: "application/vnd.apple.mpegurl", body: empty }),
    );
    await page.goto(`${base}/#/streams/court-wien`);
    await page.locator(".tile-note").first().waitFor();
    await page.setViewportSize(SIZES.phone);
    const cut = await page
      .locator(".tabs, .tile-note")
      .evaluateAll((all) =>
        all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.innerText),
      );
    assert.deepEqual(cut, []);
    await page.setViewportSize(SIZES.desktop);

    // A thousand batches and ten thousand lines: only what is seen is in the document.
    await page.goto(`${base}/#/streams/court-wien/batches`);
    for (let pages = 0; pages < 2; pages += 1) await page.getByRole("button", { name: "Load older" }).click();
    await page.getByRole("heading", { name: /^1,0\d\d batches$/ }).waitFor();
    const batches = await scroll(page, ".waterfall-rows", ".wf-row");
    assert.ok(batches.most < 100 && batches.seen > 40, JSON.stringify(batches));
    await page.locator(".waterfall-rows").focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowDown");
    await page.getByRole("heading", { name: /^Batch \d+$/ }).waitFor();
    await page.goto(`${base}/#/streams/court-wien/log`);
    await page.getByText("All", { exact: true }).click();
    await until(
      page,
      (least) => Number(/([\d,]+) lines/.exec(document.body.innerText)?.[1].replace(",", "")) >= least,
      LINES,
    );
    assert.equal(await scrollAsLinesCome(page, 3), 3, "a new line does not take the viewer away");
    const lines = await scroll(page, ".log-rows", ".log-line");
    assert.ok(lines.most < 100 && lines.seen > 40, JSON.stringify(lines));
    await page.getByLabel("Search the log").fill("deadline");
    await page.locator(".log-line mark").first().waitFor();
    console.log(
      `main thread a frame: ${batches.msAFrame.toFixed(1)} ms with ${BATCHES} batches, ${lines.msAFrame.toFixed(1)} ms with ${LINES} log lines`,
    );
    assert.ok(batches.msAFrame < FRAME_MS && lines.msAFrame < FRAME_MS, "scrolling is smooth");

    // The connection breaks: it says so, and heals with what is true then.
    await page.goto(`${base}/#/`);
    const known = errors.length;
    await service.stop();
    await page.getByText("Connection lost.").waitFor();
    await page.getByText("What is shown may be old").waitFor();
    // The seconds that count down are not read out.
    const readOut = page.getByRole("status").filter({ hasText: "The service cannot be reached" });
    assert.doesNotMatch(await readOut.innerText(), /Next try|Trying/);
    await page
      .locator(".banner")
      .getByText(/Next try in|Trying/)
      .waitFor();
    await picture(page, "lost", ["phone", "desktop"]);
    service = await serve(SETTINGS, Number(new URL(base).port));
    await page.getByText("Connection lost.").waitFor({ state: "detached" });
    await page.getByRole("heading", { name: /streams need attention/ }).waitFor();

    // It is started anew with another token: that one is asked for.
    await service.stop();
    service = await serve({ ...SETTINGS, TOKEN: "another" }, Number(new URL(base).port));
    await page.getByText("The token is no longer accepted").waitFor();
    await page.locator("[name=token]").fill("another");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.locator("html:not([data-stale])").waitFor();
    // The browser says of each request that it was cut off, refused or answered nothing.
    const expected = /net::ERR_|WebSocket|401/;
    errors.push(...errors.splice(known).filter((error) => !expected.test(error)));
  });
} finally {
  await service.stop();
}
