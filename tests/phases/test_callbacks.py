"""Keras' callbacks beside the scheduler, in any order."""

import csv

import keras
import numpy as np
import pytest
from tiny import (
    Recorder,
    assert_same_weights,
    clips,
    phased,
    to_numpy,
    weights_of,
)

from keras_c2f.phases import PhaseScheduler

SCHEDULE = "pool:4@2, full@2"


class Scores(keras.callbacks.Callback):
    """Writes given numbers into the logs, for others to monitor."""

    def __init__(self, *scores):
        super().__init__()
        self.scores = scores

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.scores[epoch]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One fit with everything, the scheduler in the middle."""
    folder = tmp_path_factory.mktemp("run")
    callbacks = keras.callbacks
    model = phased(keras.optimizers.SGD(0.5))
    recorder = Recorder()
    history = model.fit(
        *clips(),
        batch_size=8,
        validation_data=clips(seed=1),
        verbose=0,
        callbacks=[
            Scores(0.1, 0.5, 0.3, 0.4),
            callbacks.TensorBoard(folder / "board", histogram_freq=1),
            callbacks.EarlyStopping(
                "score", mode="min", patience=9, restore_best_weights=True
            ),
            callbacks.CSVLogger(folder / "log.csv"),
            callbacks.TerminateOnNaN(),
            callbacks.ModelCheckpoint(folder / "{epoch}.keras"),
            PhaseScheduler(SCHEDULE, verbose=0),
            callbacks.ModelCheckpoint(
                folder / "best.keras", "score", save_best_only=True, mode="min"
            ),
            callbacks.ReduceLROnPlateau(
                "score", factor=0.1, patience=1, mode="min"
            ),
            callbacks.BackupAndRestore(folder / "backup"),
            recorder,
        ],
    )
    return {
        "folder": folder,
        "history": history.history,
        "model": model,
        "ends": recorder.ends,
    }


def test_checkpoints_load_at_the_resolution_of_their_phase(run):
    texts = ["pool:4", "pool:4", "full", "full"]
    for epoch, (text, state) in enumerate(zip(texts, run["ends"], strict=True)):
        model = keras.models.load_model(run["folder"] / f"{epoch + 1}.keras")
        assert str(model.resolution) == text
        assert_same_weights(weights_of(model.network), state["weights"])
        loss = model.evaluate(*clips(seed=1), verbose=0)
        assert loss == pytest.approx(
            run["history"]["val_loss"][epoch], rel=1e-5
        )


def test_best_checkpoint_may_be_of_an_earlier_phase(run):
    model = keras.models.load_model(run["folder"] / "best.keras")
    assert str(model.resolution) == "pool:4"
    assert_same_weights(weights_of(model.network), run["ends"][0]["weights"])


def test_early_stopping_restores_the_best_of_the_last_phase(run):
    final = weights_of(run["model"].network)
    assert_same_weights(final, run["ends"][2]["weights"])


def test_plateaus_are_counted_within_a_phase(run):
    # 0.1, 0.5: no better, reduced. 0.3 begins afresh. 0.4: reduced.
    rates = [state["learning_rate"] for state in run["ends"]]
    np.testing.assert_allclose(rates, [0.5, 0.05, 0.05, 0.005], rtol=1e-6)


def test_csv_has_phase_and_cost(run):
    with open(run["folder"] / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["1", "1", "2", "2"]
    assert [row["num_tokens"] for row in rows] == ["4", "4", "16", "16"]
    assert float(rows[3]["gmacs"]) > float(rows[0]["gmacs"]) > 0


def test_tensorboard_has_phase_and_cost(run):
    from tensorboard.backend.event_processing.event_file_loader import (
        EventFileLoader,
    )
    from tensorboard.util.tensor_util import make_ndarray

    values = {"epoch_phase": [], "epoch_num_tokens": [], "epoch_gmacs": []}
    tags = set()
    for path in (run["folder"] / "board" / "train").iterdir():
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                tags.add(value.tag)
                if value.tag in values:
                    values[value.tag].append(float(make_ndarray(value.tensor)))
    assert values["epoch_phase"] == [1, 1, 2, 2]
    assert values["epoch_num_tokens"] == [4, 4, 16, 16]
    assert values["epoch_gmacs"][3] > values["epoch_gmacs"][0] > 0
    assert any("positions/grid" in tag for tag in tags)  # histograms


def test_backup_is_gone_after_a_complete_run(run):
    assert not (run["folder"] / "backup").exists()


def test_learning_rate_scheduler_has_the_last_word():
    recorder = Recorder()
    model = phased(keras.optimizers.SGD(0.5))
    model.fit(
        *clips(),
        verbose=0,
        callbacks=[
            keras.callbacks.LearningRateScheduler(
                lambda epoch, rate: [0.4, 0.3, rate / 2][epoch]
            ),
            recorder,
            PhaseScheduler("pool:2@1, full@2 lr=0.1", verbose=0),
        ],
    )
    rates = [state["learning_rate"] for state in recorder.ends]
    np.testing.assert_allclose(rates, [0.4, 0.3, 0.15], rtol=1e-6)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_swapping_averages_in_changes_no_training(state):
    finals, losses = [], []
    for callbacks in ([], [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]):
        model = phased(keras.optimizers.SGD(0.5, use_ema=True, momentum=0.9))
        recorder = Recorder()
        history = model.fit(
            *clips(),
            batch_size=4,
            shuffle=False,
            verbose=0,
            callbacks=[
                *callbacks,
                PhaseScheduler(f"patch:2@2, full@2 {state}", verbose=0),
                recorder,
            ],
        )
        losses.append(history.history["loss"])
        finals.append(weights_of(model.network))
    np.testing.assert_allclose(*losses, rtol=1e-5)
    # atol: TensorFlow swaps by addition and subtraction
    assert_same_weights(*finals, atol=1e-5)


def test_nan_ends_training():
    model = phased()
    inputs, labels = clips()
    history = model.fit(
        inputs * np.float32("nan"),
        labels,
        verbose=0,
        callbacks=[
            PhaseScheduler("pool:2@1, full@1", verbose=0),
            keras.callbacks.TerminateOnNaN(),
        ],
    )
    assert len(history.epoch) == 1
    assert int(to_numpy(model.optimizer.iterations)) == 1
