"""The `tf.data` front end against the layer; TensorFlow on any backend."""

from functools import partial

import keras
import numpy as np
import pytest

from keras_c2f.data import features
from keras_c2f.layers.log_mel import Frontend, LogMel
from keras_c2f.models import preset_frontend
from keras_c2f.models.presets import CLAP_FRONTEND, PASST_FRONTEND
from keras_c2f.resolution import Resolution

pytestmark = pytest.mark.once

tf = pytest.importorskip("tensorflow")
AST = Frontend()
OTHER = Frontend(8000, 40, 32.0, 12.5, 60.0, 3700.0, 0.9, -5.0, 3.0)
HTS_AT = Frontend(
    32000, 64, 32.0, 10.0, 50.0, 14000.0, 0.0, 0.0, 0.5, "librosa"
)
PASST = Frontend(**PASST_FRONTEND)
TORCHAUDIO = Frontend(**{**CLAP_FRONTEND, "style": "torchaudio"})
WHISPER = preset_frontend("whisper_base")
NOISE = np.random.default_rng(0).normal(0, 0.2, 16000).astype("float32") + 0.3


@pytest.mark.parametrize(
    "frontend",
    [AST, OTHER, HTS_AT, PASST, TORCHAUDIO, WHISPER],
    ids=["AST", "other", "HTS-AT", "PaSST", "torchaudio", "Whisper"],
)
@pytest.mark.parametrize(
    "shift, normalize",
    [
        (1, True),
        (3, False),
        (2, True),
        (4, False),
    ],
)
def test_equals_the_layer(frontend, shift, normalize):
    for num_frames in (50, 101):
        layer = LogMel(frontend, num_frames, shift, normalize)

        function = tf.function(
            partial(
                features.log_mel,
                frontend=frontend,
                num_frames=num_frames,
                normalize=normalize,
            ),
            reduce_retracing=True,
        )

        for num_samples in (1, 399, 400, 5000, 16000):
            waveform = NOISE[:num_samples]
            expected = keras.ops.convert_to_numpy(layer(waveform[None]))[0]
            found = function(
                tf.constant(waveform), shift=tf.constant(shift)
            ).numpy()
            assert found.shape == expected.shape
            # float32 in another order, through a logarithm; a single sample
            # is a constant, of which torchaudio's style sees rounding alone
            only_noise = frontend is TORCHAUDIO and num_samples == 1
            atol = 1.0 if only_noise else 2e-3
            np.testing.assert_allclose(found, expected, atol=atol)
            assert only_noise or np.abs(found - expected).mean() < 1e-4


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("kind", ["mean", "max"])
def test_pool_equals_the_record(size, kind):
    mels = np.random.default_rng(0).normal(size=(3, 11, 4)).astype("float32")
    expected = Resolution(pool=size, pool_type=kind).compress(mels, np)
    options = tf.constant(size), tf.constant(kind == "max")
    for found, wanted in (
        (features.pool(mels, *options), expected),
        (features.pool(mels[0], *options), expected[0]),
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shift", [1, 3])
@pytest.mark.parametrize("num_frames", [9, 15])
def test_stored_log_mel_of_a_stack(shift, num_frames):
    """As of each clip; frames that are missing become padding."""
    frontend = Frontend(sample_rate=4000, num_mel_bins=4)
    mels = np.random.default_rng(0).normal(size=(3, 11, 4)).astype("float32")
    stack = features.stored_log_mel(mels, frontend, num_frames, shift)
    assert stack.shape == (3, num_frames // shift, 4)
    for found, clip in zip(stack, mels, strict=True):
        alone = features.stored_log_mel(clip, frontend, num_frames, shift)
        np.testing.assert_array_equal(found, alone)
