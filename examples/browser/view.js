// What is seen of one recording: spectrogram, scores over time, top classes.

import { labelFrequencies, labelTimes } from "./axes.js";
import { best, drawBars, drawTimeline, meanScores } from "./scores.js";
import { Spectrogram } from "./spectrogram.js";

const ROWS = 10; // of the timeline
const DRAW_INTERVAL = 100; // ms, while windows are added

const $ = (id) => document.getElementById(id);
const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** Times are in samples; a window is `{start, end, cell, scores, ended}`. */
export class View {
  windows = [];
  drawn = 0; // when, in ms
  pointed = null; // share of the time axis, or null

  constructor(model) {
    this.model = model;
    $("view").hidden = false;
    this.spectrogram = new Spectrogram($("spectrogram"), model.sample_rate);
    labelFrequencies($("frequencies"), model.sample_rate / 2);
  }

  showFile(file, samples) {
    this.samples = samples;
    [this.from, this.to] = [0, samples.length];
    this.open(file.name, "around");
    URL.revokeObjectURL($("player").src);
    $("player").src = URL.createObjectURL(file);
  }

  /** A picture that scrolls, with `length` samples in view. */
  showLive(length) {
    [this.from, this.to] = [-length, 0];
    this.open("Microphone", "before");
  }

  open(title, where) {
    const player = $("player");
    player.pause();
    player.hidden = !this.samples;
    $("audio-name").textContent = title;
    const length = this.seconds(this.model.num_samples);
    const line = this.model.cascade ? "; line: looked at again, finer" : "";
    $("window-note").textContent = `${length} s ${where} each cell${line}`;
    $("top-note").textContent = "";
    $("bars").replaceChildren();
    this.point(null);
    this.redraw();
    player.onplay = () => this.followPlayer();
    player.onpause = () => this.point(null);
    $("plots").onpointermove = (event) => this.point(shareAt(event));
    $("plots").onpointerleave = () => this.point(null);
    $("plots").onclick = (event) => {
      if (this.samples) player.currentTime = shareAt(event) * player.duration;
    };
  }

  /** Moves the live picture on by a chunk of audio that ends at `now`. */
  advance(chunk, now) {
    const inView = this.to - this.from;
    this.spectrogram.push(chunk, inView);
    [this.from, this.to] = [now - inView, now];
    this.windows = this.windows.filter(({ cell }) => cell[1] > this.from);
    this.drawScores();
  }

  /** Adds a window, and draws if the last time was long ago. */
  addWindow(window) {
    this.windows.push(window);
    if (performance.now() - this.drawn > DRAW_INTERVAL) this.draw();
  }

  draw() {
    this.drawScores();
    this.drawTop();
    this.drawn = performance.now();
  }

  redraw() {
    if (this.samples) this.spectrogram.draw(this.samples);
    else this.spectrogram.fit();
    const duration = (this.to - this.from) / this.model.sample_rate;
    labelTimes($("times"), duration, !this.samples);
    this.drawScores();
  }

  drawScores() {
    const { class_names: names } = this.model;
    const peaks = names.map((_, i) =>
      this.windows.reduce((peak, { scores }) => Math.max(peak, scores[i]), 0),
    );
    const rows = best(peaks, ROWS);
    if (!this.samples) rows.sort((a, b) => a - b); // live rows seldom move
    const axis = {
      labels: $("timeline-classes"),
      names,
      from: this.from,
      to: this.to,
    };
    drawTimeline($("timeline"), this.windows, rows, axis);
  }

  /** Bars of the latest window if live, of the one pointed at, or of all. */
  drawTop() {
    const { windows } = this;
    if (!windows.length) return;
    let scores = meanScores(windows);
    let note = windows.length > 1 ? `mean of ${windows.length} windows` : "";
    if (!this.samples) {
      scores = windows.at(-1).scores;
      note = `now${this.resolution(windows.at(-1))}`;
    } else if (this.pointed !== null) {
      const time = this.pointed * this.to;
      const near =
        windows.find(({ cell }) => time <= cell[1]) ?? windows.at(-1);
      scores = near.scores;
      note = `${this.seconds(near.start)} to ${this.seconds(near.end)} s`;
      note += this.resolution(near);
    } else if (this.model.cascade) {
      const again = windows.filter(({ ended }) => ended).length;
      note += ` (looked at again: ${again})`;
    }
    $("top-note").textContent = note;
    drawBars($("bars"), scores, this.model.class_names);
  }

  /** Chooses the window at a share of a file's time axis; none with null. */
  point(share) {
    this.pointed = share;
    $("cursor").hidden = share === null || !this.samples;
    $("cursor").style.setProperty("--share", share);
    this.drawTop();
  }

  followPlayer() {
    const { paused, currentTime, duration } = $("player");
    if (paused) return;
    this.point(Math.min(1, currentTime / duration));
    requestAnimationFrame(() => this.followPlayer());
  }

  /** At which resolution of a cascade a window ended. */
  resolution({ ended }) {
    const { cascade } = this.model;
    return cascade ? `, at ${cascade.resolutions[ended]}` : "";
  }

  seconds(samples) {
    return decimal.format(samples / this.model.sample_rate);
  }
}

/** Where the pointer is on the time axis, from 0 to 1. */
function shareAt(event) {
  const { left, width } = $("timeline").getBoundingClientRect();
  return Math.min(1, Math.max(0, (event.clientX - left) / width));
}
