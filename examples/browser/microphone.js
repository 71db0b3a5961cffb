// The microphone as a stream of mono chunks at the model's sample rate.

import { Resampler } from "./resample.js";

const AS_RECORDED = {
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: false,
};

const REFUSALS = {
  NotAllowedError:
    "The microphone is blocked for this page. Allow it in the browser's site " +
    "settings and try again.",
  NotFoundError: "No microphone was found. Connect one and try again.",
  NotReadableError:
    "The microphone is in use by another program. Close that and try again.",
};

/** Calls `onChunk(samples)` until the returned function is called. */
export async function record(sampleRate, onChunk) {
  if (!navigator.mediaDevices) {
    throw new Error(
      `This page came from ${location.origin}, where browsers give no ` +
        "microphone. Serve it from localhost or over https.",
    );
  }
  const stream = await navigator.mediaDevices
    .getUserMedia({ audio: AS_RECORDED })
    .catch((error) => {
      throw new Error(REFUSALS[error.name] ?? error.message);
    });
  const context = new AudioContext(); // at the rate of the device
  const stop = () => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
  };
  try {
    await context.audioWorklet.addModule("recorder.js");
  } catch (error) {
    stop();
    throw error;
  }
  const recorder = new AudioWorkletNode(context, "recorder", {
    channelCount: 1, // mixes stereo down
    channelCountMode: "explicit",
    numberOfOutputs: 0,
  });
  const resampler = new Resampler(context.sampleRate, sampleRate);
  recorder.port.onmessage = ({ data }) => onChunk(resampler.push(data));
  context.createMediaStreamSource(stream).connect(recorder);
  context.resume(); // where a page does not start it by itself
  return stop;
}

/** The latest `length` samples, in memory that does not grow. */
export class Ring {
  constructor(length) {
    this.samples = new Float32Array(length);
    this.total = 0; // samples ever written
  }

  write(chunk) {
    const at = this.total % this.samples.length;
    const fits = this.samples.length - at;
    this.samples.set(chunk.subarray(0, fits), at);
    this.samples.set(chunk.subarray(fits), 0);
    this.total += chunk.length;
  }

  /** In the order of time; shorter until the ring has been filled once. */
  latest() {
    const { samples, total } = this;
    if (total <= samples.length) return samples.slice(0, total);
    const at = total % samples.length;
    const ordered = new Float32Array(samples.length);
    ordered.set(samples.subarray(at));
    ordered.set(samples.subarray(0, at), samples.length - at);
    return ordered;
  }
}
