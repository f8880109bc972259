// What the browser tests share: Chromium, an ear for errors, screenshots.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const SIZES = {
  phone: { width: 360, height: 760 },
  desktop: { width: 1280, height: 800 },
  wall: { width: 1920, height: 1080 },
};
const WAIT_MS = 60_000;
const shots = process.env.SHOTS ?? new URL("../../../target/page", import.meta.url).pathname;

/** Runs `test` in a fresh browser; fails on what the page's console calls an error. */
export async function inBrowser(test) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  // Root has no sandbox; without the other, a page that nobody has touched may make no sound.
  const args = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"];
  const browser = await chromium.launch({ executablePath, args });
  const context = await browser.newContext({ viewport: SIZES.desktop, locale: "en-GB" });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const errors = [];
  page.on(
    "console",
    (message) => message.type() === "error" && errors.push(`${message.text()} (${message.location().url})`),
  );
  page.on("pageerror", (error) => errors.push(String(error)));
  mkdirSync(shots, { recursive: true });
  try {
    await test(page, errors);
    assert.deepEqual(errors, [], "the console is silent");
  } catch (error) {
    await page.screenshot({ path: join(shots, "failed.png") }).catch(() => {});
    console.error(`at ${page.url()}; console: ${JSON.stringify(errors)}; see ${join(shots, "failed.png")}`);
    throw error;
  } finally {
    await browser.close();
  }
}

/** A picture at each size and in both themes; nothing may stick out at the side. */
export async function picture(page, name, sizes = Object.keys(SIZES)) {
  for (const size of sizes) {
    await page.setViewportSize(SIZES[size]);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({
        path: join(shots, `${name}-${size}-${colorScheme}.png`),
        animations: "disabled",
      });
    }
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, `${name} at ${size} sticks out by ${beyond} px`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(SIZES.desktop);
}

/** Waits until `condition`, evaluated in the page, holds. */
export const until = (page, condition, argument) =>
  page.waitForFunction(condition, argument, { timeout: WAIT_MS, polling: 100 });

/** Bytes on the wire of what the page itself is made of. */
export function countBytes(page) {
  const seen = { bytes: 0, files: 0 };
  page.on("requestfinished", async (request) => {
    if (!/^\/($|assets\/)/.test(new URL(request.url()).pathname)) return;
    const { responseBodySize, responseHeadersSize } = await request.sizes();
    seen.bytes += responseBodySize + responseHeadersSize;
    seen.files += 1;
  });
  return seen;
}
