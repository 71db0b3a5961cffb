"""Classifies audio of any length, as it arrives, in windows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_c2f.audio.decode import LOUDEST

if TYPE_CHECKING:
    from keras_c2f.inference.classifier import Classifier


@dataclasses.dataclass(frozen=True)
class Window:
    """Scores of one window of a recording.

    Attributes:
        start, end: float, seconds from the beginning of the recording.
        scores: float32 `(num_classes,)`.
    """

    start: float
    end: float
    scores: np.ndarray


class Stream:
    """Scores of a recording that is fed in parts, such as a microphone's.

    Windows begin every `1 - overlap` of their length, rounded half up to a
    sample. The last one is moved back to end with the recording, so that all of
    it is scored and no window has silence that training had not; only a
    recording shorter than a window is padded, as in training. The examples
    (clients, server, browser) place theirs alike, so they give the same scores.

    Keeps the last window of samples, whatever the length of the recording.

    Args:
        classifier: `Classifier`.
        overlap: float from 0 to below 1, the share of a window that the next
            one overlaps. With windows of 5 s and 0.9 there are scores
            every 0.5 s.

    Raises:
        ValueError: if `overlap` is not in that range.
    """

    def __init__(self, classifier: Classifier, overlap: float = 0.0):
        if not 0 <= overlap < 1:
            raise ValueError(
                "`overlap` is the share of a window that the next one "
                f"overlaps, from 0 to below 1. Received: overlap={overlap}."
            )
        self._classifier = classifier
        self._size = classifier.info.num_samples
        self._hop = max(int(self._size * (1 - overlap) + 0.5), 1)
        self._samples = np.zeros(0, "float32")  # the last ones fed
        self._begin = 0  # where they are in the recording
        self._next = 0  # where the next window begins
        self._scored = 0  # where the last window ended

    def feed(self, samples: np.ndarray) -> list[Window]:
        """Classifies the windows that more samples complete.

        Args:
            samples: float `(n,)` in [-1, 1], mono, at the classifier's sample
                rate; any number, also none.

        Returns:
            list of `Window`, those that are whole now, often none.

        Raises:
            ValueError: if `samples` are of another kind, or some are NaN,
                infinite or out of all proportion.
        """
        samples = as_floats(samples, 1)
        if not np.isfinite(samples).all():
            raise ValueError("`samples` has values that are NaN or infinite.")
        loudest = np.abs(samples).max(initial=0)
        if loudest > LOUDEST:
            raise ValueError(
                f"`samples` are in [-1, 1], and reach {loudest:.0e}. Divide "
                "16-bit integers by 32768."
            )
        self._samples = np.concatenate([self._samples, samples])
        end = self._begin + len(self._samples)
        starts = range(self._next, end - self._size + 1, self._hop)
        windows = self._windows(starts, self._size)
        self._next += len(starts) * self._hop
        dropped = max(len(self._samples) - self._size, 0)
        self._samples = self._samples[dropped:].copy()
        self._begin += dropped
        return windows

    def finish(self) -> list[Window]:
        """Classifies what is left at the end of the recording.

        Returns:
            list of at most one `Window`: of the recording's last seconds, or
            all of a recording shorter than a window, which counts as padded.
        """
        end = self._begin + len(self._samples)
        if end == self._scored:
            return []
        start = max(end - self._size, 0)
        return self._windows([start], end - start)

    def _windows(self, starts, size):
        """Windows of as many samples, scored a batch at a time."""
        classifier, windows = self._classifier, []
        rate, step = classifier.info.sample_rate, classifier.batch_size
        for first in range(0, len(starts), step):
            batch = starts[first : first + step]
            rows = [self._samples[s - self._begin :][:size] for s in batch]
            scores = classifier.scores(np.stack(rows))
            windows += [
                Window(start / rate, (start + size) / rate, row)
                for start, row in zip(batch, scores, strict=True)
            ]
            self._scored = batch[-1] + size
        return windows


def as_floats(samples, rank):
    """Samples as a float32 array.

    Raises:
        ValueError: if they are no floats, or have not that many axes.
    """
    samples = np.asarray(samples)
    if samples.ndim != rank or samples.dtype.kind != "f":
        shape = "(n,) of one channel" if rank == 1 else "(batch, n)"
        raise ValueError(
            f"Samples are floats {shape}, in [-1, 1]; divide 16-bit integers "
            f"by 32768. Received: {samples.dtype} {samples.shape}."
        )
    return samples.astype("float32")
