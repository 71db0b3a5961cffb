"""Sound of any length, as it comes, in windows that a classifier hears."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Window:
    """What a classifier makes of one window of a sound.

    Attributes:
        start, end: float, seconds from the beginning of the sound.
        scores: float32 `(num_classes,)`.
    """

    start: float
    end: float
    scores: np.ndarray


class Stream:
    """Scores of a sound that is fed in parts, such as a microphone's.

    Keeps the last window of samples, whatever the length of the sound.

    Args:
        classifier: `Classifier`.
        overlap: float from 0 to below 1, the share of a window that the next
            one hears again. With windows of 5 s and 0.9 there are scores
            every 0.5 s.

    Raises:
        ValueError: if `overlap` is not in that range.
    """

    def __init__(self, classifier, overlap=0.0):
        if not 0 <= overlap < 1:
            raise ValueError(
                "`overlap` is the share of a window that the next one hears "
                f"again, from 0 to below 1. Received: overlap={overlap}."
            )
        self._classifier = classifier
        self._size = classifier.info.num_samples
        self._hop = max(round(self._size * (1 - overlap)), 1)
        self._samples = np.zeros(0, "float32")  # the last ones heard
        self._begin = 0  # where they are in the sound
        self._next = 0  # where the next window begins
        self._scored = 0  # where the last window ended

    def feed(self, samples):
        """Hears more of the sound.

        Args:
            samples: float `(n,)` in [-1, 1], mono, at the classifier's sample
                rate; any number, also none.

        Returns:
            list of `Window`, those that are whole now, often none.

        Raises:
            ValueError: if `samples` are of another kind, or some are NaN or
                infinite.
        """
        self._samples = np.concatenate([self._samples, _checked(samples)])
        end = self._begin + len(self._samples)
        windows = []
        while self._next + self._size <= end:
            windows.append(self._window(self._next, self._next + self._size))
            self._next += self._hop
        dropped = max(len(self._samples) - self._size, 0)
        self._samples = self._samples[dropped:].copy()
        self._begin += dropped
        return windows

    def finish(self):
        """The sound is over; hears what no window has heard yet.

        Returns:
            list of at most one `Window`: of the sound's last seconds, or all
            of a sound shorter than a window, which counts as padded.
        """
        end = self._begin + len(self._samples)
        if end == self._scored:
            return []
        return [self._window(max(end - self._size, 0), end)]

    def _window(self, start, end):
        self._scored = end
        samples = self._samples[start - self._begin : end - self._begin]
        rate = self._classifier.info.sample_rate
        (scores,) = self._classifier.scores(samples[None])
        return Window(start / rate, end / rate, scores)


def _checked(samples):
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise ValueError(
            "`samples` are floats (n,) in [-1, 1] of one channel; divide "
            "16-bit integers by 32768. Received: "
            f"{samples.dtype} {samples.shape}."
        )
    if not np.isfinite(samples).all():
        raise ValueError("`samples` has values that are NaN or infinite.")
    return samples.astype("float32")
