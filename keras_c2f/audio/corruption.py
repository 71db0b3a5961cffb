"""Audio corrupted on purpose, to measure how robust a network is.

The word is that of Hendrycks and Dietterich, "Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations", ICLR 2019.
"""

import re
from dataclasses import dataclass

import numpy as np

from keras_c2f.audio import effects
from keras_c2f.audio.excerpt import crop_start

CHANGES = {  # the least and the greatest value, and what is done
    "noise": (-100, 100, effects.add_noise),
    "reverb": (0.01, 20, effects.add_room),
    "speed": (0.1, 10, effects.play_at_speed),
    "gain": (-100, 100, effects.amplify),
}


@dataclass(frozen=True)
class Corruption:
    """Changes a recording in one or several ways, the same way each time.

    | text             | what becomes of the recording                       |
    |------------------|-----------------------------------------------------|
    | `noise:DB`       | pink noise is added, flat below 20 Hz, at this      |
    |                  | signal-to-noise ratio                               |
    | `reverb:SECONDS` | recorded in a room of this RT60, half the energy in |
    |                  | the direct path; as loud as before                  |
    | `codec:mp3`      | coded and decoded at the lowest quality, about      |
    |                  | 9 kbit/s at 16 kHz, at the nearest rate MP3 has     |
    | `codec:ogg`      | the same in Vorbis, about 33 kbit/s at 16 kHz       |
    | `codec:mulaw`    | phone: 300 to 3400 Hz, 8 kHz, 8 bits of G.711       |
    | `speed:FACTOR`   | played faster, and so higher and shorter, above 1   |
    | `gain:DB`        | louder, above 0                                     |

    Noise lasts as long as the recording and covers digital silence in it. This
    does not count when the power of the signal is measured, and a recording
    that is silent throughout stays so. Coders cut what is outside [-1, 1].

    Args:
        text: str as above; several, joined by `+`, follow one another.
        seed: int. Noise and room follow from it and the number of the clip,
            whatever the model and the batch; with another version of NumPy
            they may be others.

    Raises:
        ValueError: if `text` is not of that form, or a value is outside -100
            to 100 dB, 0.01 to 20 s, or a factor of 0.1 to 10.

    Example:
        >>> quiet = Corruption("gain:-6+gain:-14")
        >>> quiet(np.array([1.0, -1.0]), sample_rate=16000, index=0)
        array([ 0.1, -0.1], dtype=float32)
    """

    text: str
    seed: int = 0

    def __post_init__(self):
        for part in self.text.split("+"):
            _parse(part, self.text)

    def __str__(self):
        return self.text

    def __call__(
        self, samples: np.ndarray, sample_rate: int, index: int
    ) -> np.ndarray:
        """The corrupted recording.

        Args:
            samples: float `(samples,)`, at least one.
            sample_rate: int, Hz.
            index: int, number of the clip in its set.

        Returns:
            float32 `(samples,)`, after `speed` of another length, but never
            of none.
        """
        rng = np.random.default_rng((self.seed, index))
        samples = np.asarray(samples, "float64")
        for part in self.text.split("+"):
            change, value = _parse(part, self.text)
            samples = change(samples, sample_rate, value, rng)
        return samples.astype("float32")


class CorruptedAudio:
    """Loads from an `AudioCache`, which stays clean, and corrupts.

    A recording is corrupted as a whole and then cropped, so an hour-long one is
    held in memory as a whole.

    Args:
        recordings: `AudioCache`.
        sample_rate: int, Hz, of what it loads.
        corruption: `Corruption`.
    """

    def __init__(self, recordings, sample_rate, corruption):
        self._audio = recordings
        self._sample_rate = sample_rate
        self._corruption = corruption

    def crop(self, audio, index, size, position, keep_whole=True):
        """As `AudioCache.crop`, of anything but log-mel; keeps it all."""
        samples = self._audio.load(audio, index, None, 0)
        samples = self._corruption(samples, self._sample_rate, index)
        start = crop_start(len(samples), size, position)
        return samples[start : start + size], len(samples) <= size


def _parse(part, text):
    """Function and value of a part such as `noise:10`."""
    kind, _, value = part.partition(":")
    if kind == "codec" and value in effects.CODERS:
        return effects.code, value
    if kind in CHANGES and re.fullmatch(r"-?\d+(\.\d+)?", value):
        low, high, change = CHANGES[kind]
        if low <= float(value) <= high:
            return change, float(value)
    forms = [f"{k}:{low} to {high}" for k, (low, high, _) in CHANGES.items()]
    forms += [f"codec:{name}" for name in effects.CODERS]
    raise ValueError(
        f"A corruption reads {', '.join(forms)}, or several joined by `+`. "
        f"Received: {text!r}."
    )
