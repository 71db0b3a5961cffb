// A sound file as samples, and the windows that the model hears.

import { ALL_FORMATS, BlobSource, Input } from "mediabunny";

import { resample } from "./resample.js";

const OVERLAP = 0.5; // of neighbouring windows

/** Mono samples in [-1, 1] at `sampleRate`. */
export async function decode(file, sampleRate) {
  const rate = await rateOf(file);
  let buffer;
  try {
    const context = new OfflineAudioContext(1, 1, rate);
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(
      `${file.name} is not a sound that this browser can decode. ` +
        "Choose a WAV, MP3, FLAC, Ogg or M4A file.",
    );
  }
  const mono = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let i = 0; i < mono.length; i++) {
      mono[i] += samples[i] / buffer.numberOfChannels;
    }
  }
  return resample(mono, rate, sampleRate);
}

/** A browser decodes to any rate, but does not say which one the file has. */
async function rateOf(file) {
  const input = new Input({
    formats: ALL_FORMATS,
    source: new BlobSource(file),
  });
  try {
    return (await input.getPrimaryAudioTrack()).sampleRate;
  } catch {
    return 48000; // perhaps the browser knows the format
  }
}

/**
 * The windows that a sound of `numSamples` is heard in. Each hears from `start`
 * to `end` and is drawn at its `cell`, which is the nearest to its middle.
 */
export function windows(numSamples, length) {
  const last = Math.max(0, numSamples - length); // this one ends the sound
  const hop = Math.max(Math.round(length * (1 - OVERLAP)), 1);
  const starts = [];
  for (let start = 0; start < last; start += hop) starts.push(start);
  starts.push(last);
  return starts.map((start, i) => {
    const before = i ? (starts[i - 1] + start + length) / 2 : 0;
    const after =
      start < last ? (start + starts[i + 1] + length) / 2 : numSamples;
    const end = Math.min(start + length, numSamples);
    return { start, end, cell: [before, after] };
  });
}
