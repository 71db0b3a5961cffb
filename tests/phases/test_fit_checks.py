"""What cannot follow the phases is refused before any training."""

import types

import keras
import pytest
from test_scheduler import Untouched
from tiny import CompressingData, classifier, clips, phased

from keras_c2f.phases import Phase, PhasedModel, PhaseSchedule, PhaseScheduler
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
        "nothing tells the data"
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
