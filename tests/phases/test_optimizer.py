"""Optimizer state across `PhasedModel.switch`, and rates in real fits."""

import re

import keras
import numpy as np
import pytest
from test_transplant import torch_bilinear
from tiny import (
    Recorder,
    assert_same_weights,
    classifier,
    clips,
    phased,
    to_numpy,
)

from keras_c2f.phases import Phase, PhasedModel, PhaseScheduler

GRID, KERNEL = "positions_grid", "patch_embedding_kernel"
AdamW = keras.optimizers.AdamW


def built(optimizer, resolution="pool:2", **options):
    """A compiled model whose optimizer has been at work: random state."""
    model = phased(optimizer, resolution=resolution, **options)
    model.optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    for variable in model.optimizer.variables:
        if variable.name == "iteration":
            variable.assign(5)
        elif variable.name.startswith("variable"):  # Nadam's product
            variable.assign(0.5)
        elif len(variable.shape):
            value = rng.normal(size=variable.shape)
            if "velocity" in variable.name:
                value = value**2
            variable.assign(value)
    return model


def state(optimizer):
    """`{name: value}`; Keras numbers variables without a name."""
    return {
        re.sub(r"^variable_\d+$", "variable", variable.name): to_numpy(variable)
        for variable in optimizer.variables
    }


def test_slots_are_carried_and_resized():
    model = built(AdamW(0.01, clipnorm=1.0, name="mine"))
    before = state(model.optimizer)
    model.switch(Phase("full", 1))
    after = state(model.optimizer)
    assert before.keys() == after.keys()
    for name, slot in before.items():
        if name.startswith(GRID):
            expected = torch_bilinear(slot, (8, 2))
            np.testing.assert_allclose(after[name], expected, atol=1e-5)
        else:
            np.testing.assert_array_equal(after[name], slot)
    assert int(to_numpy(model.optimizer.iterations)) == 5
    assert model.optimizer.name == "mine"
    assert model.optimizer.clipnorm == 1.0


def test_slots_of_random_positions_begin_at_zero():
    model = built(AdamW(0.01, use_ema=True), position_resize="random")
    model.switch(Phase("full", 1))
    for name, slot in state(model.optimizer).items():
        if name.startswith(GRID) and not name.endswith("_average"):
            assert not slot.any(), name
        elif slot.ndim:
            assert slot.any(), name


@pytest.mark.parametrize("kernel_resize", ["pi", "bilinear", "base"])
def test_second_moments_stay_positive(kernel_resize):
    model = built(AdamW(), "patch:4", kernel_resize=kernel_resize)
    for resolution in ("patch:2", "full", "patch:2"):  # shrink and grow
        model.switch(Phase(resolution, 1))
        slots = state(model.optimizer)
        velocity = slots[KERNEL + "_velocity"]
        length = 1 if kernel_resize == "base" else model.resolution.patch
        assert velocity.shape == (4 * length, 4, 1, 8)
        assert velocity.min() >= 0
        assert velocity.max() > 0
        assert slots[KERNEL + "_momentum"].min() < 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.SGD(0.01, momentum=0.9),
        lambda: keras.optimizers.Nadam(),
        lambda: keras.optimizers.Muon(),
        lambda: keras.optimizers.Adam(amsgrad=True, global_clipnorm=1.0),
        lambda: keras.optimizers.ScheduleFreeAdamW(),
    ],
    ids=["SGD", "Nadam", "Muon", "amsgrad", "ScheduleFree"],
)
def test_other_optimizers(make):
    model = built(make(), "patch:2")
    before = state(model.optimizer)
    model.switch(Phase("full", 1))
    after = state(model.optimizer)
    assert before.keys() == after.keys()
    for name, slot in before.items():
        if slot.shape == after[name].shape:
            np.testing.assert_array_equal(after[name], slot)
        else:  # carried, not left at 0
            assert np.abs(after[name]).min() > 0
    assert type(model.optimizer) is type(make())


def test_reset_returns_to_what_was_compiled(tmp_path):
    model = built(AdamW(0.01, weight_decay=0.1))
    model.optimizer.learning_rate = 0.5  # a callback's doing
    model.switch(Phase("full", 1, weight_decay=0.3))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.switch(Phase("full", 1, optimizer="reset"))
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.01)
    assert loaded.optimizer.weight_decay == 0.1
    assert float(model.optimizer.learning_rate) == pytest.approx(0.5)
    assert model.optimizer.weight_decay == 0.3
    model.switch(Phase("full", 1))
    assert model.optimizer.weight_decay == 0.3  # as before
    model.switch(Phase("full", 1, optimizer="reset"))
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    assert model.optimizer.weight_decay == 0.1
    for name, slot in state(model.optimizer).items():
        if name != "learning_rate":
            assert not slot.any(), name


def excluded(model):
    """Weights that a step with zero gradients does not shrink."""
    before = [to_numpy(v) for v in model.trainable_variables]
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    optimizer.apply(
        [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    )
    return {
        variable.path
        for variable, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(to_numpy(variable), old) and old.any()
    }


def all_ones(model):
    """Weights that decay would change."""
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "scaled"])
def test_exclusion_from_weight_decay_survives(wrapped, tmp_path):
    optimizer = AdamW(0.1, weight_decay=0.5)
    if wrapped:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = phased(optimizer, resolution="pool:2")
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    by_list = [v for v in model.trainable_variables if "norm" in v.path]
    inner.exclude_from_weight_decay(by_list, var_names=["grid", "bias"])
    expected = {v.path for v in model.trainable_variables}
    expected = {
        path
        for path in expected
        if "norm" in path or path.endswith(("grid", "bias"))
    }
    for phase in (Phase("full", 1), Phase("pool:4", 1, optimizer="reset")):
        model.switch(phase)
        all_ones(model)
        assert excluded(model) == expected
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    all_ones(loaded)
    assert excluded(loaded) == expected


def test_loss_scale_and_accumulated_gradients_are_carried(tmp_path):
    optimizer = keras.optimizers.LossScaleOptimizer(
        AdamW(0.01, gradient_accumulation_steps=3), initial_scale=64.0
    )
    model = built(optimizer)
    optimizer.dynamic_scale.assign(16.0)
    optimizer.step_counter.assign(11)
    before = state(optimizer.inner_optimizer)
    model.switch(Phase("full", 1))
    renewed = model.optimizer
    assert float(to_numpy(renewed.dynamic_scale)) == 16
    assert int(to_numpy(renewed.step_counter)) == 11
    after = state(renewed.inner_optimizer)
    name = "head_kernel_gradient_accumulator"
    np.testing.assert_array_equal(before[name], after[name])
    assert after[GRID + "_gradient_accumulator"].shape == (8, 2, 8)
    assert int(to_numpy(renewed.iterations)) == 5 // 3
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.switch(Phase("pool:2", 1, optimizer="reset"))
    assert float(to_numpy(loaded.optimizer.dynamic_scale)) == 64
    assert int(to_numpy(loaded.optimizer.iterations)) == 0


def test_loss_is_scaled_where_the_network_is_float16():
    network = classifier(dtype="mixed_float16")
    model = PhasedModel(network)
    model.compile("sgd", "mse")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


class Averages(keras.callbacks.Callback):
    """Keras' moving average, computed again from the weights of each step."""

    def __init__(self, momentum):
        super().__init__()
        self.momentum = momentum
        self.values = None

    def on_train_batch_end(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        weights = {v.path: to_numpy(v) for v in self.model.trainable_variables}
        if self.values is None:
            self.values = weights  # the first step replaces the zeros
            return
        grid = "positions/grid"
        size = weights[grid].shape[:2]
        self.values[grid] = torch_bilinear(self.values[grid], size)
        self.values = {
            path: self.momentum * old + (1 - self.momentum) * weights[path]
            for path, old in self.values.items()
        }


def test_moving_average_of_weights_crosses_a_switch():
    optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.8)
    model = phased(optimizer)
    averages = Averages(0.8)
    model.fit(
        *clips(),
        batch_size=4,
        verbose=0,
        callbacks=[PhaseScheduler("pool:2@1, full@1", verbose=0), averages],
    )
    final = {v.path: to_numpy(v) for v in model.trainable_variables}
    assert_same_weights(final, averages.values, atol=1e-5)  # float32, 4 steps


def test_average_is_resized_as_the_weight_even_where_positive():
    model = built(keras.optimizers.SGD(use_ema=True), "patch:2")
    for variable in model.optimizer.variables + model.trainable_variables:
        if "kernel" in variable.path:
            variable.assign(np.ones(variable.shape))
    model.switch(Phase("full", 1))
    slots = state(model.optimizer)
    kernel = model.network.backbone.get_layer("patch_embedding").kernel
    np.testing.assert_allclose(slots[KERNEL + "_average"], to_numpy(kernel))


def partly_fresh(optimizer):
    """A model with a layer of another name in each phase."""

    def build(resolution):
        inputs = keras.Input((4,))
        outputs = keras.layers.Dense(3, name=f"time_{resolution.pool}")(inputs)
        return keras.Model(inputs, keras.layers.Dense(2, name="head")(outputs))

    model = PhasedModel(build, "pool:2")
    model.compile(optimizer, "mse")
    return model


def test_exclusion_by_name_holds_for_fresh_weights():
    optimizer = AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = partly_fresh(optimizer)
    model.switch(Phase("full", 1))
    all_ones(model)
    assert excluded(model) == {"time_1/bias", "head/bias"}


def test_average_of_a_fresh_weight_is_the_weight():
    model = partly_fresh(keras.optimizers.SGD(use_ema=True))
    model.optimizer.build(model.trainable_variables)
    model.switch(Phase("full", 1))
    slots = state(model.optimizer)
    weight = model.network.get_layer("time_1").kernel
    average = slots["time_1_kernel_average"]
    np.testing.assert_array_equal(average, to_numpy(weight))


def test_weights_left_fresh_are_warned_of_in_silence_too():
    model = partly_fresh("sgd")
    match = "Phase 2 begins without .* time_1/kernel, .*, time_2/kernel"
    with pytest.warns(UserWarning, match=match):
        model.fit(
            np.zeros((2, 4)),
            np.zeros((2, 2)),
            verbose=0,
            callbacks=[PhaseScheduler("pool:2@1, full@1", verbose=0)],
        )


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """2 ** -step; not registered, as schedules in scripts often are."""

    def __call__(self, step):
        return 2.0 ** -keras.ops.cast(step, "float32")

    def get_config(self):
        return {}


@pytest.mark.parametrize(
    "compiled_rate, phases, expected",  # before each epoch; 2 steps an epoch
    [
        (Halving(), "pool:2@1, full@2", [1, 2**-2, 2**-4]),
        (
            0.125,
            [Phase("pool:2", 1), Phase("full", 2, Halving())],
            [2**-3, 1, 2**-2],
        ),
        (
            Halving(),
            [Phase("pool:2", 2, Halving()), Phase("full", 1, Halving())],
            [1, 2**-2, 1],
        ),
        (Halving(), "pool:2@2 lr=0.5, full@1 reset", [2**-1, 2**-1, 1]),
    ],
    ids=["global", "in one phase", "in each phase", "compiled again"],
)
def test_learning_rate_schedules(compiled_rate, phases, expected):
    recorder = Recorder()
    model = phased(keras.optimizers.SGD(compiled_rate))
    model.fit(
        *clips(),
        batch_size=4,
        verbose=0,
        callbacks=[recorder, PhaseScheduler(phases, verbose=0)],
    )
    rates = [state["learning_rate"] for state in recorder.begins]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_optimizers_that_cannot_be_rebuilt_are_refused():
    with pytest.raises(ValueError, match="plain function cannot be carried"):
        phased(keras.optimizers.SGD(lambda: 0.1))
    several = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.SGD())
    )
    with pytest.raises(ValueError, match="MultiOptimizer holds several"):
        phased(several)
    rate = keras.optimizers.SGD(lambda: 0.1)
    with pytest.raises(ValueError, match="plain function cannot be carried"):
        phased(keras.optimizers.LossScaleOptimizer(rate))


def test_slots_that_do_not_say_their_weight_are_not_guessed():
    class Anonymous(keras.optimizers.Optimizer):
        def build(self, variables):
            super().build(variables)
            for variable in variables:
                self.add_variable(variable.shape, name="slot")

    model = phased(Anonymous(0.1), resolution="pool:2")
    model.optimizer.build(model.trainable_variables)
    with pytest.raises(
        ValueError, match="'slot' that does not begin with the path"
    ):
        model.switch(Phase("full", 1))
    model = phased(Anonymous(0.1), resolution="pool:2")
    model.optimizer.build(model.trainable_variables)
    model.switch(Phase("full", 1, optimizer="reset"))
