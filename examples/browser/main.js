// The page: what happens when a model, a recording or the microphone is chosen.

import { download, exists, onFiles } from "./files.js";
import { record, Ring } from "./microphone.js";
import { loadModel } from "./model.js";
import { best, meanScores } from "./scores.js";
import { decode } from "./audio.js";
import { View } from "./view.js";
import { windows } from "./windows.js";

const LIVE_INTERVAL = 0.5; // seconds from one scored window to the next
const LIVE_VIEW = 10; // seconds on the screen, or two windows if that is more
const DEFAULT_MODEL = "classifier.onnx"; // beside this page

const $ = (id) => document.getElementById(id);

let model;
let audio; // the file that is shown
let view;
let stopMicrophoneStream;
let newest = 0; // task; older ones end when they notice

/** Starts a task in place of the one before, and shows its error. */
async function start(task, ...args) {
  stopMicrophone();
  const mine = ++newest;
  const isNewest = () => mine === newest;
  try {
    await task(...args, isNewest);
  } catch (error) {
    if (isNewest()) say("error", error.message);
  }
}

async function openModel(file, isNewest) {
  say("loading", `Loading ${file.name} …`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const loaded = await loadModel(bytes, file.name);
  if (!isNewest()) return loaded.release();
  model?.release();
  model = loaded;
  const { class_names: names, sample_rate: rate, variant } = model;
  const resolutions = model.cascade?.resolutions ?? [model.resolution];
  $("model-name").textContent = model.name;
  $("model-facts").textContent =
    `${names.length} classes, windows of ${model.num_samples / rate} s at ` +
    `${rate / 1000} kHz, resolution ${resolutions.join(", then ")}, ${variant}`;
  $("audio-file").disabled = $("microphone").disabled = false;
  say("ready", "Choose a recording, or use the microphone.");
  if (audio) await openAudio(audio, isNewest);
}

async function openAudio(file, isNewest) {
  if (!model) throw new Error(`${file.name} needs a model; choose that first.`);
  say("scoring", `Decoding ${file.name} …`);
  const samples = await decode(file, model.sample_rate);
  if (!isNewest()) return;
  audio = file;
  view = new View(model);
  view.showFile(file, samples);
  const spans = windows(samples.length, model.num_samples);
  const began = performance.now();
  say("scoring", `Scoring ${file.name} …`);
  for (const span of spans) {
    const found = await model.score(samples.subarray(span.start, span.end));
    if (!isNewest()) return;
    view.addWindow({ ...span, ...found });
  }
  view.draw();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  publish(file.name, meanScores(view.windows), view.windows);
  say(
    "done",
    `Scored in ${seconds} s. Play, or point at a plot, to see one window.`,
  );
}

async function openMicrophone(isNewest) {
  say("loading", "Waiting for the microphone …");
  const { sample_rate: rate, num_samples: length } = model;
  const ring = new Ring(length);
  let scored = 0; // samples received when the last window was taken
  let busy = false;
  const stop = await record(rate, receive);
  if (!isNewest()) return stop();
  stopMicrophoneStream = stop;
  audio = undefined;
  view = new View(model);
  view.showLive(Math.max(LIVE_VIEW * rate, 2 * length));
  $("microphone").textContent = "Stop microphone";
  say("recording", `Recording, scores every ${LIVE_INTERVAL} s.`);

  function receive(chunk) {
    if (!stopMicrophoneStream || !isNewest()) return;
    ring.write(chunk);
    view.advance(chunk, ring.total);
    if (busy || ring.total - scored < LIVE_INTERVAL * rate) return;
    scoreLatest().catch(({ message }) => say("error", message));
  }

  async function scoreLatest() {
    const latest = ring.latest();
    const end = ring.total;
    const window = { start: end - latest.length, end, cell: [scored, end] };
    scored = end;
    busy = true;
    const found = await model.score(latest).finally(() => (busy = false));
    if (!isNewest()) return;
    view.addWindow({ ...window, ...found });
    publish("microphone", found.scores, [{ ...window, ...found }]);
  }
}

function stopMicrophone() {
  if (!stopMicrophoneStream) return;
  stopMicrophoneStream();
  stopMicrophoneStream = undefined;
  newest++; // what is being scored comes too late
  $("microphone").textContent = "Use microphone";
  say("ready", "The microphone is off.");
}

/** Shows the status as text, and as the state of the page. */
function say(state, text) {
  document.body.dataset.state = state;
  $("status").textContent = text;
}

/** Leaves the result in the page as JSON, for programs; times in seconds. */
function publish(name, scores, windows) {
  const rate = model.sample_rate;
  const result = {
    audio: name,
    top: model.class_names[best(scores, 1)[0]],
    scores: Array.from(scores),
    windows: windows.map(({ start, end }) => [start / rate, end / rate]),
    ended: model.cascade && windows.map(({ ended }) => ended),
  };
  $("results").textContent = JSON.stringify(result);
}

/** `?model=URL&audio=URL`; without a model the one beside the page, if any. */
async function openLinked(isNewest) {
  const query = new URLSearchParams(location.search);
  if (!query.has("model") && !(await exists(DEFAULT_MODEL))) {
    return say(
      "empty",
      `No ${DEFAULT_MODEL} is beside this page; choose a model.`,
    );
  }
  await openModel(
    await download(query.get("model") ?? DEFAULT_MODEL),
    isNewest,
  );
  if (query.has("audio")) {
    await openAudio(await download(query.get("audio")), isNewest);
  }
}

onFiles(
  (file) => start(openModel, file),
  (file) => start(openAudio, file),
);
$("microphone").onclick = () => {
  if (stopMicrophoneStream) stopMicrophone();
  else start(openMicrophone);
};
new ResizeObserver(() => view?.redraw()).observe($("spectrogram"));
matchMedia("(prefers-color-scheme: dark)").onchange = () => view?.redraw();
start(openLinked);
