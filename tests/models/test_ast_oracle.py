"""Equality with the original AST, built tiny and random in torch."""

import keras
import numpy as np
import pytest
import torch
import torch_ast
from contract import numpy

STRIDES = {  # (freq, time) as the original counts, grid (freq, time)
    "overlapping": (10, 10, (3, 4)),
    "plain": (16, 16, (2, 3)),
    "time finer": (12, 5, (2, 8)),
    "freq finer": (7, 14, (4, 3)),
    "wide": (16, 3, (2, 13)),
}
RNG = np.random.default_rng(0)
CLIPS = RNG.normal(size=(2, 53, 38)).astype("float32")


@pytest.mark.parametrize("name", STRIDES)
def test_equals_the_original(name):
    freq_stride, time_stride, grid = STRIDES[name]
    original = torch_ast.original(freq_stride, time_stride)
    model = torch_ast.ours(original)
    assert model.backbone.grid_size == grid[::-1]
    with torch.no_grad():
        outputs = original(torch.tensor(CLIPS), output_hidden_states=True)
        body = original.audio_spectrogram_transformer
        last = body(torch.tensor(CLIPS)).last_hidden_state
    depths = {"dropout": 0, "block_0": 1, "block_2": 3}
    backbone = model.backbone
    inside = keras.Model(
        backbone.input,
        [backbone.get_layer(layer).output for layer in depths],
    )
    order = prefix_then_time_first(*grid)
    for mine, depth in zip(inside(CLIPS), depths.values(), strict=True):
        theirs = outputs.hidden_states[depth].numpy()[:, order]
        # values up to 30: relative, too
        np.testing.assert_allclose(numpy(mine), theirs, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(
        numpy(backbone(CLIPS)), last.numpy()[:, order], atol=1e-4
    )
    logits = outputs.logits.numpy()
    assert np.ptp(logits) > 1
    np.testing.assert_allclose(numpy(model(CLIPS)), logits, atol=1e-4)


def test_epsilon_of_the_norms_is_felt():
    """Quiet tokens: the comparison above would not see another epsilon."""
    original = torch_ast.original(10, 10, layer_norm_eps=0.1)
    model = torch_ast.ours(original)
    with torch.no_grad():
        logits = original(torch.tensor(CLIPS)).logits.numpy()
    np.testing.assert_allclose(numpy(model(CLIPS)), logits, atol=1e-4)
    config = model.get_config()
    config["head_epsilon"] = 1e-5
    other = type(model).from_config(config)
    other.set_weights(model.get_weights())
    assert np.abs(numpy(other(CLIPS)) - logits).max() > 1e-2


def prefix_then_time_first(freq, time):
    """Where our tokens stand in the original's order."""
    grid = np.arange(freq * time).reshape(freq, time)
    return np.concatenate([[0, 1], 2 + grid.T.reshape(-1)])
