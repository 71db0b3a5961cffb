"""Attention as one kernel, where there is one."""

import keras
import numpy as np
import pytest

from keras_c2f.layers import SelfAttention


@pytest.fixture
def calls(monkeypatch):
    """list of how often Keras' own attention was called."""
    found = []
    attend = keras.ops.dot_product_attention

    def noting(*args, **kwargs):
        found.append(1)
        return attend(*args, **kwargs)

    monkeypatch.setattr(keras.ops, "dot_product_attention", noting)
    return found


def test_fused_kernel_on_a_gpu(calls, monkeypatch):
    backend = keras.backend.backend()
    layer = SelfAttention(2)
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(2, 5, 8)).astype("float32")
    plain = layer(tokens)
    assert len(calls) == (backend == "torch")
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    fused = layer(tokens)
    assert len(calls) == {"torch": 2, "jax": 1, "tensorflow": 0}[backend]
    plain, fused = map(keras.ops.convert_to_numpy, (plain, fused))
    np.testing.assert_allclose(fused, plain, atol=1e-6)  # float32


def test_dropout_of_weights_needs_the_weights(calls, monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    SelfAttention(2, dropout=0.5)(np.ones((1, 3, 4), "float32"))
    assert not calls
