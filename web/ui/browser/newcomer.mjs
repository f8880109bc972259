// A newcomer creates a stream, watches it, compares the sounds, loses the processor, and stops.
// BASE is the service, SOURCE a live playlist, PROCESSOR a processor's URL, PROCESSOR_PID its process.
import assert from "node:assert/strict";
import { countBytes, inBrowser, picture, until } from "./kit.mjs";

const { BASE, SOURCE, PROCESSOR, PROCESSOR_PID } = process.env;
const MOST_BYTES = 300_000;

const playing = (page, beyond) =>
  until(
    page,
    (least) => {
      const video = document.querySelector("video");
      return video !== null && video.error === null && video.currentTime > least && !video.paused;
    },
    beyond,
  );
const time = (page) => page.evaluate(() => document.querySelector("video")?.currentTime ?? 0);

async function plays(page) {
  await playing(page, 0);
  await playing(page, (await time(page)) + 1);
}

await inBrowser(async (page, errors) => {
  const bytes = countBytes(page);
  await page.goto(BASE);
  await page.getByRole("heading", { name: "No stream yet" }).waitFor();
  const paint = await page.evaluate(
    () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
  );
  console.log(
    `first paint after ${Math.round(paint)} ms, ${Math.round(bytes.bytes / 1000)} kB in ${bytes.files} files`,
  );
  assert.ok(bytes.bytes > 1000 && bytes.bytes < MOST_BYTES, `${bytes.bytes} bytes are loaded first`);
  await picture(page, "empty", ["phone", "desktop"]);

  // The form says what is wrong where it is wrong: its own words, then the service's.
  await page.getByRole("link", { name: "New stream" }).click();
  await page.getByRole("button", { name: "Create and start" }).click();
  await page.getByText("Give the URL of a live HLS playlist").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("name")), "sourceUrl");
  await page.locator("[name=sourceUrl]").fill("http://:80/live.m3u8");
  await page.locator("[name=streamId]").fill("first");
  await page.locator("[name='renditions[0].audioProcessorUrl']").fill(PROCESSOR);
  await page.getByRole("button", { name: "Create and start" }).click();
  await page
    .locator(".field", { has: page.locator("[name=sourceUrl]") })
    .getByText(/sourceUrl/)
    .waitFor();
  await picture(page, "form", ["phone", "desktop"]);
  // The browser notes the refusal that was asked for.
  assert.match(errors.splice(0, 1).join(), /status of 400.*api\/streams/);

  await page.locator("[name=sourceUrl]").fill(SOURCE);
  await page.getByText("Timing and outputs").click();
  await page.locator("[name=bufferDuration]").fill("4");
  await page.locator("[name=delay]").fill("6");
  await page.getByRole("button", { name: "Create and start" }).click();
  await page.getByRole("heading", { name: "first" }).waitFor();

  // It plays, by itself, and either track.
  await plays(page);
  assert.ok(
    await page.getByRole("radio", { name: "main" }).isChecked(),
    "the processed sound is heard first",
  );
  await picture(page, "stream");
  const original = page.waitForRequest((request) => /\/live\/first\/.*original/i.test(request.url()));
  await page.getByRole("radio", { name: "Original" }).check({ force: true });
  await original;
  await plays(page);

  // A batch's sounds side by side.
  await page.getByRole("link", { name: "Batches", exact: true }).click();
  await page.locator(".wf-good").first().click();
  for (const track of ["Original", "Processed", "On air"])
    await page.getByRole("slider", { name: `Waveform: ${track}` }).waitFor();
  await page.getByRole("button", { name: "Play", exact: true }).click();
  await until(page, () => Number.parseFloat(document.querySelector(".wave-head")?.style.left ?? "0") > 5);
  await picture(page, "batch");
  for (const tab of ["Log", "Storage", "Settings"]) {
    await page.getByRole("link", { name: tab, exact: true }).click();
    if (tab === "Log") await page.locator(".log-line").first().waitFor();
    if (tab === "Storage") await page.getByText("Segments of the source").waitFor();
    await picture(page, tab.toLowerCase(), ["phone", "desktop"]);
  }

  // Without the processor it goes on, and says why, in the list too.
  process.kill(Number(PROCESSOR_PID), "SIGKILL");
  await page.getByRole("link", { name: "Overview" }).click();
  await page
    .getByText(/processor of main is not connected/i)
    .first()
    .waitFor();
  await page.locator(".wf-fallback").first().waitFor();
  assert.match(await page.locator(".wf-fallback").first().innerText(), /not connected|no reply/i);
  await plays(page);
  await picture(page, "fallback", ["phone", "desktop"]);
  await page.getByRole("link", { name: "Streams", exact: true }).click();
  await page.getByRole("heading", { name: "The stream needs attention" }).waitFor();
  await page.locator("tr[data-state=degraded] .reason", { hasText: /not connected/i }).waitFor();
  assert.match(await page.title(), /^\(1\)/);
  await picture(page, "list-degraded");

  // What changes live, then the end.
  await page.getByRole("button", { name: "Stop first" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Stop", exact: true }).click();
  await page.locator("tr[data-state=stopped]").waitFor();
  await page.getByRole("button", { name: "Delete first" }).click();
  await page.getByRole("dialog").getByLabel("Delete its files too").check();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("heading", { name: "No stream yet" }).waitFor();
  console.log(`all views: ${Math.round(bytes.bytes / 1000)} kB in ${bytes.files} files`);
  assert.ok(bytes.bytes < MOST_BYTES, `${bytes.bytes} bytes make up all views`);
});
