// Where the windows lie that the model scores.

const OVERLAP = 0.5; // of neighbouring windows

/**
 * The windows of a recording of `numSamples`, placed as keras_c2f places them: the
 * last one ends with the recording. Each has what is from `start` to `end` and is
 * drawn at its `cell`, which is the nearest to its middle.
 */
export function windows(numSamples, length) {
  const last = Math.max(0, numSamples - length); // this one ends the recording
  const hop = Math.max(1, Math.round(length * (1 - OVERLAP)));
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
