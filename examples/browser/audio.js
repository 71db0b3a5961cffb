// An audio file as samples.

import { ALL_FORMATS, BlobSource, Input } from "mediabunny";

import { resample } from "./resample.js";

/** Mono samples in [-1, 1] at `sampleRate`. */
export async function decode(file, sampleRate) {
  const rate = await rateOf(file);
  let buffer;
  try {
    const context = new OfflineAudioContext(1, 1, rate);
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(
      `${file.name} is not a recording that this browser can decode. ` +
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
