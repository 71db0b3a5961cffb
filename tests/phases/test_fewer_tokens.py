"""Networks that leave patches out or merge them: what is left, and costs."""

import keras
import numpy as np
import pytest
from contract import numpy, randomize
from tiny import classifier, clips, phased, to_numpy

from keras_c2f.cost import count_macs, network_cost
from keras_c2f.models import AST, AudioClassifier, MaskedPatchModel
from keras_c2f.phases import PhaseScheduler

SMALL = {
    "num_frames": 32,
    "num_mel_bins": 8,
    "patch_size": (4, 4),
    "width": 8,
    "depth": 2,
    "num_heads": 2,
}


def test_blocks_see_prefix_and_kept_patches_alone():
    network = AST(**SMALL, patchout=0.3)
    randomize(network)
    plain = AST(**SMALL)
    plain.set_weights(network.get_weights())
    inputs = clips(3)[0]
    patchout = network.get_layer("patchout")
    state = patchout.seed_generator.state
    before = to_numpy(state)
    positions = np.arange(16.0)[None, :, None]
    kept = numpy(patchout(positions, training=True))[0, :, 0].astype(int)
    state.assign(before)  # the same draw once more
    out = numpy(network(inputs, training=True))
    tokens = keras.Model(plain.input, plain.get_layer("tokens").output)(inputs)
    tokens = keras.ops.convert_to_tensor(numpy(tokens)[:, kept])
    for name in ("prefix", "block_0", "block_1", "norm"):
        tokens = plain.get_layer(name)(tokens)
    assert out.shape == (3, 2 + 11, 8)  # 0.7 x 16, rounded
    # float32, in the same order
    np.testing.assert_allclose(out, numpy(tokens), atol=1e-5)
    np.testing.assert_allclose(
        network.predict(inputs, verbose=0),
        plain.predict(inputs, verbose=0),
        atol=1e-5,
    )


def test_no_patchout_adds_nothing():
    names = [layer.name for layer in AST(**SMALL).layers]
    with_it = [layer.name for layer in AST(**SMALL, patchout=0.5).layers]
    assert [name for name in with_it if name not in names] == ["patchout"]


@pytest.mark.parametrize("pooling", ["mean", "prefix"])
def test_kept_places_alone_learn_in_a_step(pooling):
    model = phased("sgd", {}, patchout=0.5, pooling=pooling)
    grid = model.network.backbone.get_layer("positions").grid
    before = to_numpy(grid)
    inputs, labels = clips(6)
    model.fit(inputs, labels, batch_size=6, verbose=0)
    moved = (to_numpy(grid) != before).any(axis=-1)
    assert moved.sum() == 8


def fit_two_phases(model, inputs, labels):
    """The history of an epoch each of 8 and of 16 patches."""
    history = model.fit(
        inputs,
        labels,
        validation_data=(inputs, labels),
        batch_size=4,
        verbose=0,
        callbacks=[PhaseScheduler("pool:2@1, full@1", verbose=0)],
    ).history
    assert np.isfinite(history["loss"] + history["val_loss"]).all()
    assert history["num_tokens"] == [8, 16]
    return history


@pytest.mark.parametrize("pooling", ["mean", "prefix"])
def test_number_of_kept_patches_follows_the_phase(pooling):
    """Compiled, on each backend, with validation that sees all patches."""
    model = phased("adam", {}, patchout=0.4, dropout=0.1, pooling=pooling)
    inputs, labels = clips()
    history = fit_two_phases(model, inputs, labels)
    embedding = 4 * 4 * 8
    for gmacs, patches, kept in zip(
        history["gmacs"], (8, 16), (5, 10), strict=True
    ):
        macs = patches * embedding + block_macs(1 + kept, 8, 16) + 8 * 3
        assert gmacs == macs / 1e9
    plain = classifier(pooling=pooling)
    plain.set_weights(
        [
            to_numpy(v)
            for v in model.network.variables
            if "seed_generator" not in v.path
        ]
    )
    np.testing.assert_allclose(
        model.network.predict(inputs, verbose=0),
        plain.predict(inputs, verbose=0),
        atol=1e-5,
    )


def block_macs(num_tokens, width, hidden):
    """Projections, attention and perceptron, by hand."""
    projections = 4 * num_tokens * width**2
    attention = 2 * num_tokens**2 * width
    return projections + attention + 2 * num_tokens * width * hidden


def test_training_costs_what_kept_patches_cost():
    model = AudioClassifier(AST(**SMALL, patchout=0.3), 3)
    others = 16 * 4 * 4 * 8 + 8 * 3  # patch embedding of all, and head
    cost = network_cost(model)
    assert cost.num_tokens == 16
    assert cost.macs == others + 2 * block_macs(2 + 11, 8, 32)
    assert count_macs(model) == others + 2 * block_macs(2 + 16, 8, 32)
    plain = AudioClassifier(AST(**SMALL), 3)
    assert network_cost(plain).macs == count_macs(plain) == count_macs(model)


@pytest.mark.once
@pytest.mark.parametrize("pooling", ["mean", "prefix"])
def test_number_of_merged_patches_follows_the_phase(pooling):
    """Compiled, on each backend; in use they merge too."""
    model = phased("adam", {}, depth=3, token_merging=0.4, pooling=pooling)
    inputs, labels = clips()
    history = fit_two_phases(model, inputs, labels)
    embedding = 4 * 4 * 8
    for gmacs, patches in zip(
        history["gmacs"], ((8, 5, 3), (16, 10, 6)), strict=True
    ):
        macs = patches[0] * embedding + 8 * 3
        macs += sum(block_macs(1 + count, 8, 16) for count in patches)
        for count, left in zip(patches, patches[1:], strict=False):
            others = count // 2
            macs += (count - others + count - left) * others * 8
        assert gmacs == macs / 1e9
    assert model.network.backbone(inputs).shape[1] == 1 + 6


def test_of_patches_left_out_fewer_are_merged():
    network = AST(**SMALL, patchout=0.3, token_merging=0.4)
    out = network(clips(3)[0], training=True)
    assert out.shape == (3, 2 + 7, 8)  # 16, 11, 7
    macs = 16 * 4 * 4 * 8 + block_macs(2 + 11, 8, 32) + block_macs(2 + 7, 8, 32)
    macs += (6 + 4) * 5 * 8
    assert network_cost(network).macs == macs


@pytest.mark.parametrize("share", [-0.1, 0.6])
def test_impossible_share_is_refused(share):
    with pytest.raises(ValueError, match=f"can go. Received: {share}"):
        AST(**SMALL, token_merging=share)


@pytest.mark.parametrize("name", ["patchout", "token_merging"])
def test_what_needs_every_patch_is_refused(name):
    backbone = AST(**SMALL, **{name: 0.5})
    with pytest.raises(ValueError, match=f"guessed.*{name}=0.5"):
        MaskedPatchModel(backbone)
    with pytest.raises(ValueError, match=f"not all of them.*'{name}': 0.5"):
        AudioClassifier(backbone, 3, pooling="token_semantic")
