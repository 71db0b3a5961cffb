// Band-limited resampling, in one piece or as a stream.
//
// The scores rest on the highest frequencies too, and Chromium's own resampling
// to 16 kHz dampens 7 kHz by 5 dB. This keeps what soxr keeps, which keras_c2f
// trains with: flat up to 0.91 of the new Nyquist frequency. libsamplerate, of
// which npm has a port, takes four times as long for that.

const CROSSINGS = 64; // of the sinc with zero, on either side
const CUTOFF = 1 / (1 + 3 / CROSSINGS); // a Blackman window then ends at Nyquist

export class Resampler {
  constructor(from, to) {
    const divisor = greatestCommonDivisor(from, to);
    this.up = to / divisor;
    this.down = from / divisor;
    const cutoff = CUTOFF * Math.min(1, to / from);
    const reach = Math.ceil(CROSSINGS / cutoff); // in samples
    this.filters = Array.from({ length: this.up }, (_, phase) =>
      Float32Array.from({ length: 2 * reach }, (_, tap) => {
        const distance = tap - reach + 1 - phase / this.up;
        return cutoff * sinc(cutoff * distance) * blackman(distance / reach);
      }),
    );
    this.held = new Float32Array(reach - 1); // silence before the start
    this.delay = reach;
    this.position = 0; // of the next filter in `held`, in 1/up samples
  }

  /** What can be said after more samples; `delay` samples are held back. */
  push(samples) {
    const { up, down } = this;
    const input = new Float32Array(this.held.length + samples.length);
    input.set(this.held);
    input.set(samples, this.held.length);
    const output = [];
    const last = input.length - 2 * this.delay;
    for (; Math.floor(this.position / up) <= last; this.position += down) {
      const start = Math.floor(this.position / up);
      const filter = this.filters[this.position % up];
      let sum = 0;
      for (let tap = 0; tap < filter.length; tap++) {
        sum += filter[tap] * input[start + tap];
      }
      output.push(sum);
    }
    const used = Math.min(Math.floor(this.position / up), input.length);
    this.held = input.slice(used);
    this.position -= used * up;
    return Float32Array.from(output);
  }
}

/** The whole of a recording, in blocks between which the page can react. */
export async function resample(samples, from, to) {
  if (from === to) return samples;
  const resampler = new Resampler(from, to);
  const whole = new Float32Array(Math.round((samples.length * to) / from));
  const block = from; // a second
  let filled = 0;
  for (let start = 0; filled < whole.length; start += block) {
    const end = start + block;
    const piece = new Float32Array(block); // silence after the end
    piece.set(samples.subarray(start, end));
    const output = resampler.push(piece).subarray(0, whole.length - filled);
    whole.set(output, filled);
    filled += output.length;
    await new Promise((resume) => setTimeout(resume));
  }
  return whole;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** 1 in the middle, 0 from a distance of 1 on. */
function blackman(x) {
  if (Math.abs(x) >= 1) return 0;
  return 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x);
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
