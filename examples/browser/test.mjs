// Drives the page in a headless Chromium and prints a line of JSON per recording:
//   npm test -- MODEL.onnx AUDIO... [--mic AUDIO.wav] [--screenshot FILE.png]
// CHROMIUM names a browser other than /usr/bin/chromium.

import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import sirv from "sirv";

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    mic: { type: "string" }, // played to the page as its microphone
    screenshot: { type: "string" }, // of the last recording
    width: { type: "string", default: "1200" },
    dark: { type: "boolean" },
  },
});

const server = createServer(answer).listen(0, "localhost");
await new Promise((ready) => server.once("listening", ready));
const origin = `http://localhost:${server.address().port}`;

const problems = [];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    ...(options.mic
      ? [`--use-file-for-fake-audio-capture=${resolve(options.mic)}`]
      : []),
  ],
});
try {
  const page = await openPage();
  for (let i = 1; i < files.length; i++) await scoreFile(page, i);
  if (options.mic) await scoreMicrophone(page);
  if (options.screenshot) {
    await page.screenshot({ path: options.screenshot, fullPage: true });
  }
} finally {
  await browser.close();
  server.close();
}
if (problems.length) throw new Error(problems.join("\n"));

/** Serves this folder, and as /given/I/NAME the files of the command line. */
function answer(request, response) {
  const i = request.url.match(/^\/given\/(\d+)\//)?.[1];
  if (i) createReadStream(files[i]).pipe(response);
  else sirv(import.meta.dirname, { dev: true })(request, response);
}

function address(i) {
  return `/given/${i}/${encodeURIComponent(basename(files[i]))}`;
}

/** A page that may ask nobody but this server for anything. */
async function openPage() {
  const page = await browser.newPage({
    viewport: { width: Number(options.width), height: 800 },
    colorScheme: options.dark ? "dark" : "light",
  });
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("request", (request) => {
    if (/^https?:/.test(request.url()) && !request.url().startsWith(origin)) {
      problems.push(`The page asked for ${request.url()}.`);
    }
  });
  return page;
}

async function scoreFile(page, i) {
  const query = new URLSearchParams({ model: address(0), audio: address(i) });
  await page.goto(`${origin}/?${query}`);
  await reach(page, "done");
  await print(page);
}

/** Records until the window is full. */
async function scoreMicrophone(page) {
  await page.goto(`${origin}/?${new URLSearchParams({ model: address(0) })}`);
  await reach(page, "ready");
  await page.click("#microphone");
  await reach(page, "recording");
  await page.waitForFunction(() => {
    const text = document.getElementById("results").textContent;
    return text && JSON.parse(text).windows[0][0] > 0;
  });
  await print(page);
}

async function reach(page, state) {
  const wanted = `body:is([data-state="${state}"], [data-state="error"])`;
  await page.waitForSelector(wanted, { timeout: 600_000 });
  if (await page.locator("[data-state=error]").count()) {
    throw new Error(await page.textContent("#status"));
  }
}

async function print(page) {
  const result = JSON.parse(await page.textContent("#results"));
  console.log(JSON.stringify({ ...result, windows: result.windows.length }));
}
