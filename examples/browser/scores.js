// Scores as bars, and as a strip of cells over time.

import { fitCanvas } from "./spectrogram.js";

const percent = new Intl.NumberFormat("en", {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

/** Mean of the windows' scores: how likely each class is in the whole. */
export function meanScores(windows) {
  const sum = new Float64Array(windows[0].scores.length);
  for (const { scores } of windows) scores.forEach((s, i) => (sum[i] += s));
  return Array.from(sum, (s) => s / windows.length);
}

/** Indices of the `count` highest scores, highest first. */
export function best(scores, count) {
  const order = Array.from(scores, (_, i) => i);
  return order.sort((a, b) => scores[b] - scores[a]).slice(0, count);
}

/** Fills the list with the classes of the highest scores. */
export function drawBars(list, scores, names, count = 8) {
  list.replaceChildren(
    ...best(scores, count).map((i) => {
      const item = document.createElement("li");
      const bar = element("i");
      bar.style.setProperty("--score", `${100 * scores[i]}%`);
      item.append(
        element("span", words(names[i])),
        element("b", percent.format(scores[i])),
        bar,
      );
      return item;
    }),
  );
}

/**
 * One row a class, one cell a window; the colour's strength is the score. Windows
 * that a cascade looked at again have a line below.
 * `axis` has the `labels` element of the rows, all `names`, and the times
 * `from` and `to` of the edges.
 */
export function drawTimeline(
  canvas,
  windows,
  rows,
  { labels, names, from, to },
) {
  labels.replaceChildren(
    ...rows.map((i) => {
      const label = element("span", words(names[i]));
      label.title = label.textContent; // long names are cut
      return label;
    }),
  );
  canvas.style.setProperty("--rows", rows.length);
  fitCanvas(canvas);
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(canvas).color;
  const x = (time) => Math.round(((time - from) / (to - from)) * canvas.width);
  const y = (row) => Math.round((row / rows.length) * canvas.height);
  const line = Math.round(devicePixelRatio); // between cells
  for (const { cell, scores, ended } of windows) {
    const [left, right] = cell.map(x);
    const width = right - left > 4 * line ? right - left - line : right - left;
    rows.forEach((i, row) => {
      pen.globalAlpha = scores[i];
      pen.fillRect(left, y(row), width, y(row + 1) - y(row) - line);
    });
    pen.globalAlpha = 1;
    if (ended) pen.fillRect(left, canvas.height - 3 * line, width, 3 * line);
  }
}

function words(name) {
  return name.replaceAll("_", " ");
}

function element(tag, text = "") {
  return Object.assign(document.createElement(tag), { textContent: text });
}
