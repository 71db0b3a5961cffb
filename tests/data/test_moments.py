"""Streaming statistics against NumPy over everything at once."""

import keras
import numpy as np
import pytest

from keras_c2f.data import AudioPipeline, Clips, feature_moments
from keras_c2f.data.moments import Moments
from keras_c2f.layers.log_mel import Frontend, LogMel
from keras_c2f.resolution import Resolution

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.once
SMALL = Frontend(sample_rate=4000, num_mel_bins=16)
T = 40
RESOLUTIONS = ("full", "shift:3", "pool:4", "pool:2:max", "patch:2")


def make_clips(n=11, bad=()):
    """Clips shorter and longer than T; one is digital silence."""
    rng = np.random.default_rng(0)
    recordings = [rng.normal(0, 0.1, rng.integers(600, 2400)) for _ in range(n)]
    recordings[3][:] = 0
    for index in bad:
        recordings[index][7] = np.nan
    return Clips(recordings, np.arange(n) % 2, "ab")


def log_mel(clips):
    """float64 `(n, T, mel_bins)`, not normalised: by the layer."""
    layer = LogMel(SMALL, T, normalize=False)
    recordings = [layer(audio[None].astype("float32")) for audio in clips.audio]
    recordings = [keras.ops.convert_to_numpy(audio) for audio in recordings]
    return np.concatenate(recordings).astype("float64")


def test_moments_of_parts_equal_those_of_all():
    rng = np.random.default_rng(0)
    values = 1e4 + rng.normal(size=(1000, 7))  # a naive sum of squares fails
    moments = Moments()
    for part in np.split(values, [0, 1, 5, 400, 401, 990]):
        moments.add(part)
    assert moments.count == values.size
    assert moments.mean == pytest.approx(values.mean(), rel=1e-14)
    assert moments.std == pytest.approx(values.std(), rel=1e-10)


def test_equal_numpy_over_all_clips():
    clips = make_clips()
    whole = log_mel(clips)
    pipeline = AudioPipeline(SMALL, T, batch_size=4, resolution="pool:4")
    found = feature_moments(pipeline, clips, RESOLUTIONS)
    for name, row in zip(RESOLUTIONS, found, strict=True):
        seen = Resolution.parse(name).compress(whole, np)
        means = seen.mean(axis=(1, 2))
        # float32 features of two implementations
        assert row.mean == pytest.approx(seen.mean(), abs=1e-4)
        assert row.std == pytest.approx(seen.std(), abs=1e-4)
        error = means.std(ddof=1) / len(means) ** 0.5
        assert row.standard_error == pytest.approx(error, abs=1e-4)
        assert row.num_clips == len(clips)
    padding = (whole == 0).all(axis=2)
    assert 0.05 < padding.mean() < 0.9  # there is padding, and it counts
    assert found[0].padded == pytest.approx(padding.mean(), abs=1e-12)
    # so does digital silence, at the floor of the logarithm
    assert whole.min() == pytest.approx(np.log(SMALL.steps.floor))


def test_bad_recordings_do_not_count():
    good = [i for i in range(11) if i not in (2, 8)]
    pipeline = AudioPipeline(SMALL, T, batch_size=4, on_error="skip")
    (found,) = feature_moments(pipeline, make_clips(bad=(2, 8)))
    (expected,) = feature_moments(pipeline, make_clips().subset(good))
    assert found.num_clips == 9
    assert found.mean == pytest.approx(expected.mean, rel=1e-12)
    assert found.std == pytest.approx(expected.std, rel=1e-12)
    assert feature_moments(pipeline, make_clips(bad=(1,)).subset([1])) == []


def test_one_clip_has_no_standard_error():
    pipeline = AudioPipeline(SMALL, T, batch_size=4)
    (found,) = feature_moments(pipeline, make_clips().subset([0]))
    assert np.isnan(found.standard_error)
