// Runs in the audio thread: hands on the microphone in chunks.

const CHUNK = 1024; // samples; 21 ms at 48 kHz

class Recorder extends AudioWorkletProcessor {
  chunk = new Float32Array(CHUNK);
  filled = 0;

  process([[input]]) {
    if (!input) return true; // nothing is connected yet
    this.chunk.set(input, this.filled); // 128 samples, which divide CHUNK
    this.filled += input.length;
    if (this.filled === CHUNK) {
      this.port.postMessage(this.chunk);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
