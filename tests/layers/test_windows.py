"""Window attention and merging against loops over tokens."""

import contract
import numpy as np
import pytest
import torch
from contract import numpy

from keras_c2f.layers import PatchMerging, WindowAttention


@pytest.mark.parametrize(
    "grid_size, window_size, shift",
    [
        ((4, 6), (2, 3), (0, 0)),
        ((4, 6), (2, 3), (1, 2)),
        ((4, 6), (2, 6), (1, 0)),  # one window on the frequency side
        ((6, 2), (3, 1), (1, 0)),
        ((2, 3), (2, 3), (0, 0)),
    ],
)
def test_equals_attention_between_all_tokens(grid_size, window_size, shift):
    """Of all pairs those count that no border between windows parts."""
    num_tokens = grid_size[0] * grid_size[1]
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(2, num_tokens, 12))
    layer = WindowAttention(3, grid_size, window_size, shift)
    layer.build((None, num_tokens, 12))
    contract.randomize(layer)
    weights = {w.path.split("/", 1)[-1]: w for w in layer.weights}
    values = {k: numpy(w).astype("float64") for k, w in weights.items()}
    qkv = tokens @ values["qkv/kernel"] + values["qkv/bias"]
    query, key, value = np.split(qkv, 3, axis=-1)
    positions = [divmod(i, grid_size[1]) for i in range(num_tokens)]
    visible = np.zeros((num_tokens, num_tokens), bool)
    bias = np.zeros((num_tokens, num_tokens, 3))
    for i, first in enumerate(positions):
        for j, second in enumerate(positions):
            windows = [
                [
                    (p - s) // w
                    for p, s, w in zip(
                        position, shift, window_size, strict=True
                    )
                ]
                for position in (first, second)
            ]
            visible[i, j] = windows[0] == windows[1]
            if visible[i, j]:
                apart = (
                    first[0] - second[0] + window_size[0] - 1,
                    first[1] - second[1] + window_size[1] - 1,
                )
                bias[i, j] = values["position_bias"][apart]
    heads = []
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        scores = query[..., part] @ key[..., part].swapaxes(1, 2) / 2  # sqrt(4)
        scores = np.where(visible, scores + bias[..., head], -np.inf)
        weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        heads.append(weights @ value[..., part])
    expected = np.concatenate(heads, axis=-1)
    expected = expected @ values["output_projection/kernel"]
    expected = expected + values["output_projection/bias"]
    np.testing.assert_allclose(numpy(layer(tokens)), expected, atol=2e-5)


def test_position_bias_is_resized_as_in_pytorch():
    layer = WindowAttention(4, (16, 16), (8, 8))
    table = np.random.default_rng(0).normal(size=(15, 15, 4))
    theirs = torch.nn.functional.interpolate(
        torch.tensor(table).permute(2, 0, 1)[None],
        (7, 15),
        mode="bilinear",
        align_corners=False,
    )[0].permute(1, 2, 0)
    resized = layer.resize_weight(table, (7, 15, 4))
    np.testing.assert_allclose(resized, theirs, atol=1e-10)
    # no distance is as it was: both ends of time come nearer
    np.testing.assert_allclose(resized[3], table[7], atol=1e-10)


@pytest.mark.parametrize(
    "window_size, shift", [((3, 2), (0, 0)), ((2, 2), (2, 0))]
)
def test_impossible_windows_are_refused(window_size, shift):
    with pytest.raises(ValueError, match=r"divides its grid.*\(4, 6\)"):
        WindowAttention(3, (4, 6), window_size, shift)


def test_merging_equals_a_loop():
    """Neighbours in the original's order: frequency fastest, then time."""
    tokens = np.random.default_rng(0).normal(size=(2, 24, 3))
    layer = PatchMerging((4, 6))
    layer.build((None, 24, 3))
    contract.randomize(layer)
    gamma, beta, kernel = layer.get_weights()
    grid = tokens.reshape(2, 4, 6, 3)
    out = numpy(layer(tokens)).reshape(2, 2, 3, 6)
    for time in range(2):
        for freq in range(3):
            four = grid[:, 2 * time : 2 * time + 2, 2 * freq : 2 * freq + 2]
            four = four.reshape(2, 12)
            norm = four - four.mean(axis=1, keepdims=True)
            norm /= np.sqrt(four.var(axis=1, keepdims=True) + 1e-5)
            expected = (norm * gamma + beta) @ kernel
            np.testing.assert_allclose(out[:, time, freq], expected, atol=1e-5)


def test_merging_an_odd_grid_is_refused():
    with pytest.raises(ValueError, match=r"even sides.*grid_size=\(3, 4\)"):
        PatchMerging((3, 4))
