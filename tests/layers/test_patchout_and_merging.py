"""Layers that hand on fewer tokens: which, and what becomes of the rest."""

import keras
import numpy as np
import pytest
from contract import numpy

from keras_c2f import layers


def test_patchout_keeps_the_same_places_for_all_clips():
    tokens = np.random.default_rng(0).normal(size=(3, 30, 4)).astype("float32")
    layer, draws = layers.Patchout(0.75, seed=1), []
    for _ in range(400):
        out = numpy(layer(tokens, training=True))
        kept = np.isin(tokens[0], out[0]).all(axis=-1)
        np.testing.assert_array_equal(out, tokens[:, kept])  # in their order
        draws.append(kept)
    # 7.5, rounded to even: 8 of 30
    assert (np.sum(draws, axis=1) == 8).all()
    # each place alike: 4 standard deviations of a mean of 400
    share, spread = 8 / 30, np.sqrt(8 / 30 * 22 / 30 / 400)
    assert np.abs(np.mean(draws, axis=0) - share).max() < 4 * spread


@pytest.mark.parametrize(
    "rate, num_tokens, num_kept",
    [(0.4, 64, 38), (0.5, 7, 4), (0.9, 1, 1), (0.99, 8, 1), (0.0, 9, 9)],
)
def test_patchout_keeps_one_token_at_least(rate, num_tokens, num_kept):
    tokens = np.ones((2, num_tokens, 3))
    layer = layers.Patchout(rate)
    assert layer.num_kept(num_tokens) == num_kept
    assert layer(tokens, training=True).shape[1] == num_kept
    np.testing.assert_array_equal(numpy(layer(tokens)), tokens)


@pytest.mark.parametrize("rate", [-0.1, 1])
def test_impossible_patchout_is_refused(rate):
    with pytest.raises(ValueError, match=f"below 1. Received: rate={rate}"):
        layers.Patchout(rate)


@pytest.mark.parametrize(
    "rate, num_patches, num_merged",
    [(0.3, 64, 19), (0.5, 7, 3), (0.5, 8, 4), (0.4, 3, 1)],
)
def test_token_merging_equals_numpy(rate, num_patches, num_merged):
    tokens = np.random.default_rng(0).normal(size=(3, 2 + num_patches, 5))
    tokens[0, 5:6] = 0  # without an angle: alike to none
    layer = layers.TokenMerging(rate, num_prefix_tokens=2)
    out = numpy(layer(tokens.astype("float32")))
    assert out.shape == (3, 2 + num_patches - num_merged, 5)
    for clip, merged in zip(tokens, out, strict=True):
        np.testing.assert_allclose(merged[:2], clip[:2], atol=1e-6)
        groups = merged_groups(clip[2:], num_merged)
        expected = [clip[2:][group].mean(axis=0) for group in groups]
        # float32, means of a few
        np.testing.assert_allclose(merged[2:], expected, atol=1e-5)


def merged_groups(patches, num_merged):
    """Lists of the patches that become one, in the layer's order; float64."""
    lengths = np.linalg.norm(patches, axis=1)
    directions = patches / np.where(lengths, lengths, 1)[:, None]
    groups = [[position] for position in range(1, len(patches), 2)]
    found = []
    for position in range(0, len(patches), 2):
        cosines = [directions[position] @ directions[g[0]] for g in groups]
        found.append((max(cosines), int(np.argmax(cosines)), position))
    gone = sorted(found, reverse=True)[:num_merged]
    for _, partner, position in gone:
        groups[partner].append(position)
    left = set(range(0, len(patches), 2)) - {
        position for _, _, position in gone
    }
    return [*([position] for position in sorted(left)), *groups]


def test_merged_tokens_share_the_gradient():
    """In a step of rate 1 positions move by it, each by its share of a mean."""
    rng = np.random.default_rng(0)
    patches, weights = rng.normal(size=(1, 9, 1, 5)), rng.normal(size=(1, 5, 5))
    positions = layers.PositionGrid()
    grid = keras.layers.Reshape((9, 5))(positions(keras.Input((9, 1, 5))))
    model = keras.Model(
        positions.input, layers.TokenMerging(0.5)(grid), name="merged"
    )
    (before,) = positions.get_weights()
    model.compile("sgd", lambda y, x: keras.ops.sum(x * y, axis=(1, 2)))
    model.optimizer.learning_rate = 1.0
    model.fit(patches, weights, verbose=0)
    moved = (before - positions.get_weights()[0])[:, 0]
    groups = merged_groups((patches[0] + before)[:, 0], 4)
    assert max(map(len, groups)) > 2
    for group, weight in zip(groups, weights[0], strict=True):
        for position in group:
            np.testing.assert_allclose(
                moved[position], weight / len(group), atol=1e-5
            )


@pytest.mark.parametrize("rate, num_patches", [(0.2, 4), (0.5, 1), (0.0, 9)])
def test_too_few_to_merge_pass_as_they_are(rate, num_patches):
    tokens = np.random.default_rng(0).normal(size=(3, 2 + num_patches, 5))
    out = numpy(layers.TokenMerging(rate, num_prefix_tokens=2)(tokens))
    np.testing.assert_array_equal(out, tokens.astype("float32"))


@pytest.mark.parametrize("rate", [-0.1, 0.51])
def test_impossible_token_merging_is_refused(rate):
    with pytest.raises(ValueError, match=f"can go. Received: rate={rate}"):
        layers.TokenMerging(rate)
