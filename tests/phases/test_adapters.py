"""Low-rank adapters: trained beside frozen kernels, carried, merged."""

import math

import keras
import numpy as np
import pytest
from contract import numpy

from keras_c2f import (
    AST,
    HTSAT,
    AudioClassifier,
    Phase,
    PhasedModel,
    PhaseScheduler,
    WhisperEncoder,
)
from keras_c2f.cost import count_macs, network_cost
from keras_c2f.models import MaskedPatchModel, merge_adapters, of_compressed
from keras_c2f.phases.transplant import weights_by_path

RANK, WIDTH, FRAMES = 3, 16, 32
BACKBONES = {
    "AST": (AST, dict(patch_size=(4, 8), depth=2, num_heads=2)),
    "WhisperEncoder": (WhisperEncoder, dict(depth=2, num_heads=2)),
    "HTSAT": (HTSAT, dict(depths=(1, 1), num_heads=(2, 2), num_folds=1)),
}
RNG = np.random.default_rng(0)


def make_network(name, lora_rank=RANK):
    cls, options = BACKBONES[name]
    backbone = cls(FRAMES, 16, width=WIDTH, lora_rank=lora_rank, **options)
    return AudioClassifier(backbone, 3, pooling="mean")


def adapt(network):
    """Adapters as training would leave them: not zero."""
    for variable in network.trainable_variables:
        value = RNG.normal(0, 0.3, variable.shape)
        variable.assign(value.astype("float32"))
    return network


def features(count=4, frames=FRAMES):
    return RNG.normal(size=(count, frames, 16)).astype("float32")


@pytest.mark.parametrize("name", BACKBONES)
def test_adapters_and_head_alone_are_trained(name):
    network = make_network(name)
    dense = [
        layer
        for block in network.backbone.layers
        for layer in getattr(block, "dense_layers", ())
    ]
    assert len(dense) == 8
    trained = {
        path
        for path, (v, _) in weights_by_path(network).items()
        if v.trainable and "seed" not in path
    }
    assert {p.rpartition("/")[2] for p in trained if "block" in p} == {
        "lora_kernel_a",
        "lora_kernel_b",
    }
    outside = {p for p in trained if "block" not in p}
    assert outside == {
        "head/kernel",
        "head/bias",
        "head_norm/gamma",
        "head_norm/beta",
    }
    count = sum(RANK * (d.lora_kernel_a.shape[0] + d.units) for d in dense)
    cost = network_cost(network)
    width = network.backbone.output_shape[-1]
    assert cost.num_trained == count + 3 * width + 3 + 2 * width
    plain = network_cost(make_network(name, 0))
    assert plain.num_trained <= plain.num_parameters
    assert cost.num_parameters == plain.num_parameters + count


@pytest.mark.once
@pytest.mark.parametrize("name", BACKBONES)
def test_merged_networks_give_the_same_scores(name):
    network = adapt(make_network(name))
    plain = merge_adapters(network)
    assert not any("lora" in v.path for v in plain.variables)
    assert len(plain.trainable_variables) > len(network.trainable_variables)
    clips = features()
    right = network.predict_on_batch(clips)
    np.testing.assert_allclose(plain.predict_on_batch(clips), right, atol=1e-5)
    exported = of_compressed(network)
    assert exported.backbone.lora_rank == 0
    np.testing.assert_allclose(
        exported.predict_on_batch(clips), right, atol=1e-5
    )
    without = make_network(name, 0)
    weights = [v for v in network.weights if "lora" not in v.path]
    without.set_weights([numpy(v) for v in weights])
    assert np.abs(without.predict_on_batch(clips) - right).max() > 1e-2
    assert merge_adapters(plain) is plain
    merged = merge_adapters(network.backbone)
    assert merged.lora_rank == 0 and type(merged) is type(network.backbone)


def kernels_of(network):
    return {
        path: numpy(v).copy()
        for path, (v, _) in weights_by_path(network).items()
        if not v.trainable and "seed" not in path
    }


@pytest.mark.parametrize("name", BACKBONES)
def test_adapters_are_carried_through_switches(name):
    model = PhasedModel(make_network(name))
    before = kernels_of(model.network)
    model.compile(
        keras.optimizers.AdamW(1e-2, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            network = model.network
            seen.append(
                {
                    path: numpy(v).copy()
                    for path, (v, _) in weights_by_path(network).items()
                    if "lora" in path
                }
            )
            if epoch == 0:  # right behind it the phase changes
                slots = [
                    v for v in model.optimizer.variables if "lora" in v.path
                ]
                assert any(np.abs(numpy(v)).max() > 0 for v in slots)

    log_mel = features(8)
    log_mel = log_mel.reshape(8, FRAMES // 2, 2, 16).mean(2)
    model.switch(Phase("pool:2", 1))
    clips, labels = log_mel, np.arange(8) % 3
    model.fit(clips, labels, verbose=0, batch_size=4, callbacks=[Look()])
    steps = int(model.optimizer.iterations)
    model.switch(Phase("full", 1))
    after = {
        path: numpy(v)
        for path, (v, _) in weights_by_path(model.network).items()
        if "lora" in path
    }
    assert len(after) == 16 and int(model.optimizer.iterations) == steps
    for path, value in after.items():
        np.testing.assert_array_equal(value, seen[0][path])
    assert any(np.abs(v).max() > 0 for p, v in after.items() if "_b" in p[-2:])
    model.fit(features(8), labels, verbose=0, batch_size=4, callbacks=[Look()])
    moved = [p for p in after if not np.array_equal(after[p], seen[1][p])]
    assert len(moved) == 16
    for path, value in kernels_of(model.network).items():
        if path.rpartition("/")[2] not in ("grid", "position_bias"):  # resized
            np.testing.assert_array_equal(value, before[path], err_msg=path)


def test_a_saved_model_goes_on_with_its_adapters(tmp_path):
    """Keras merges them into the kernel, and begins them at zero again."""
    clips, labels = features(8), np.arange(8) % 3
    model = PhasedModel(make_network("AST"))
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    options = {"verbose": 0, "batch_size": 4, "shuffle": False}
    model.fit(clips, labels, **options)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    old, new = weights_by_path(model.network), weights_by_path(loaded.network)
    assert old.keys() == new.keys()
    for path, (variable, _) in old.items():
        np.testing.assert_array_equal(numpy(variable), numpy(new[path][0]))
        assert variable.trainable == new[path][0].trainable, path
    found = [m.fit(clips, labels, **options).history for m in (model, loaded)]
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-5)
    plain = merge_adapters(loaded.network)
    plain.save(tmp_path / "plain.keras")
    again = keras.models.load_model(tmp_path / "plain.keras")
    np.testing.assert_allclose(
        again.predict_on_batch(clips),
        loaded.network.predict_on_batch(clips),
        atol=1e-5,
    )


@pytest.mark.once
def test_cost_is_counted_from_shapes():
    network = make_network("AST").backbone
    tokens, hidden = network.num_tokens + 2, 4 * WIDTH
    kernels = [(WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, hidden)]
    kernels.append((hidden, WIDTH))
    frozen = 2 * tokens * sum(a * b for a, b in kernels)
    adapters = 2 * tokens * RANK * sum(a + b for a, b in kernels)
    attention = 2 * 2 * tokens**2 * WIDTH
    patches = network.num_tokens * 4 * 8 * WIDTH
    assert count_macs(network) == frozen + adapters + attention + patches
    # gradients of kernels are left out: two passes of three; the patch
    # embedding, in front of all that is trained, has its forward pass alone
    assert count_macs(network, training=True) == pytest.approx(
        frozen * 2 / 3 + adapters + attention + patches / 3, abs=4
    )
    dense = keras.Sequential([keras.Input((5, 8)), keras.layers.Dense(4)])
    dense.layers[0].enable_lora(2)
    assert count_macs(dense) == 5 * (8 * 4 + 2 * (8 + 4))
    assert count_macs(dense, training=True) == math.ceil(
        5 * (8 * 4 * 2 / 3 + 2 * (8 + 4))
    )


@pytest.mark.once
def test_ranks_that_save_nothing_are_refused():
    for rank in (-1, 9):  # 16 x 16 / 32 = 8
        with pytest.raises(ValueError, match="at most 8"):
            make_network("AST", rank)


@pytest.mark.once
def test_masked_patches_and_a_schedule():
    """A model on the layers of its backbone, and `fit` with a scheduler."""
    network = make_network("AST")
    masked = MaskedPatchModel(merge_adapters(network.backbone))
    assert masked.count_params() > 0
    model = PhasedModel(make_network("WhisperEncoder"))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    scheduler = PhaseScheduler("token:2@1, full@1")
    history = model.fit(
        features(8),
        np.arange(8) % 3,
        verbose=0,
        batch_size=4,
        callbacks=[scheduler],
    ).history
    assert len(history["loss"]) == 2
    assert str(model.resolution) == "full"
