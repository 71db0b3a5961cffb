"""What each phase trains and reports, in real fits."""

import keras
import numpy as np
import pytest
from tiny import (
    CompressingData,
    Recorder,
    assert_same_weights,
    clips,
    phased,
    to_numpy,
    weights_of,
)

from keras_c2f.phases import PhaseSchedule, PhaseScheduler

FITS = {  # input kind, schedule, token counts, by hand: frames/4 x 2
    "pool in the model": (
        "log_mel",
        "pool:4@1, pool:2@2, full@1",
        [2 * 2, 4 * 2, 4 * 2, 8 * 2],
    ),
    "longer patches": ("log_mel", "patch:2@1, full@1", [4 * 2, 8 * 2]),
    "shift in the data": (
        "compressed",
        "shift:2+pool:2@1, full@1",
        [2 * 2, 8 * 2],
    ),
}
STEPS = 2  # 8 clips in batches of 4


@pytest.fixture(scope="module", params=FITS)
def run(request):
    """One compiled (not eager) fit, recorded."""
    kind, schedule, num_tokens = FITS[request.param]
    training = CompressingData(*clips(), batch_size=4)
    validation = CompressingData(*clips(seed=1), batch_size=4)
    model = phased(compiled={}, input_kind=kind)
    if kind == "compressed":
        scheduler = PhaseScheduler(schedule, data=Both(training, validation))
        sources = {
            "x": training.dataset(),
            "validation_data": validation.dataset(),
        }
    else:
        scheduler = PhaseScheduler(schedule)
        sources = {
            "x": training.inputs,
            "y": training.labels,
            "validation_data": (validation.inputs, validation.labels),
            "batch_size": 4,
        }
    recorder = Recorder(validation.compressed, validation.labels)
    history = model.fit(
        **sources, callbacks=[recorder, scheduler], shuffle=False, verbose=0
    )
    validation_data = sources["validation_data"]
    if kind == "compressed":
        evaluated = model.evaluate(validation_data, verbose=0)
    else:
        evaluated = model.evaluate(*validation_data, verbose=0)
    return {
        "history": history.history,
        "begins": recorder.begins,
        "ends": recorder.ends,
        "evaluated": evaluated,
        "schedule": PhaseSchedule(schedule),
        "num_tokens": num_tokens,
        "model": model,
        "scheduler": scheduler,
    }


class Both:
    """Tells two data sets the phase."""

    def __init__(self, *parts):
        self.parts = parts

    def set_phase(self, *arguments):
        for part in self.parts:
            part.set_phase(*arguments)


def test_only_the_network_of_the_phase_moves(run):
    networks = [state["network"] for state in run["ends"]]
    last_epochs = {
        id(network): state
        for network, state in zip(networks, run["ends"], strict=True)
    }
    assert len(last_epochs) == len(run["schedule"])
    for state in last_epochs.values():  # as its phase left it
        assert_same_weights(
            weights_of(state["network"]), state["weights"], rtol=0
        )
    for begin, end in zip(run["begins"], run["ends"], strict=True):
        assert begin["network"] is end["network"]
        for path, before in begin["weights"].items():
            assert np.abs(end["weights"][path] - before).max() > 0, path


def test_a_phase_begins_with_the_weights_of_the_one_before(run):
    for end, begin in zip(run["ends"], run["begins"][1:], strict=False):
        assert end["weights"].keys() == begin["weights"].keys()
        same_shape = [
            path
            for path, value in end["weights"].items()
            if value.shape == begin["weights"][path].shape
        ]
        # all but position grid and patch kernel
        assert len(same_shape) >= len(end["weights"]) - 2
        for path in same_shape:
            np.testing.assert_array_equal(
                end["weights"][path], begin["weights"][path]
            )


def test_reported_val_loss_is_that_of_the_trained_network(run):
    true = [state["true_loss"] for state in run["ends"]]
    assert len(set(np.round(true, 6))) == len(true)
    # rtol: float32 against float64
    np.testing.assert_allclose(run["history"]["val_loss"], true, rtol=1e-5)
    np.testing.assert_allclose(run["evaluated"], true[-1], rtol=1e-5)


def test_optimizer_is_carried(run):
    iterations = [state["iterations"] for state in run["ends"]]
    assert iterations == [STEPS * (n + 1) for n in range(len(iterations))]
    for state in run["begins"] + run["ends"]:
        # iteration count and learning rate; two moments of each weight
        assert state["num_variables"] == 2 + 2 * len(state["weights"])


def test_logs_say_phase_and_cost(run):
    schedule, history = run["schedule"], run["history"]
    phases = [schedule.index_at(n) + 1 for n in range(schedule.epochs)]
    assert history["phase"] == phases
    assert history["num_tokens"] == run["num_tokens"]
    costs = history["gmacs"]
    assert costs[0] > 0
    assert costs == sorted(costs)
    assert run["model"].resolution == schedule[-1].resolution
    assert len(run["scheduler"].reports) == len(schedule)


def test_data_is_told_phase_and_epoch():
    data = CompressingData(*clips(), batch_size=4)
    model = phased(input_kind="compressed")
    schedule = "pool:2@1, full@1"
    model.fit(
        data.dataset(),
        callbacks=[PhaseScheduler(schedule, data=data, verbose=0)],
        shuffle=False,
        verbose=0,
    )
    before_fit = ("pool:2", 0)  # so that Keras sees the right shape
    assert data.calls == [before_fit, ("pool:2", 0), ("full", 1)]


def test_reset_restarts_the_optimizer():
    recorder = Recorder()
    model = phased(keras.optimizers.Adam(1e-3))
    model.fit(
        *clips(),
        batch_size=4,
        verbose=0,
        callbacks=[
            recorder,
            PhaseScheduler("pool:2@1 lr=0.01, full@2 reset", verbose=0),
        ],
    )
    assert [state["iterations"] for state in recorder.begins] == [0, 0, 2]
    rates = [state["learning_rate"] for state in recorder.ends]
    np.testing.assert_allclose(rates, [0.01, 0.001, 0.001], rtol=1e-6)


def test_two_phases_of_one_resolution_are_one_run():
    ends = []
    for schedule in ("pool:2@3", "pool:2@1, pool:2@2"):
        model = phased(dropout=0.2, drop_path=0.3)
        model.fit(
            *clips(),
            batch_size=4,
            shuffle=False,
            verbose=0,
            callbacks=[PhaseScheduler(schedule, verbose=0)],
        )
        ends.append(weights_of(model.network))
    # atol: the second run is traced twice, sums may be ordered differently
    assert_same_weights(*ends, rtol=0, atol=1e-6)


@pytest.mark.once
def test_a_run_of_several_fits_may_change_the_schedule():
    model = phased()
    model.fit(
        *clips(), callbacks=[PhaseScheduler("pool:2@1", verbose=0)], verbose=0
    )
    history = model.fit(
        *clips(),
        callbacks=PhaseScheduler("full@1, pool:4@1", verbose=0),
        verbose=0,
    )
    assert history.history["num_tokens"] == [16, 4]
    assert int(to_numpy(model.optimizer.iterations)) == 3


def test_output_is_a_line_per_phase(capsys):
    model = phased()
    callbacks = [PhaseScheduler("pool:2@1, full@1"), StopAfter(1)]
    model.fit(*clips(), callbacks=callbacks, verbose=0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Phase 1/2: pool:2@1, 8 tokens")
    assert "resized positions/grid (8, 2, 8) -> (4, 2, 8)" in lines[0]
    assert lines[1] == (
        "Training was stopped in phase 1 of 2: the model is still at "
        "resolution pool:2."
    )
    assert len(lines) == 2


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 >= self.epochs


@pytest.mark.parametrize(
    "options",
    [
        {"steps_per_execution": 2},
        {"run_eagerly": True},
        {"jit_compile": True},
        {"dtype": "mixed_bfloat16"},
        {"dtype": "mixed_float16"},
    ],
    ids=str,
)
def test_ways_to_run(options):
    if keras.backend.backend() == "torch":
        if "steps_per_execution" in options:
            pytest.skip("Keras refuses it on PyTorch")
        if "jit_compile" in options:
            pytest.skip("torch.compile needs a compiler, and minutes")
    options = dict(options)
    network = {"dtype": options.pop("dtype")} if "dtype" in options else {}
    optimizer = keras.optimizers.Adam()
    if network == {"dtype": "mixed_float16"}:  # 2**15 overflows at first
        optimizer = keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=64.0
        )
    model = phased(optimizer, options, **network)
    inputs, labels = clips(seed=1)
    recorder = Recorder(lambda: inputs, labels)
    history = model.fit(
        *clips(),
        batch_size=4,
        validation_data=(inputs, labels),
        callbacks=[PhaseScheduler("pool:2@1, full@1", verbose=0), recorder],
        verbose=0,
    )
    true = [state["true_loss"] for state in recorder.ends]
    # rtol: bfloat16 rounds each product by 2**-9; compiled code fuses some
    rtol = 1e-2 if network else 1e-5
    np.testing.assert_allclose(history.history["val_loss"], true, rtol=rtol)
    for begin, end in zip(recorder.begins, recorder.ends, strict=True):
        moved = [
            np.abs(end["weights"][path] - before).max() > 0
            for path, before in begin["weights"].items()
        ]
        assert all(moved)
    assert int(to_numpy(model.optimizer.iterations)) == 4


class Untouched(keras.callbacks.Callback):
    """Fails if training begins."""

    def on_train_begin(self, logs=None):
        raise AssertionError("training began")


def test_needs_a_phased_model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="Wrap yours: model = PhasedModel"):
        model.fit(
            np.ones((2, 4)),
            np.ones((2, 1)),
            callbacks=[PhaseScheduler("full@1"), Untouched()],
        )


def test_epochs_are_those_of_the_schedule():
    model = phased()
    callbacks = [PhaseScheduler("pool:2@1, full@2"), Untouched()]
    with pytest.raises(ValueError, match="has 3 epochs, but `fit` was asked"):
        model.fit(*clips(), epochs=10, callbacks=callbacks)


def test_one_scheduler_in_a_list():
    model = phased()
    scheduler = PhaseScheduler("full@1")
    with pytest.raises(ValueError, match="one PhaseScheduler, not several"):
        model.fit(*clips(), callbacks=[scheduler, scheduler])
    with pytest.raises(ValueError, match="a list, not a CallbackList"):
        model.fit(*clips(), callbacks=keras.callbacks.CallbackList([scheduler]))


def test_figures_are_in_the_history_not_in_the_bar(capsys):
    model = phased()
    history = model.fit(
        *clips(), callbacks=[PhaseScheduler("pool:2@1, full@1")], verbose=2
    )
    assert history.history["phase"] == [1, 2]
    assert history.history["gmacs"][0] < history.history["gmacs"][1]
    printed = capsys.readouterr().out
    assert "loss: " in printed
    for name in ("phase: ", "num_tokens", "gmacs"):
        assert name not in printed
