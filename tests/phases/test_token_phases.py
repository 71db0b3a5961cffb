"""`token:C`: tokens pooled behind patch embedding and positions."""

import keras
import numpy as np
import pytest
from contract import numpy, randomize
from tiny import clips, numpy_loss, phased

from keras_c2f.cost import count_macs, network_cost
from keras_c2f.models import AST, HTSAT, KWT, AudioClassifier, MaskedPatchModel
from keras_c2f.phases import PhaseScheduler, transplant

SMALL = {
    "num_frames": 50,  # 12 patches in time, and 2 frames dropped
    "num_mel_bins": 8,
    "patch_size": (4, 4),
    "width": 8,
    "depth": 2,
    "num_heads": 2,
}


def pooled_by_hand(fine, log_mel, factor):
    """Patches and positions of the fine network, averaged in float64.

    Patch by patch, from the weights: `(batch, time // factor * freq, width)`.
    """
    kernel = fine.get_layer("patch_embedding").kernel
    kernel = numpy(kernel).astype("float64").reshape(16, 8)
    bias = numpy(fine.get_layer("patch_embedding").bias)
    grid = numpy(fine.get_layer("positions").grid).astype("float64")
    rows = []
    for step in range(12 // factor):
        for freq in range(2):
            total = 0
            for time in range(step * factor, (step + 1) * factor):
                patch = log_mel[:, 4 * time :, 4 * freq :][:, :4, :4]
                total += patch.reshape(len(patch), 16) @ kernel + bias
                total += grid[time, freq]
            rows.append(total / factor)
    return np.stack(rows, axis=1)


@pytest.mark.parametrize("factor", [2, 5])
@pytest.mark.parametrize("cls", [AST, KWT])
def test_tokens_are_means_of_fine_ones(cls, factor):
    fine = randomize(cls(**SMALL))
    coarse = fine.at_resolution(f"token:{factor}")
    report = transplant(fine, coarse)
    assert report.resized == report.fresh == report.dropped == ()
    assert coarse.input_shape == fine.input_shape
    assert coarse.grid_size == (12 // factor, 2)
    assert coarse.output_shape == (None, 2 + 12 // factor * 2, 8)
    log_mel = np.random.default_rng(0).normal(size=(3, 50, 8))
    tokens = keras.Model(coarse.input, coarse.get_layer("tokens").output)
    np.testing.assert_allclose(
        tokens.predict(log_mel, verbose=0),
        pooled_by_hand(fine, log_mel, factor),
        atol=1e-5,
    )
    back = cls(**SMALL)
    transplant(coarse, back)
    for old, new in zip(fine.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("build", [AST, HTSAT])
def test_factor_one_is_full_resolution(build):
    options = {"num_frames": 64, "num_mel_bins": 32, "width": 8}
    options |= {"depth": 1, "num_heads": 2}
    if build is HTSAT:
        del options["depth"]
        options |= {"depths": (1, 1), "num_heads": (1, 2)}
    plain = build(**options, resolution="full")
    other = build(**options, resolution="token:1")
    assert plain.get_config() == {**other.get_config(), "name": plain.name}
    names = [layer.name for layer in plain.layers[1:]]
    assert names == [layer.name for layer in other.layers[1:]]


def test_joined_with_other_ways():
    backbone = AST(**SMALL, resolution="pool:2+token:3")
    assert backbone.input_shape == (None, 25, 8)
    assert backbone.grid_size == (2, 2)  # 25 // 4 // 3
    backbone = AST(**SMALL, resolution="patch:2+token:3")
    assert backbone.grid_size == (2, 2)  # 6 patches of 8 frames


def test_hts_at_maps_are_smaller_by_the_factor():
    backbone = HTSAT(
        256, 16, width=8, depths=(1, 1), num_heads=(1, 2), window_size=(4, 4)
    )
    coarse = backbone.at_resolution("token:2")
    patches = backbone.at_resolution("patch:2")
    assert coarse.num_tokens == patches.num_tokens
    assert coarse.grid_size == patches.grid_size
    assert coarse.output_shape == patches.output_shape
    kernels = [
        tuple(network.get_layer("patch_embedding").kernel.shape)
        for network in (backbone, coarse)
    ]
    assert kernels[0] == kernels[1]


def test_blocks_cost_less_and_the_embedding_what_it_did():
    fine = AST(**SMALL)
    coarse = fine.at_resolution("token:4")
    embedding = 24 * 16 * 8

    def blocks(tokens):
        matrices = 2 * tokens * (4 * 8 * 8 + 2 * 8 * 32)
        return matrices + 2 * 2 * tokens * tokens * 8

    assert count_macs(fine) == embedding + blocks(2 + 24)
    assert count_macs(coarse) == embedding + blocks(2 + 6)
    assert network_cost(coarse).num_tokens == 6
    assert coarse.count_params() == fine.count_params()


def test_phases_in_one_fit():
    """Compiled; a switch resizes nothing, and the loss is the network's."""
    model = phased(compiled={})
    inputs, labels = clips()
    scheduler = PhaseScheduler("token:4@1, token:2+pool:2@1, full@1", verbose=0)
    history = model.fit(
        inputs,
        labels,
        batch_size=4,
        validation_data=(inputs, labels),
        callbacks=[scheduler],
        verbose=0,
    ).history
    assert history["num_tokens"] == [2 * 2, 2 * 2, 8 * 2]
    assert [bool(r and r.resized) for r in scheduler.reports] == [
        False,
        True,  # positions, for pool:2
        True,
    ]
    np.testing.assert_allclose(
        history["val_loss"][-1],
        numpy_loss(model.network, inputs, labels),
        rtol=1e-4,
    )


def test_phases_of_a_stem_in_one_fit():
    model = phased(compiled={}, stem_channels=(3, 4))
    inputs, labels = clips()
    before = [v.path for v in model.network.trainable_variables]
    history = model.fit(
        inputs,
        labels,
        batch_size=4,
        validation_data=(inputs, labels),
        callbacks=[
            PhaseScheduler("patch:4@1, token:2@1, shift:2@1, full@1", verbose=0)
        ],
        verbose=0,
    ).history
    assert history["num_tokens"] == [2 * 2, 4 * 2, 4 * 2, 8 * 2]
    assert [v.path for v in model.network.trainable_variables] == before
    np.testing.assert_allclose(
        history["val_loss"][-1],
        numpy_loss(model.network, inputs, labels),
        rtol=1e-4,
    )


def test_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="`token:13` leaves no token of 12"):
        AST(**SMALL, resolution="token:13")


def test_masked_patches_are_not_pooled():
    with pytest.raises(ValueError, match="resolution='token:2'"):
        MaskedPatchModel(AST(**SMALL, resolution="token:2"))


def test_token_semantic_head_takes_the_pooled_grid():
    backbone = AST(**SMALL, resolution="token:3")
    model = AudioClassifier(backbone, 5, pooling="token_semantic")
    assert model.framewise().output_shape == (None, 4, 5)
