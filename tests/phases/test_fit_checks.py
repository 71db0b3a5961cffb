"""What cannot follow the phases is refused before any training."""

import types

import keras
import numpy as np
import pytest
from test_scheduler import Untouched
from tiny import CompressingData, classifier, clips, phased

from keras_c2f.phases import (
    Phase,
    PhasedModel,
    PhaseSchedule,
    PhaseScheduler,
    keras_private,
)
from keras_c2f.phases.fit_checks import check_fit

TENSORFLOW = keras.backend.backend() == "tensorflow"
COSINE = keras.optimizers.schedules.CosineDecay(1e-3, 10)


def refuse(
    match,
    *sources,
    schedule="pool:2@1, full@1",
    kind="compressed",
    data=None,
    optimizer="adam",
    callbacks=(),
    **options,
):
    """Expects `fit` to raise a sentence, before training begins."""
    model = phased(optimizer, input_kind=kind)
    scheduler = PhaseScheduler(schedule, data=data, verbose=0)
    with pytest.raises(ValueError, match=match):
        model.fit(
            *(sources or clips()),
            callbacks=[*callbacks, scheduler, Untouched()],
            **options,
        )


@pytest.fixture
def data():
    return CompressingData(*clips(), batch_size=4)


def test_shapes_change_and_nobody_tells_the_data():
    refuse(
        r"changes from \(None, 16, 8\) to \(None, 32, 8\) between phases, and "
        "the data do not follow"
    )


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: [x], lambda x: {"a": x}]
)
def test_arrays_cannot_change_shape(wrap, data):
    inputs, labels = clips()
    match = "array .* cannot change shape between phases"
    refuse(match, wrap(inputs), labels, data=data)
    refuse(
        match, data.dataset(), data=data, validation_data=(wrap(inputs), labels)
    )


def test_steps_per_epoch_keep_one_iterator(data):
    dataset = data.dataset()
    refuse(
        "With `steps_per_epoch` Keras", dataset, data=data, steps_per_epoch=2
    )
    refuse(
        "With `validation_steps` Keras",
        dataset,
        data=data,
        validation_data=dataset,
        validation_steps=1,
    )


def test_data_set_of_fixed_shape(data):
    import tensorflow as tf

    fixed = tf.data.Dataset.from_tensor_slices(clips()).batch(4)
    match = r"features of shape \(None, 32, 8\), which cannot become \(None, 16"
    refuse(match, fixed, data=data)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return clips()


def test_sources_other_than_tf_data(data):
    if TENSORFLOW:
        match = "TensorFlow backend, Keras fixes the shape of what Batches"
        refuse(match, Batches(), data=data)
        generator = (clips() for _ in range(2))
        refuse("fixes the shape of what generator", generator, data=data)
    else:
        match = "Batches with several workers prepares batches ahead"
        refuse(match, Batches(workers=2), data=data)
        refuse(match, Batches(use_multiprocessing=True), data=data)


def test_network_of_any_length_does_not_hide_stale_batches(data):
    """All phases then have one input shape."""
    shapes, schedule = [(None, None, 8)] * 2, PhaseSchedule("pool:2@1, full@1")
    fit = {"callbacks": [], "x": Batches(), "steps_per_epoch": 2}
    model = phased()
    with pytest.raises(ValueError, match="Leave `steps_per_epoch` out"):
        check_fit(model, schedule, shapes, data, fit)
    check_fit(model, schedule, shapes, data, {**fit, "x": clips()[0]})


@pytest.mark.once
def test_same_shape_needs_no_data_object():
    """Only those sources are refused whose shape would have to change."""
    model = phased(input_kind="log_mel")
    history = model.fit(
        *clips(),
        steps_per_epoch=1,
        callbacks=[PhaseScheduler("pool:2@1, full@1", verbose=0)],
        verbose=0,
    )
    assert history.history["num_tokens"] == [8, 16]


def test_compile_first():
    model = PhasedModel(classifier())
    with pytest.raises(ValueError, match="Compile the model with an optimizer"):
        model.fit(*clips(), callbacks=[PhaseScheduler("full@1")])


@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.ReduceLROnPlateau("loss"),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_two_masters_of_the_learning_rate(callback):
    match = f"{type(callback).__name__} sets a learning rate that is a number"
    options = {"callbacks": [callback], "kind": "log_mel"}
    refuse(match, optimizer=keras.optimizers.Adam(COSINE), **options)
    later = [Phase("pool:2", 1), Phase("full", 1, COSINE)]
    refuse(match, schedule=later, **options)


def test_backups_that_cannot_be_resumed(tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path, save_freq=1)
    match = "backup within an epoch does not say which phase"
    refuse(match, callbacks=[backup], kind="log_mel")
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    match = "would save averages in place of weights. Put it before"
    refuse(
        match,
        callbacks=[swap, backup],
        kind="log_mel",
        optimizer=keras.optimizers.SGD(use_ema=True),
    )


@pytest.mark.parametrize(
    "name", ["MultiWorkerMirroredStrategy", "ParameterServerStrategyV2"]
)
def test_strategies_that_do_not_work(name):
    model = types.SimpleNamespace(
        optimizer="any", distribute_strategy=type(name, (), {})()
    )
    with pytest.raises(ValueError, match=f"{name} does not work with `fit`"):
        check_fit(model, [], [], None, {"callbacks": []})


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="about torch processes"
)
def test_torch_processes_are_not_synchronised(monkeypatch):
    from torch import distributed

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    refuse("does not synchronise `fit` between torch processes", kind="log_mel")


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="about JAX processes"
)
def test_jax_processes_without_a_distribution(monkeypatch):
    import jax

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    refuse("each would train weights of its own", kind="log_mel")


@pytest.mark.parametrize(
    "count, options, size",
    [
        (8, {"batch_size": 6}, 2),
        (10, {"batch_size": 8}, 2),
        (9, {}, 9),  # all in one of 32
        (16, {"batch_size": 4, "validation_split": 0.4}, 1),  # 9 and 7
        (8, {"batch_size": 4, "validation_data": clips(6)}, 2),
        (8, {"validation_data": clips(6), "validation_batch_size": 6}, 6),
    ],
)
def test_batches_that_devices_cannot_share(count, options, size, monkeypatch):
    monkeypatch.setattr(keras_private, "num_devices", lambda model: 4)
    match = f"batch of size {size} cannot be divided among 4 devices"
    refuse(match, *clips(count), kind="log_mel", **options)


def test_batches_of_a_data_set_that_devices_cannot_share(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(keras_private, "num_devices", lambda model: 4)
    data = tf.data.Dataset.from_tensor_slices(clips())
    refuse(
        "batch of size 6", data.batch(6, drop_remainder=True), kind="log_mel"
    )


def network_class(name):
    """A model whose method of that name is its own."""

    def refuse(self, *args, **kwargs):
        raise AssertionError

    return type("Own", (keras.Model,), {name: refuse})


def wrapped(cls, model_class=PhasedModel):
    inputs = keras.Input((32, 8))
    outputs = keras.layers.GlobalAveragePooling1D(name="mean")(inputs)
    outputs = keras.layers.Dense(3, name="head")(outputs)
    model = model_class(lambda resolution: cls(inputs, outputs))
    model.compile("sgd", "mse", run_eagerly=True)
    return model


@pytest.mark.parametrize(
    "name", ["train_step", "test_step", "compute_loss", "compute_metrics"]
)
def test_own_ways_to_train_would_never_be_called(name):
    model = wrapped(network_class(name))
    with pytest.raises(ValueError, match=f"Own has a `{name}` of its own"):
        model.fit(*clips(), callbacks=[PhaseScheduler("full@1")])


def test_own_ways_to_train_in_a_subclass_of_phased_model():
    class Mine(PhasedModel):
        def compute_loss(self, *args, **kwargs):
            return 2 * keras.ops.cast(
                super().compute_loss(*args, **kwargs), "float32"
            )

    inputs, targets = clips()[0], np.ones((8, 3), "float32")
    losses = [
        wrapped(cls, model_class)
        for cls, model_class in (
            (keras.Model, PhasedModel),
            (network_class("compute_loss"), Mine),
        )
    ]
    losses[1].network.set_weights(losses[0].network.get_weights())
    plain, double = (
        model.fit(inputs, targets, verbose=0).history["loss"][0]
        for model in losses
    )
    assert double == pytest.approx(2 * plain, rel=1e-5)


class OneWeightAFrame(keras.layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(input_shape[1], 1))

    def call(self, inputs):
        return inputs * self.scale


class TakesTwo(OneWeightAFrame):
    def resize_weight(self, value, new_shape):
        return np.resize(value, new_shape)


def refuse_network(make, match, optimizer="adam", schedule="pool:2@1, full@1"):
    """Expects `fit` to refuse, before training, what the next phase brings."""

    def build(resolution):
        inputs = keras.Input((32, 8))
        outputs = keras.layers.AveragePooling1D(resolution.pool, name="pool")(
            inputs
        )
        outputs = make(resolution)(outputs)
        outputs = keras.layers.GlobalAveragePooling1D(name="mean")(outputs)
        return keras.Model(inputs, keras.layers.Dense(3, name="head")(outputs))

    model = PhasedModel(build, "pool:2")
    model.compile(optimizer, "mse")
    with pytest.raises(ValueError, match=match):
        model.fit(*clips(), callbacks=[PhaseScheduler(schedule), Untouched()])


@pytest.mark.filterwarnings("ignore:The cost of:UserWarning")
def test_what_the_next_phase_brings_is_refused_at_once():
    refuse_network(
        lambda resolution: TakesTwo(name="time"), "TakesTwo 'time' takes other"
    )
    refuse_network(
        lambda resolution: keras.layers.Dense(4), "layer 'dense_.*Keras chose"
    )


@pytest.mark.once
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "scaled"])
def test_state_that_does_not_say_its_weight(wrapped):
    def optimizer():
        inner = keras.optimizers.Adafactor()
        if wrapped:
            return keras.optimizers.LossScaleOptimizer(inner)
        return inner

    refuse(
        "state .* does not begin with", kind="log_mel", optimizer=optimizer()
    )
    model = phased(optimizer(), input_kind="log_mel")
    model.fit(
        *clips(),
        verbose=0,
        callbacks=[PhaseScheduler("pool:2@1, full@1 reset", verbose=0)],
    )
