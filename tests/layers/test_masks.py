"""Masks drawn by `PatchMask`, and the layers that use them, against NumPy."""

import itertools

import contract
import numpy as np
import pytest
from contract import numpy

from keras_c2f import layers

GRID = (32, 8)


def drawn(mask, clips=1, grid_size=GRID, training=True):
    """Bool `(clips, time, freq)`, after checking that places are distinct."""
    patches = np.zeros((clips, *grid_size, 1), "float32")
    indices = numpy(mask(patches, training=training)).astype(int)
    masked = np.zeros((clips, grid_size[0] * grid_size[1]), bool)
    np.put_along_axis(masked, indices, True, axis=1)
    assert (masked.sum(axis=1) == indices.shape[1]).all()
    return masked.reshape(clips, *grid_size)


def is_clustered(masked, size):
    """Whole squares, and a part of one more; squares may hang over edges."""
    time, freq = masked.shape
    whole = np.zeros_like(masked)
    starts = list(
        itertools.product(range(1 - size, time), range(1 - size, freq))
    )

    def square(start):
        return tuple(slice(max(s, 0), s + size) for s in start)

    for start in starts:
        if masked[square(start)].all():
            whole[square(start)] = True
    rest = masked & ~whole
    one_more = any(rest[square(s)].sum() == rest.sum() for s in starts)
    return rest.sum() < size**2 and one_more


@pytest.mark.parametrize("ratio", [0.25, 400 / 512])
@pytest.mark.parametrize("training", [True, False])
def test_masks_are_clusters_of_the_right_number(ratio, training):
    mask = layers.PatchMask(ratio, seed=1)
    masks = drawn(mask, 20, training=training)
    assert (masks.sum(axis=(1, 2)) == round(ratio * 256)).all()
    assert len({m.tobytes() for m in masks}) == 20  # each clip its own
    for masked in masks:
        assert any(is_clustered(masked, size) for size in (3, 4, 5))


def test_every_cluster_size_is_drawn():
    # a whole square shows its size
    masks = drawn(layers.PatchMask(25 / 256, (1, 5), seed=1), 40)
    large = sum(is_clustered(masked, 5) for masked in masks)
    # 20 expected, of which those over an edge need a second square
    assert 10 <= large <= 30
    singles = [m for m in masks if not is_clustered(m, 5)]
    assert all(is_clustered(m, 1) for m in singles)


def test_single_patches_are_no_clusters():
    masks = drawn(layers.PatchMask(0.5, (1,), seed=1), 5)
    assert not any(
        is_clustered(m, size) for m in masks for size in (2, 3, 4, 5)
    )


def test_frames_are_masked_singly():
    masks = drawn(layers.PatchMask(0.5, seed=1), 5, grid_size=(64, 1))
    assert (masks.sum(axis=1) == 32).all()
    assert not any(is_clustered(m, 3) for m in masks)


def test_every_patch_is_as_likely_as_another():
    share = drawn(layers.PatchMask(0.5, seed=1), 4000).mean(axis=0)
    # 5 standard deviations of a share of 4000: 5 sqrt(0.25 / 4000)
    assert np.abs(share - 0.5).max() < 0.04


def test_masks_change_in_training_alone():
    mask = layers.PatchMask(seed=1)
    first, second = drawn(mask), drawn(mask)
    assert (first != second).any()
    np.testing.assert_array_equal(first, drawn(layers.PatchMask(seed=1)))
    quiet = [drawn(layers.PatchMask(), 3, training=False) for _ in range(2)]
    np.testing.assert_array_equal(*quiet)


@pytest.mark.parametrize(
    "ratio, count", [(1e-9, 1), (0.5, 128), (1.0, 256), (0.001, 1)]
)
def test_number_of_masked_patches(ratio, count):
    mask = layers.PatchMask(ratio)
    assert mask.num_masked(GRID) == count
    assert mask.compute_output_shape((None, *GRID, 4)) == (None, count)
    assert drawn(mask).sum() == count


@pytest.mark.parametrize("ratio", [0, 1.1, -1])
def test_impossible_ratio_is_refused(ratio):
    with pytest.raises(ValueError, match=f"Received: mask_ratio={ratio}"):
        layers.PatchMask(ratio)


@pytest.mark.parametrize("sizes", [(), (3, 0)])
def test_impossible_cluster_is_refused(sizes):
    with pytest.raises(ValueError, match="at least one patch, such as"):
        layers.PatchMask(0.5, sizes)


def test_mask_config():
    mask = layers.PatchMask(0.25, [2, 3], seed=7)
    config = mask.get_config()
    assert config["cluster_sizes"] == (2, 3)
    copy = layers.PatchMask.from_config(config)
    assert copy.get_config() == config
    np.testing.assert_array_equal(drawn(copy), drawn(mask))


# Layers that use the masks


def test_embedding_replaces_masked_patches_alone():
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(2, 3, 4, 5)).astype("float32")
    indices = np.array([[0, 7, 11], [5, 6, 2]], "int32")
    layer = layers.MaskEmbedding()
    layer.build(patches.shape, indices.shape)
    contract.randomize(layer)
    (embedding,) = layer.get_weights()
    expected = patches.copy().reshape(2, 12, 5)
    for clip, positions in enumerate(indices):
        expected[clip, positions] = embedding
    out = layer(patches, indices)
    np.testing.assert_array_equal(numpy(out), expected.reshape(patches.shape))


def test_patch_values_are_those_that_are_embedded():
    log_mel = np.random.default_rng(0).normal(size=(2, 14, 11))
    log_mel = log_mel.astype("float32")
    values = numpy(layers.Patchify((4, 5))(log_mel))
    embed = layers.PatchEmbedding(6, (4, 5))
    embed.build(log_mel.shape)
    contract.randomize(embed)
    kernel, bias = embed.get_weights()
    np.testing.assert_allclose(
        values @ kernel.reshape(20, 6) + bias,
        numpy(embed(log_mel)).reshape(2, 6, 6),
        atol=1e-5,
    )


def test_comparison_equals_numpy():
    rng = np.random.default_rng(0)
    truth, matched, drawing = rng.normal(size=(3, 2, 6, 4))
    matched[:, :3] += truth[:, :3]  # else hardly any hit
    expected = np.zeros((2, 6, 3))
    for clip, patch in np.ndindex(2, 6):
        softmax = np.exp(truth[clip] @ matched[clip].T)
        softmax /= softmax.sum(axis=1, keepdims=True)
        expected[clip, patch, 0] = -np.log(softmax[patch, patch])
        error = truth[clip, patch] - drawing[clip, patch]
        expected[clip, patch, 1] = (error**2).mean()
        expected[clip, patch, 2] = softmax[:, patch].argmax() == patch
    assert 0 < expected[..., 2].mean() < 1
    inputs = [x.astype("float32") for x in (truth, matched, drawing)]
    layer = layers.PatchComparison()
    np.testing.assert_allclose(numpy(layer(*inputs)), expected, atol=1e-5)
