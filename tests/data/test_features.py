"""The `tf.data` front end against the layer; TensorFlow on any backend."""

import keras
import numpy as np
import pytest

from keras_c2f.data import features
from keras_c2f.frontend import Frontend, LogMel
from keras_c2f.resolution import Resolution

tf = pytest.importorskip("tensorflow")
AST = Frontend()
OTHER = Frontend(8000, 40, 32.0, 12.5, 60.0, 3700.0, 0.9, -5.0, 3.0)
HTS_AT = Frontend(
    32000, 64, 32.0, 10.0, 50.0, 14000.0, 0.0, 0.0, 0.5, "librosa"
)
NOISE = np.random.default_rng(0).normal(0, 0.2, 16000).astype("float32") + 0.3


@pytest.mark.parametrize(
    "frontend", [AST, OTHER, HTS_AT], ids=["AST", "other", "HTS-AT"]
)
@pytest.mark.parametrize("shift", [1, 2, 3, 4])
@pytest.mark.parametrize("normalize", [True, False])
def test_equals_the_layer(frontend, shift, normalize):
    function = tf.function(features.log_mel)
    for num_samples in (1, 399, 400, 5000, 16000):
        for num_frames in (50, 101):
            waveform = NOISE[:num_samples]
            layer = LogMel(frontend, num_frames, shift, normalize)
            expected = keras.ops.convert_to_numpy(layer(waveform[None]))[0]
            mine = function(
                waveform, frontend, num_frames, tf.constant(shift), normalize
            ).numpy()
            assert mine.shape == expected.shape
            # float32 in another order, through a logarithm
            np.testing.assert_allclose(mine, expected, atol=2e-3)
            assert np.abs(mine - expected).mean() < 1e-4


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("kind", ["mean", "max"])
def test_pool_equals_the_record(size, kind):
    mels = np.random.default_rng(0).normal(size=(11, 4)).astype("float32")
    mine = features.pool(mels, tf.constant(size), tf.constant(kind == "max"))
    expected = Resolution(pool=size, pool_type=kind).compress(mels[None], np)
    np.testing.assert_allclose(mine, expected[0], rtol=1e-6, atol=1e-7)
