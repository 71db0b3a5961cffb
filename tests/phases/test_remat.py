"""Blocks that are computed again in the backward pass train alike."""

import keras
import numpy as np
import pytest
from tiny import assert_same_weights, classifier, clips, phased, weights_of

from keras_c2f.layers import EncoderBlock
from keras_c2f.models import HTSAT, remat_scope
from keras_c2f.phases import PhasedModel, PhaseScheduler

COMPILED = {"run_eagerly": False}
SCHEDULE = "pool:4@1, pool:2@1, full@1"


def blocks(network):
    return [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, EncoderBlock)
    ]


def trained(scope, **options):
    """Losses and weights after three phases, with everything that is random."""
    with scope:
        # not Adam, which makes rounding errors of gradients of 0 a step
        model = phased(keras.optimizers.SGD(0.05), seed=1, **options)
    history = model.fit(  # outside the scope: switches keep it
        *clips(16),
        batch_size=4,
        shuffle=False,
        verbose=0,
        callbacks=[PhaseScheduler(SCHEDULE, verbose=0)],
    )
    return model, history.history["loss"]


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.2, "drop_path": 0.3, "compiled": COMPILED},
        {"depth": 2, "frozen_blocks": 1, "compiled": COMPILED},
    ],
)
def test_equal_losses_through_switches(options):
    plain, losses = trained(keras.RematScope(None), **options)
    model, again = trained(remat_scope(), **options)
    assert all(block.is_recomputed for block in blocks(model.network))
    assert not any(block.is_recomputed for block in blocks(plain.network))
    # rtol: float32, summed in another order
    np.testing.assert_allclose(again, losses, rtol=1e-5)
    assert_same_weights(
        weights_of(model.network), weights_of(plain.network), atol=1e-4
    )


def test_mixed_precision():
    losses = [
        trained(scope, compiled=COMPILED, drop_path=0.3, dtype="mixed_bfloat16")
        for scope in (keras.RematScope(None), remat_scope())
    ]
    # 8 bits of mantissa
    np.testing.assert_allclose(losses[0][1], losses[1][1], rtol=2e-2)


def gradients_of(block, tokens):
    """Calls a training step of one block; returns how often it was computed."""
    backend = keras.backend.backend()
    calls = []
    perceptron = block._perceptron
    block._perceptron = lambda *args, **kw: (
        calls.append(1) or perceptron(*args, **kw)
    )
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = keras.ops.sum(block(tokens, training=True) ** 2)
        tape.gradient(loss, [v.value for v in block.trainable_variables])
    elif backend == "torch":
        keras.ops.sum(block(tokens, training=True) ** 2).backward()
    else:
        import jax

        def loss(weights):
            outputs, _ = block.stateless_call(
                weights,
                [v.value for v in block.non_trainable_variables],
                tokens,
                training=True,
            )
            return keras.ops.sum(outputs**2)

        weights = [v.value for v in block.trainable_variables]
        program = str(jax.make_jaxpr(jax.grad(loss))(weights))
        calls += [1] * ("checkpoint" in program or "remat" in program)
    return len(calls)


@pytest.mark.parametrize("recomputes", [False, True])
def test_blocks_are_computed_twice(recomputes):
    with remat_scope() if recomputes else keras.RematScope(None):
        block = EncoderBlock(2, name="block_0")
        tokens = keras.ops.ones((1, 4, 8))
        block(tokens)  # builds; is no training
    assert gradients_of(block, tokens) == 1 + recomputes


@pytest.mark.once
def test_blocks_of_all_backbones():
    with remat_scope():
        network = HTSAT.from_size("micro")
    assert all(block.is_recomputed for block in blocks(network))


@pytest.mark.once
def test_an_own_model_keeps_its_scope():
    def build(resolution):
        network = classifier(resolution)
        inputs = keras.Input(network.input_shape[1:])
        hidden = keras.layers.Dense(4, name="own")(inputs)
        return keras.Model(inputs, hidden, name="own_model")

    with keras.RematScope("list_of_layers", layer_names=["own"]):
        model = PhasedModel(build)
    layer = model.network_at("pool:2").get_layer("own")
    assert layer._remat_mode.layer_names == ["own"]
