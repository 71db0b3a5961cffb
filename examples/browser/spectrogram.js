// Level by time and frequency on a mel axis, for the eye: the model computes its
// own. The FFT is from npm, because an AnalyserNode sees only audio as it plays,
// and a file is drawn at once.

import rfft from "fourier-transform";

import { mel } from "./axes.js";

const RANGE_DB = 70; // from the faintest colour to the strongest
const FADE_DB = 0.05; // a column, by which a live picture forgets loud audio
const FIRST_DB = -20; // level of the strongest colour when a live picture starts
const QUIET_DB = -50; // and what it fades to, so that a quiet room stays faint

export class Spectrogram {
  constructor(canvas, sampleRate) {
    this.canvas = canvas;
    this.sampleRate = sampleRate;
    this.frame = 2 ** Math.ceil(Math.log2(sampleRate * 0.025)); // 25 ms or more
    this.window = Float64Array.from(
      { length: this.frame },
      (_, i) => Math.sin((Math.PI * i) / this.frame) ** 2, // Hann
    );
    this.rest = new Float32Array(0);
    this.loudest = FIRST_DB;
    this.fit();
  }

  /** Takes the canvas's size and colours from the page, and empties it. */
  fit() {
    const { canvas, sampleRate } = this;
    fitCanvas(canvas);
    this.pen = canvas.getContext("2d");
    this.colors = gradient(getComputedStyle(canvas).getPropertyValue("--heat"));
    this.bins = Int32Array.from({ length: canvas.height + 1 }, (_, row) => {
      const hertz = mel.hertz(1 - row / canvas.height, sampleRate / 2);
      return Math.round((hertz / sampleRate) * this.frame);
    });
    const blank = this.pen.createImageData(canvas.width, canvas.height);
    new Uint32Array(blank.data.buffer).fill(this.colors[0]);
    this.pen.putImageData(blank, 0, 0);
  }

  /** The whole recording, as wide as the canvas. */
  draw(samples) {
    this.fit();
    const { width } = this.canvas;
    const span = samples.length / width;
    const hop = Math.max(this.frame / 2, span / 16); // bounds the work
    const columns = Array.from({ length: width }, (_, x) => {
      const levels = this.levels(samples, x * span - this.frame / 2);
      for (let at = hop; at < span; at += hop) {
        const next = this.levels(samples, x * span - this.frame / 2 + at);
        levels.forEach((level, y) => (levels[y] = Math.max(level, next[y])));
      }
      return levels;
    });
    this.loudest = columns.reduce((top, c) => Math.max(top, ...c), -Infinity);
    this.paint(columns, 0);
  }

  /** Scrolls by the next samples of a live recording; `inView` of them fit. */
  push(samples, inView) {
    const audio = new Float32Array(this.rest.length + samples.length);
    audio.set(this.rest);
    audio.set(samples, this.rest.length);
    const hop = inView / this.canvas.width;
    const columns = [];
    let at = 0;
    for (; at + this.frame + hop < audio.length; at += hop) {
      columns.push(this.levels(audio, at));
      const loudest = Math.max(QUIET_DB, ...columns.at(-1));
      this.loudest = Math.max(this.loudest - FADE_DB, loudest);
    }
    this.rest = audio.slice(at);
    const { width } = this.canvas;
    this.pen.drawImage(this.canvas, -columns.length, 0);
    this.paint(columns, width - columns.length);
  }

  /** Decibels of each pixel row, top to bottom, in the frame from `start`. */
  levels(samples, start) {
    start = Math.round(start);
    const frame = this.window.map((w, i) => w * (samples[start + i] ?? 0));
    const magnitudes = rfft(frame);
    const levels = new Float32Array(this.canvas.height);
    for (let row = 0; row < levels.length; row++) {
      let peak = 1e-10; // so that silence has a logarithm
      const low = Math.min(this.bins[row + 1], magnitudes.length - 1);
      const high = Math.max(this.bins[row], low + 1); // low rows share bins
      for (let bin = low; bin < high; bin++) {
        peak = Math.max(peak, magnitudes[bin]);
      }
      levels[row] = 20 * Math.log10(peak);
    }
    return levels;
  }

  paint(columns, left) {
    if (!columns.length) return;
    const { height } = this.canvas;
    const image = this.pen.createImageData(columns.length, height);
    const pixels = new Uint32Array(image.data.buffer);
    columns.forEach((levels, x) => {
      levels.forEach((level, y) => {
        const share = 1 + (level - this.loudest) / RANGE_DB;
        const color = Math.round(255 * Math.min(1, Math.max(0, share)));
        pixels[y * columns.length + x] = this.colors[color];
      });
    });
    this.pen.putImageData(image, left, 0);
  }
}

/** As many pixels as the canvas has on the screen; one if it is not shown. */
export function fitCanvas(canvas) {
  const pixels = (length) => Math.max(1, Math.round(length * devicePixelRatio));
  canvas.width = pixels(canvas.clientWidth);
  canvas.height = pixels(canvas.clientHeight);
}

/** 256 pixels from the first to the last colour of a comma-separated list. */
function gradient(list) {
  const pen = Object.assign(document.createElement("canvas"), {
    width: 256,
    height: 1,
  }).getContext("2d");
  const stops = list.split(",");
  const fill = pen.createLinearGradient(0, 0, 256, 0);
  stops.forEach((color, i) =>
    fill.addColorStop(i / (stops.length - 1), color.trim()),
  );
  pen.fillStyle = fill;
  pen.fillRect(0, 0, 256, 1);
  return new Uint32Array(pen.getImageData(0, 0, 256, 1).data.buffer);
}
