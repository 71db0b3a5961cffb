// What stands beside and below the plots: frequencies and times.

const FREQUENCIES = [250, 500, 1000, 2000, 4000, 8000, 16000];
const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800]; // seconds
const LABEL_WIDTH = 56; // pixels

/** A mel axis from 0 to 1: equal steps sound equal. */
export const mel = {
  height: (hertz, highest) =>
    Math.log1p(hertz / 700) / Math.log1p(highest / 700),
  hertz: (height, highest) => 700 * ((1 + highest / 700) ** height - 1),
};

export function labelFrequencies(container, highest) {
  const shown = FREQUENCIES.filter((hertz) => hertz <= highest);
  container.replaceChildren(
    ...shown.map((hertz) => {
      const text = hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`;
      return label(text, mel.height(hertz, highest));
    }),
  );
}

/** Seconds from the start; if `live`, seconds before now. */
export function labelTimes(container, duration, live) {
  const room = container.clientWidth / LABEL_WIDTH;
  const step = STEPS.find((step) => duration / step < room) ?? 3600;
  const labels = [];
  for (let time = 0; time < duration; time += step) {
    const share = time / duration;
    const ago = time ? `−${clock(time)}` : "now";
    labels.push(live ? label(ago, 1 - share) : label(clock(time), share));
  }
  container.replaceChildren(...labels);
}

function clock(time) {
  if (time < 60) return `${time} s`;
  return `${Math.floor(time / 60)}:${String(time % 60).padStart(2, "0")}`;
}

function label(text, share) {
  const span = document.createElement("span");
  span.textContent = text;
  span.style.setProperty("--share", share); // where, from 0 to 1
  return span;
}
