"""Batches that are kept, and those that are too large or of another phase."""

import numpy as np
import pytest

from keras_c2f.data import AudioPipeline, Clips
from keras_c2f.evaluation.kept_batches import KeptBatches
from keras_c2f.layers import Frontend

pytestmark = pytest.mark.once


class Reads:
    """A pipeline's set that notes how often it is read."""

    def __init__(self):
        rng = np.random.default_rng(0)
        recordings = list(rng.normal(size=(3, 5120)).astype("float32"))
        self.clips = Clips(recordings, [0, 1, 0], "ab")
        self.pipeline = AudioPipeline(Frontend(), num_frames=32, batch_size=2)
        self.number = 0

    def dataset(self, clips):
        self._dataset = self.pipeline.dataset(clips)
        return self

    def __iter__(self):
        self.number += 1
        return iter(self._dataset)

    def read(self, kept, resolution):
        self.pipeline.set_phase(resolution, epoch=0)
        return [
            [part.copy() for part in batch] for batch in kept.at(resolution)
        ]


def test_batches_are_read_once_at_each_resolution():
    reads = Reads()
    kept = KeptBatches(reads, reads.clips)
    coarse = [reads.read(kept, "pool:2") for _ in range(3)]
    assert reads.number == 1
    for batches in coarse:
        assert [x.shape for x, _ in batches] == [(2, 16, 128), (1, 16, 128)]
        for one, other in zip(batches, coarse[0], strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
    assert reads.read(kept, "full")[0][0].shape == (2, 32, 128)
    assert reads.number == 2


def test_too_many_are_not_kept():
    reads = Reads()
    kept = KeptBatches(reads, reads.clips, limit_mb=0.03)  # of 0.05
    found = [reads.read(kept, "full") for _ in range(2)]
    assert [len(batches) for batches in found] == [2, 2]
    assert reads.number == 2


def test_a_set_that_was_not_read_to_its_end_is_read_again():
    reads = Reads()
    kept = KeptBatches(reads, reads.clips)
    next(iter(kept.at("full")))
    assert len(reads.read(kept, "full")) == 2
