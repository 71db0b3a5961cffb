"""Networks whose first blocks are not trained."""

import keras
import numpy as np
import pytest
from tiny import classifier, clips, phased, to_numpy, weights_of

from keras_c2f.cost import count_macs, network_cost
from keras_c2f.models import AST
from keras_c2f.phases import PhaseScheduler
from keras_c2f.training.init_from import start_from

FROZEN = ("patch_embedding", "positions", "prefix", "block_0")
KERNEL = "block_0/mlp_in/kernel"


def every_weight(network):
    return {
        v.path: to_numpy(v)
        for v in network.variables
        if "seed_generator" not in v.path
    }


def trained_layers(network):
    return {path.split("/")[0] for path in weights_of(network)}


def test_they_stay_through_phases_and_the_others_learn():
    """Compiled, with the weight decay and the momentum of AdamW."""
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    model = phased(optimizer, {}, depth=2, frozen_blocks=1)
    before = every_weight(model.network)
    inputs, labels = clips()
    scheduler = PhaseScheduler("pool:2@1, full@1", verbose=0)
    model.fit(inputs, labels, batch_size=4, verbose=0, callbacks=[scheduler])
    after = every_weight(model.network)
    assert before.keys() == after.keys()
    for path, value in after.items():
        if "positions" in path:  # resized, there and back
            continue
        stays = any(name in path for name in FROZEN)
        assert np.array_equal(value, before[path]) == stays, path
    learned = weights_of(model.network)
    assert not any(name in path for path in learned for name in FROZEN)


def test_graph_of_siblings_leaves_them_unrounded():
    """Mixed precision rounds what blocks compute with, not what they keep."""
    model = phased("adam", {}, depth=3, frozen_blocks=2, dtype="mixed_bfloat16")
    before = every_weight(model.network)
    model.fit(*clips(), batch_size=4, verbose=0)
    after = every_weight(model.network)
    kernels = [path for path in before if path.endswith("kernel")]
    stayed = [p for p in kernels if np.array_equal(before[p], after[p])]
    frozen = ("patch_embedding", "block_0", "block_1")
    assert stayed == [p for p in kernels if any(name in p for name in frozen)]


def test_what_was_frozen_before_is_thawed(tmp_path):
    """Weights come from an earlier training; what is frozen does not."""
    earlier = str(tmp_path / "model.keras")
    classifier(depth=2, frozen_blocks=2).save(earlier)
    target = classifier(depth=2, frozen_blocks=1)
    start_from(target, earlier)
    loaded = keras.models.load_model(earlier)
    assert trained_layers(loaded.backbone) == {"norm"}
    assert trained_layers(target.backbone) == {"block_1", "norm"}
    kernel = every_weight(loaded)[KERNEL]
    np.testing.assert_array_equal(every_weight(target)[KERNEL], kernel)


def test_they_cost_a_forward_pass_and_no_other():
    """Three where something learns; one in front of that, two behind."""
    model = classifier(depth=2)
    layers = {
        layer.name: count_macs(layer, layer.input.shape)
        for layer in model.backbone.layers
        if layer.weights
    }
    whole = network_cost(model).macs
    assert count_macs(model) == whole
    first = layers["patch_embedding"], layers["positions"], layers["block_0"]
    frozen = network_cost(classifier(depth=2, frozen_blocks=1))
    assert frozen.macs == whole - sum(n - n // 3 for n in first)
    assert count_macs(classifier(depth=2, frozen_blocks=1)) == whole
    model.backbone.get_layer("block_1").trainable = False
    behind = layers["block_1"]
    assert network_cost(model).macs == whole - behind + behind * 2 // 3


def test_a_frozen_model_behind_trained_layers_costs_two_passes():
    inputs = keras.Input((50, 8))
    inner = keras.Sequential([keras.Input((50, 8)), keras.layers.Dense(8)])
    inner.trainable = False
    front = keras.layers.Dense(8)
    model = keras.Model(inputs, inner(front(inputs)))
    assert network_cost(model).macs == 3200 + 3200 * 2 // 3
    front.trainable = False
    assert network_cost(model).macs == 2 * (3200 // 3)


def test_layers_frozen_by_hand_cost_less_in_each_phase():
    """Also where the network of a phase has no weights yet."""
    costs = {}
    for frozen in (False, True):
        model = phased(depth=2)
        model.network.backbone.get_layer("block_0").trainable = not frozen
        scheduler = PhaseScheduler("pool:2@1, full@1", verbose=0)
        model.fit(*clips(), verbose=0, callbacks=[scheduler])
        costs[frozen] = [cost.macs for cost in scheduler.costs]
    assert all(a > b for a, b in zip(costs[False], costs[True], strict=True))


def test_random_positions_cannot_stay():
    with pytest.raises(ValueError, match="frozen_blocks=1 keeps them from"):
        classifier(frozen_blocks=1, position_resize="random")


@pytest.mark.parametrize("number", [-1, 3])
def test_blocks_that_are_not_there_are_refused(number):
    with pytest.raises(ValueError, match=f"the 2 blocks.*: {number}"):
        AST(32, 8, (4, 4), width=8, depth=2, num_heads=2, frozen_blocks=number)
