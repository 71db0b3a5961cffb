"""Fused training operations against those of Keras."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_c2f import layers
from keras_c2f.layers import enable_fused_training, fused

RANDOM = np.random.default_rng(0)
MAPS = RANDOM.normal(2, 3, (5, 4, 6, 256)).astype("float32")
TARGETS = RANDOM.normal(size=MAPS.shape).astype("float32")
BACKEND = keras.backend.backend()
DTYPES = {
    "float32": 3e-5,
    "mixed_bfloat16": 0.06,
    "bfloat16": 0.3,
}
if BACKEND != "jax":  # which warns that it has none
    DTYPES["float64"] = 1e-5


class Gelu(keras.layers.Layer):
    """A layer whose outputs lead to its weight through GELU."""

    def build(self, input_shape):
        self.scale = self.add_weight(
            shape=input_shape[-1:], initializer="ones", name="scale"
        )

    def call(self, inputs, training=None):
        return fused.gelu(inputs * self.scale, training=training)


class KerasGelu(Gelu):
    def call(self, inputs):
        return ops.gelu(inputs * self.scale, approximate=False)


PAIRS = {
    "gelu": (Gelu, KerasGelu),
    "layer_norm": (fused.LayerNormalization, keras.layers.LayerNormalization),
    "batch_norm": (fused.BatchNormalization, keras.layers.BatchNormalization),
}
FUSED = {
    "tensorflow": ["gelu", "layer_norm", "batch_norm"],
    "torch": ["batch_norm"],
    "jax": [],
}[BACKEND]


def trained(layer):
    """Outputs and weights behind some compiled steps of training.

    A layer before it shows the gradient with respect to its inputs.
    """
    before = keras.layers.Dense(256, kernel_initializer="identity")
    model = keras.Sequential([before, layer])
    model.build(MAPS.shape)
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
    for step in range(3):
        model.train_on_batch(MAPS + step, TARGETS)
    outputs = [model(MAPS, training=training) for training in (True, False)]
    assert outputs[0].dtype == outputs[1].dtype
    weights = [ops.convert_to_numpy(w) for w in model.weights]
    outputs = [ops.convert_to_numpy(ops.cast(x, "float32")) for x in outputs]
    return outputs + weights


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_trains_as_that_of_keras(name, dtype):
    ours, theirs = (trained(layer(dtype=dtype)) for layer in PAIRS[name])
    for value, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(value, expected, atol=DTYPES[dtype])


@pytest.mark.parametrize("name", FUSED)
def test_can_be_turned_off(name, monkeypatch):
    def refuse(*_):
        raise AssertionError("fused")

    monkeypatch.setattr(fused, "_compiles_on_cpu", lambda: True)
    monkeypatch.setattr(fused, "_tensorflow_gelu", refuse)
    monkeypatch.setattr(fused, "_tensorflow_layer_norm", refuse)
    monkeypatch.setitem(fused.BATCH_NORMS, BACKEND, refuse)
    layer = PAIRS[name][0]()
    layer(MAPS, training=False)
    with pytest.raises(AssertionError, match="fused"):
        layer(MAPS, training=True)
    enable_fused_training(False)
    try:
        layer(MAPS, training=True)
    finally:
        enable_fused_training()


def test_frozen_batch_norm_keeps_its_averages():
    layer = fused.BatchNormalization()
    layer.build(MAPS.shape)
    layer.trainable = False
    outputs = ops.convert_to_numpy(layer(MAPS, training=True))
    assert not ops.convert_to_numpy(layer.moving_mean).any()
    np.testing.assert_allclose(outputs, MAPS / np.sqrt(1.001), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("layer_norm", {"center": False}),
        ("layer_norm", {"scale": False}),
        ("batch_norm", {"scale": False}),
        ("batch_norm", {"axis": 1}),
    ],
)
def test_other_norms_are_those_of_keras(name, options):
    ours, theirs = (layer(**options) for layer in PAIRS[name])
    outputs = [
        ops.convert_to_numpy(layer(MAPS, training=True))
        for layer in (ours, theirs)
    ]
    np.testing.assert_allclose(*outputs, atol=1e-5)


def test_saved_stems_keep_the_names_of_their_norms(tmp_path):
    """Keras names members of a list by their class."""
    h5py = pytest.importorskip("h5py")
    stem = layers.ConvStem(6, (4, 128), (3, 4))
    model = keras.Sequential([keras.Input((8, 128)), stem])
    model.save_weights(tmp_path / "stem.weights.h5")
    with h5py.File(tmp_path / "stem.weights.h5") as file:
        (saved,) = file["layers"].values()
        assert "batch_normalization" in saved["norms"]
