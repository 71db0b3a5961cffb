"""Which network of a run stays, also after a kill, and with averages."""

import os

import keras
import numpy as np
import pytest
from kills import killed_after

from keras_c2f.data import Clips
from keras_c2f.phases import PhasedModel, PhaseSchedule, PhaseScheduler
from keras_c2f.training import checkpoints
from keras_c2f.training.kept_networks import averaged_weights, best_epoch
from keras_c2f.training.pretrain_recipe import PretrainRecipe
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run
from keras_c2f.utils.files import read_json, read_rows

SCORES = [0.9, 0.6, 0.6, 0.2]  # the first at pool:2
LOSSES = [1.0, 2.0, 1.0, 1.0]


def make_run(folder, **options):
    rng = np.random.default_rng(0)
    recordings = 0.1 * rng.normal(size=(2, 4, 5120)).astype("float32")
    clips = [Clips(list(part), [0, 1, 0, 1], ("a", "b")) for part in recordings]
    settings = {
        "schedule": "pool:2@1, full@3",
        "clip_seconds": 0.32,
        "batch_size": 4,
        "depth": 1,
    }
    return Run(str(folder), Recipe(**settings | options), clips)


@pytest.fixture
def scripted(monkeypatch):
    """Each epoch's score is that of `SCORES`; notes the weights it had."""
    seen = {}

    def validate(run, network, pipeline):
        done = len(read_rows(run.path("history.csv")))
        if done == 1 and "switch" not in seen:
            seen["switch"] = True  # scored before it is trained
            return {"loss": 1.0, "accuracy": 0.0}
        weights = {w.path: w.numpy() for w in network.trainable_weights}
        seen[done] = weights
        return {"loss": LOSSES[done], "accuracy": SCORES[done]}

    monkeypatch.setattr(Run, "_validate", validate)
    return seen


def assert_holds(path, weights):
    network = keras.models.load_model(path)
    for weight in network.trainable_weights:
        np.testing.assert_array_equal(weight, weights[weight.path])
    return network


@pytest.mark.once
def test_best_epoch_of_the_final_phase_is_kept(scripted, tmp_path):
    """Of two with the same score, the one with the lower loss."""
    run = make_run(tmp_path / "run")
    assert run.train()["epoch"] == 3
    assert read_json(run.path("evaluation.json"))["epoch"] == 3
    assert_holds(run.path("model.keras"), scripted[2])
    coarse = assert_holds(run.path("phase-1.keras"), scripted[0])
    assert str(coarse.resolution) == "pool:2"
    assert_holds(run.path("phase-2.keras"), scripted[3])
    assert not [n for n in os.listdir(run.folder) if n.startswith("best")]


@pytest.mark.once
def test_last_epoch_is_kept_if_wanted(scripted, tmp_path):
    run = make_run(tmp_path / "run", keep="last")
    assert run.train()["epoch"] == 4
    assert_holds(run.path("model.keras"), scripted[3])


@pytest.mark.once
@pytest.mark.parametrize(("when", "pause"), [("before", 0), ("after", 1e9)])
def test_stopped_run_keeps_the_best_network(
    when, pause, scripted, tmp_path, monkeypatch
):
    """Killed in the best epoch, before its checkpoint is written or after; or
    where the one checkpoint is that of the first epoch."""
    monkeypatch.setattr(checkpoints, "PAUSE", pause)
    run = make_run(tmp_path / "run")
    save_epoch, stopped = Run.save_epoch, []

    def save_and_stop(self, model, rows):
        stop = len(rows) == 3 and not stopped
        if not (stop and when == "before"):
            save_epoch(self, model, rows)
        if stop:
            stopped.append(rows)
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save_epoch", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert run.train()["epoch"] == 3
    assert_holds(run.path("model.keras"), scripted[2])


@pytest.mark.once
def test_the_best_network_that_a_checkpoint_knows_stays(
    scripted, tmp_path, monkeypatch
):
    """Epochs after it may go otherwise when they are trained again."""
    scores = "test_kept_networks.SCORES"
    monkeypatch.setattr(scores, [0.9, 0.6, 0.7, 0.2])
    due = property(lambda checkpoints: checkpoints.epochs < 2)
    monkeypatch.setattr(checkpoints.Checkpoints, "are_due", due)
    run = make_run(tmp_path / "run")
    with killed_after(4):
        run.train()
    monkeypatch.setattr(scores, [0.9, 0.6, 0.5, 0.2])
    assert run.train()["epoch"] == 2
    assert_holds(run.path("model.keras"), scripted[1])


@pytest.mark.once
def test_patience_ends_training_and_survives_a_kill(
    scripted, tmp_path, monkeypatch
):
    """The second epoch of the final phase is no better than the first."""
    monkeypatch.setattr("test_kept_networks.SCORES", [0.1, 0.6, 0.5, 0.9])
    run = make_run(tmp_path / "run", patience=1)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "_save_network", killed)
        run.train()
    assert len(read_rows(run.path("history.csv"))) == 3
    assert run.train()["epoch"] == 2
    assert len(read_rows(run.path("history.csv"))) == 3
    assert_holds(run.path("model.keras"), scripted[1])


def test_averages_are_validated_and_kept(scripted, tmp_path):
    """Those that Keras' own arithmetic gives, and training goes on without."""
    run = make_run(tmp_path / "run", ema=0.5, schedule="full@1", warmup=0.0)
    trained = []
    save_epoch = Run.save_epoch

    def note(self, model, rows):
        save_epoch(self, model, rows)
        trained.append({w.path: w.numpy() for w in model.trainable_weights})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "save_epoch", note)
        run.train()
    # one step: Keras begins the average with the weights after it
    averages = scripted[0]
    name = next(path for path in averages if path.endswith("kernel"))
    assert averages.keys() == trained[0].keys()
    assert np.isfinite(averages[name]).all()
    assert_holds(run.path("model.keras"), averages)


def test_averages_of_several_steps():
    """Momentum 0.5: each step adds half of the weights after it."""
    inputs = keras.Input((1,))
    network = keras.Model(inputs, keras.layers.Dense(1, name="d")(inputs))
    model = PhasedModel(lambda resolution: network)
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, "mse")
    before = network.get_weights()[0]
    weights, averages = [], []

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.network.get_weights()[0])
            with averaged_weights(self.model):
                averages.append(self.model.network.get_weights()[0])
            after = self.model.network.get_weights()[0]
            np.testing.assert_array_equal(after, weights[-1])

    x = np.ones((4, 1), "float32")
    model.fit(
        x,
        np.zeros((4, 1), "float32"),
        verbose=0,
        callbacks=[PhaseScheduler("full@3", verbose=0), Note()],
    )
    expected = before.astype("float64")
    for weight, average in zip(weights, averages, strict=True):
        expected = 0.5 * expected + 0.5 * weight
        if average is averages[0]:
            expected = weight.astype("float64")
        np.testing.assert_allclose(average, expected, rtol=1e-5)  # float32


def test_best_epoch_reads_a_history():
    rows = [
        {"epoch": "0", "phase": "1", "val_loss": "0.1", "val_accuracy": "0.9"},
        {"epoch": "1", "phase": "2", "val_loss": "0.5", "val_accuracy": "0.7"},
        {"epoch": "2", "phase": "2", "val_loss": "nan", "val_accuracy": "0.7"},
    ]
    phases = PhaseSchedule("pool:2@1, full@2")
    assert best_epoch(rows, phases) == 1
    assert best_epoch(rows[:1], phases) is None
    # phases at the final resolution compete
    assert best_epoch(rows, PhaseSchedule("full@1, full@2")) == 0
    ranked = [
        {"epoch": 0, "phase": 1, "val_loss": 0.1, name: value}
        for name, value in (("val_mean_average_precision", float("nan")),)
    ]
    assert best_epoch(ranked, PhaseSchedule("full@1")) == 0


def test_pre_training_keeps_its_last_epoch():
    """Losses on masked patches choose no classifier."""
    assert (Recipe().keep, PretrainRecipe().keep) == ("best", "last")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"keep": "first"}, "`keep` is one of best, last"),
        ({"ema": 1.0}, "`ema` is a number of at least 0 and below 1"),
    ],
)
def test_impossible_choices_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Recipe(**options)
