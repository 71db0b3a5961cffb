"""A classifier whose scores are simple to foretell."""

import numpy as np

from keras_c2f.inference import Classifier
from keras_c2f.models.metadata import ClassifierInfo

INFO = ClassifierInfo(("quiet", "loud"), sample_rate=100, num_samples=50)


def mean_level(waveforms, counts):
    """Scores from the mean of a window's audio: `(1 - mean, mean)`."""
    mean = waveforms.sum(1) / np.maximum(counts, 1)
    return np.stack([1 - mean, mean], axis=1)


class Recorder:
    """As `mean_level`, and keeps what it was asked."""

    def __init__(self):
        self.windows = []

    def __call__(self, waveforms, counts):
        for row, count in zip(waveforms, counts, strict=True):
            assert (row[count:] == 0).all()
            self.windows.append(row[:count].copy())
        return mean_level(waveforms, counts)


def make_classifier(run=mean_level, batch_size=None, **changes):
    info = ClassifierInfo(**{**vars(INFO), **changes})
    return Classifier(info, run, batch_size)
