"""Phases that train several resolutions with one set of weights."""

import itertools
import re

import keras
import numpy as np
import pytest
from kills import KillIn
from tiny import (
    CompressingData,
    Recorder,
    assert_same_weights,
    classifier,
    clips,
    phased,
    weights_of,
)

from keras_c2f.cost import network_cost
from keras_c2f.layers.resizing import interpolation_matrix, kernel_matrix
from keras_c2f.phases import (
    Phase,
    PhasedModel,
    PhaseSchedule,
    PhaseScheduler,
    transplant,
)

FITS = [  # input kind, the coarser of two resolutions
    ("log_mel", "pool:4"),
    ("compressed", "shift:2+pool:2:max"),
    ("compressed", "patch:2"),
    ("log_mel", "token:2"),
]


def fit_elastic(model, data, phases, *callbacks, **options):
    return model.fit(
        *data,
        shuffle=False,
        verbose=0,
        callbacks=[PhaseScheduler(phases, verbose=0), *callbacks],
        **options,
    )


def gradients(network, resolution, data):
    """Of a network's copy at a resolution, from a step of plain SGD."""
    model = PhasedModel(network.at_resolution(resolution))
    transplant(network, model.network)
    before = weights_of(model.network)
    model.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    inputs, labels = data
    if model.network.input_shape[1:] != inputs.shape[1:]:
        inputs = model.resolution.compress(inputs, np)
    model.fit(inputs, labels, batch_size=len(labels), epochs=1, verbose=0)
    after = weights_of(model.network)
    return {path: before[path] - after[path] for path in before}


def onto_finest(path, gradient, shape):
    """Chain rule: the transposed matrices that the layers resize by."""
    if gradient.shape == shape:
        return gradient
    matrix = kernel_matrix if path.endswith("kernel") else interpolation_matrix
    options = ("pi",) if path.endswith("kernel") else ()
    for axis in (0, 1):
        resize = matrix(shape[axis], gradient.shape[axis], *options)
        gradient = np.moveaxis(
            np.tensordot(resize.T, gradient, axes=(1, axis)), 0, axis
        )
    return gradient


@pytest.mark.parametrize("kind, coarse", FITS)
def test_a_step_is_the_mean_of_the_steps_of_each_resolution(kind, coarse):
    model = phased(keras.optimizers.SGD(1.0), compiled={}, input_kind=kind)
    inputs, labels = clips()
    before = weights_of(model.network)
    parts = [
        gradients(model.network, r, (inputs[rows], labels[rows]))
        for r, rows in ((coarse, slice(0, 2)), ("full", slice(2, 8)))
    ]
    fit_elastic(
        model,
        (inputs, labels),
        [Phase("full", 1, elastic={coarse: 0.25, "full": 0.75})],
        batch_size=8,
    )
    after = weights_of(model.network)
    for path, value in before.items():
        expected = sum(
            share * onto_finest(path, part[path], value.shape)
            for share, part in zip((0.25, 0.75), parts, strict=True)
        )
        np.testing.assert_allclose(
            *(value - after[path], expected),
            rtol=1e-4,  # float32, and gradients are differences of weights
            atol=2e-5,
            err_msg=path,
        )


def test_networks_and_costs_of_a_fit():
    """Switches, costs in the history, and validation at full resolution."""
    validation = CompressingData(*clips(seed=1), batch_size=4)
    model = phased(compiled={"metrics": ["accuracy"]}, input_kind="compressed")
    training = CompressingData(*clips(9), batch_size=4)  # a last batch of one
    recorder = Recorder(validation.compressed, validation.labels)

    class Both:
        def set_phase(self, *phase):
            training.set_phase(*phase)
            validation.set_phase(*phase)

    scheduler = PhaseScheduler(
        "pool:4@1, full@2 elastic=pool:4/pool:2/full", Both(), verbose=0
    )
    history = model.fit(
        training.dataset(),
        validation_data=validation.dataset(),
        shuffle=False,
        callbacks=[scheduler, recorder],
        verbose=0,
    ).history
    true = [state["true_loss"] for state in recorder.ends]
    np.testing.assert_allclose(history["val_loss"], true, rtol=1e-5)
    assert np.isfinite(history["loss"]).all()
    assert str(model.network.resolution) == "full"
    for begin, end in zip(recorder.begins, recorder.ends, strict=True):
        for path, before in begin["weights"].items():
            assert np.abs(end["weights"][path] - before).max() > 0, path
    costs = [
        network_cost(classifier(resolution)).macs / 1e9
        for resolution in ("pool:4", "pool:2", "full")
    ]
    expected = [costs[0], *[sum(costs) / 3] * 2]
    np.testing.assert_allclose(history["gmacs"], expected, rtol=1e-4)
    # what an optimizer or a file has is the finest network's alone
    assert len(model.weights) == len(model.network.weights)


def new_model():
    on_torch = keras.backend.backend() == "torch"  # whose dropout has no seed
    return phased(
        keras.optimizers.Adam(0.01),
        dropout=0.0 if on_torch else 0.1,
        drop_path=0.2,
    )


PHASES = "pool:4@1, full@3 elastic=pool:4@50%/full@50%"


@pytest.mark.once
def test_a_killed_fit_resumes_within_the_phase(tmp_path):
    whole = new_model()
    whole_history = fit_elastic(whole, clips(), PHASES, batch_size=4).history

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(KeyboardInterrupt):
        fit_elastic(
            new_model(), clips(), PHASES, backup(), KillIn(2), batch_size=4
        )
    model = new_model()
    history = fit_elastic(model, clips(), PHASES, backup(), batch_size=4)
    np.testing.assert_allclose(
        history.history["loss"], whole_history["loss"][2:], rtol=1e-5
    )
    assert_same_weights(
        weights_of(model.network), weights_of(whole.network), atol=1e-6
    )


@pytest.mark.once
def test_a_saved_model_goes_on_within_the_phase(tmp_path):
    whole = new_model()
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    fit_elastic(whole, clips(), PHASES, checkpoint, batch_size=4)
    model = keras.models.load_model(tmp_path / "3.keras")
    assert len(model.networks) == 2  # a `fit` without a scheduler goes on so
    fit_elastic(model, clips(), PHASES, batch_size=4, initial_epoch=3)
    assert_same_weights(
        weights_of(model.network), weights_of(whole.network), atol=1e-6
    )


@pytest.mark.parametrize(
    "options, elastic, words",
    [
        ({"position_resize": "random"}, "pool:4/full", "do not follow"),
        ({"stem_channels": (4,)}, "pool:4/full", "batch norm"),
    ],
)
def test_networks_that_cannot_be_elastic(options, elastic, words):
    model = phased(**options)
    with pytest.raises(ValueError, match=words):
        fit_elastic(model, clips(), f"full@1 elastic={elastic}")


@pytest.mark.once
@pytest.mark.parametrize(
    "resolution, elastic, words",
    [
        ("full", "pool:4", "full, among them"),
        ("full", "pool:4, pool:4, full", "once"),
        ("pool:2", "pool:3, pool:2", "multiple"),
        ("pool:2", "pool:4:max, pool:2", "pool_type"),
        ("pool:2", "shift:2+pool:2, pool:2", "one frame shift"),
        ("full", "pool:4@60%, full@60%", "sum to 100 %"),
        ("full", "pool:4@60%, full", "either none has a share"),
        ("full", {"pool:4": 0.0, "full": 1.0}, "above 0"),
        ("full", "pool:4@much, full", "percentage"),
        ("full", "pool:x, full", "resolution reads"),
    ],
)
def test_phases_that_cannot_be_elastic(resolution, elastic, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Phase(resolution, 1, elastic=elastic)


@pytest.mark.once
def test_a_schedule_keeps_its_elastic_phase():
    forms = [
        "pool:4, pool:2@50%, full@25%".replace("pool:4,", "pool:4@25%,"),
        "pool:4@25%/pool:2@50%/full@25%",
        {"pool:4": 0.25, "pool:2": 0.5, "full": 0.25},
    ]
    phases = [Phase("full", 3, elastic=form) for form in forms]
    for first, second in itertools.pairwise(phases):
        assert first == second
    schedule = PhaseSchedule([Phase("pool:4", 2), phases[0]])
    text = "pool:4@2, full@3 elastic=pool:4@25%/pool:2@50%/full@25%"
    assert str(schedule) == text
    assert PhaseSchedule(text).phases == schedule.phases
    equal = Phase("full", 1, elastic=["pool:4", "pool:2", "full"])
    assert [share for _, share in equal.elastic] == [1 / 3] * 3
    assert str(equal) == "full@1 elastic=pool:4/pool:2/full"
