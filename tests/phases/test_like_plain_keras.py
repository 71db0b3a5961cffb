"""Two phases of one resolution train as Keras does without phases.

Compiled, as users run it. The network is exchanged for a new one between the
epochs, and the optimizer rebuilt.
"""

import keras
import numpy as np
import pytest
from tiny import to_numpy

from keras_c2f.phases import PhasedModel, PhaseScheduler

SGD = keras.optimizers.SGD
AdamW = keras.optimizers.AdamW
OPTIMIZERS = {
    "SGD": lambda: SGD(0.1, momentum=0.9, nesterov=True),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.01, centered=True),
    "Adam": lambda: keras.optimizers.Adam(0.01),
    "AdamW": lambda: AdamW(0.01, weight_decay=0.1),
    "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True, clipnorm=0.5),
    "Adadelta": lambda: keras.optimizers.Adadelta(1.0),
    "Adagrad": lambda: keras.optimizers.Adagrad(0.05),
    "Adamax": lambda: keras.optimizers.Adamax(0.01),
    "Adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "Nadam": lambda: keras.optimizers.Nadam(0.01),
    "Ftrl": lambda: keras.optimizers.Ftrl(0.05),
    "Lion": lambda: keras.optimizers.Lion(0.005),
    "Lamb": lambda: keras.optimizers.Lamb(0.01),
    "Muon": lambda: keras.optimizers.Muon(0.01),
    "ScheduleFree": lambda: keras.optimizers.ScheduleFreeAdamW(0.01),
    "average": lambda: AdamW(0.01, use_ema=True, ema_momentum=0.8),
    "average, often": lambda: SGD(
        0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=2
    ),
    # 3 steps an epoch: gradients of one wait for those of the next
    "accumulation": lambda: SGD(
        0.1, momentum=0.9, gradient_accumulation_steps=2
    ),
    "loss scaling": lambda: keras.optimizers.LossScaleOptimizer(
        SGD(0.1, momentum=0.9), initial_scale=4.0, dynamic_growth_steps=2
    ),
    "schedule": lambda: SGD(
        keras.optimizers.schedules.CosineDecay(0.1, 6), momentum=0.9
    ),
}


def network(resolution="full"):
    """Without weights whose gradient is 0: Adam would blow up its rounding."""
    inputs = keras.Input((6,))
    outputs = keras.layers.Dense(5, use_bias=False, name="in")(inputs)
    outputs = keras.layers.BatchNormalization(
        center=False, scale=False, name="norm"
    )(outputs)
    if keras.backend.backend() != "torch":  # whose dropout has no seed
        outputs = keras.layers.Dropout(0.2, seed=1, name="drop")(outputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(outputs))


def network_of(*layers):
    """Function that builds a network of what these functions make."""

    def build(resolution="full"):
        inputs = outputs = keras.Input((6,))
        for layer in layers:
            outputs = layer()(outputs)
        head = keras.layers.Dense(3, name="head")
        return keras.Model(inputs, head(outputs))

    return build


def dense(name="dense"):
    return keras.layers.Dense(6, activation="tanh", name=name)


def nested(name, layer="dense"):
    inputs = keras.Input((6,))
    return keras.Model(inputs, dense(layer)(inputs), name=name)


def train(model, optimizer, callbacks=(), **options):
    """Losses and accuracies of two epochs of three steps."""
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",  # XLA takes seconds
        **options,
    )
    rng = np.random.default_rng(0)
    history = model.fit(
        rng.normal(size=(12, 6)).astype("float32"),
        rng.integers(0, 3, 12),
        batch_size=4,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    return history.history


def assert_a_switch_carries_all(
    make_optimizer,
    build=network,
    make_callbacks=list,
    build_plain=None,
    **options,
):
    """Trains a plain model, and the same in two phases of one resolution."""
    keras.utils.set_random_seed(1)
    plain = (build_plain or build)()
    keras.utils.set_random_seed(1)
    phased = PhasedModel(build, "pool:2")
    optimizer = make_optimizer()
    # else Keras builds it in the graph of a step on TensorFlow, and the copies
    # of the weights with which ScheduleFree begins are 0
    optimizer.build(plain.trainable_variables)
    losses = train(plain, optimizer, make_callbacks(), **options)
    scheduler = PhaseScheduler("pool:2@1, full@1", verbose=0)
    phased_losses = train(
        phased, make_optimizer(), [*make_callbacks(), scheduler], **options
    )
    assert scheduler.reports[1] is not None  # it was another network
    assert not phased.run_eagerly
    for figure, values in losses.items():
        np.testing.assert_allclose(phased_losses[figure], values, atol=1e-6)
    pairs = [
        (plain.variables, phased.network.variables),
        (plain.optimizer.variables, phased.optimizer.variables),
    ]
    for expected, found in pairs:
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_allclose(
                to_numpy(other), to_numpy(one), atol=1e-6, err_msg=one.path
            )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_switch_carries_all(name):
    assert_a_switch_carries_all(OPTIMIZERS[name])


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras refuses it on PyTorch"
)
def test_several_steps_in_one_execution():
    assert_a_switch_carries_all(OPTIMIZERS["SGD"], steps_per_execution=2)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averages_in_place_of_weights(swap_on_epoch):
    assert_a_switch_carries_all(
        OPTIMIZERS["average"],
        make_callbacks=lambda: [keras.callbacks.SwapEMAWeights(swap_on_epoch)],
    )


# it has no cost that is known
@pytest.mark.filterwarnings("ignore:The cost of SpectralNormalization")
@pytest.mark.parametrize(
    "build",
    [
        network_of(
            lambda: keras.layers.SpectralNormalization(dense(), name="normal")
        ),
        network_of(
            dense, lambda: keras.layers.Lambda(lambda x: 2 * x, name="twice")
        ),
    ],
    ids=["SpectralNormalization", "Lambda"],
)
def test_networks_of_all_kinds(build):
    assert_a_switch_carries_all(OPTIMIZERS["SGD"], build)


def test_layers_of_one_name_in_two_models():
    """As with names of their own: Keras mixes up gradients on PyTorch."""
    assert_a_switch_carries_all(
        OPTIMIZERS["SGD"],
        network_of(lambda: nested("one"), lambda: nested("two")),
        build_plain=network_of(
            lambda: nested("one", "first"), lambda: nested("two", "second")
        ),
    )
