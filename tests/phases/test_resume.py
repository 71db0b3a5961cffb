"""A killed run goes on and ends like the uninterrupted one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from kills import KillIn
from tiny import assert_same_weights, clips, phased, weights_of

from keras_c2f.phases import Phase, PhaseScheduler


def decay(steps):
    return keras.optimizers.schedules.PolynomialDecay(0.05, steps, 0.001)


def phases():
    """One, two and one epoch of two steps each; rates differ by step."""
    return [
        Phase("pool:4", 1, decay(9), weight_decay=0.1),
        Phase("pool:2", 2, decay(7)),
        Phase("full", 1, optimizer="reset"),
    ]


EPOCHS = 4


def new_model():
    """Random in training, as far as Keras can repeat it."""
    on_torch = keras.backend.backend() == "torch"  # whose dropout has no seed
    return phased(
        keras.optimizers.AdamW(0.01),
        seed=3,
        dropout=0.0 if on_torch else 0.1,
        drop_path=0.2,
    )


def fit(model, *callbacks, **options):
    scheduler = PhaseScheduler(phases(), verbose=0)
    return model.fit(
        *clips(),
        batch_size=4,
        shuffle=False,
        callbacks=[*callbacks, scheduler],
        verbose=0,
        **options,
    )


class Copies(keras.callbacks.Callback):
    """Copies the backup as a kill would leave it."""

    def __init__(self, backup, folder):
        super().__init__()
        self.backup, self.folder = backup, folder

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:  # the phase has begun, its epoch is not complete
            shutil.copytree(self.backup, self.folder / str(self.epoch))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    backup = folder / "backup"
    backup.mkdir()  # Keras does so after the first epoch
    model = new_model()
    history = fit(
        model,
        keras.callbacks.BackupAndRestore(backup, delete_checkpoint=False),
        Copies(backup, folder / "killed"),
        keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras"),
    )
    return {
        "folder": folder,
        "losses": history.history["loss"],
        "weights": weights_of(model.network),
    }


def assert_ends_alike(model, history, uninterrupted, first_epoch):
    losses = uninterrupted["losses"][first_epoch:]
    # rtol: float32; the optimizer was saved and loaded exactly
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-5)
    assert_same_weights(
        weights_of(model.network), uninterrupted["weights"], atol=1e-6
    )


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_backup_and_restore(epoch, uninterrupted, tmp_path):
    backup = tmp_path / "backup"
    shutil.copytree(uninterrupted["folder"] / "killed" / str(epoch), backup)
    model = new_model()
    history = fit(model, keras.callbacks.BackupAndRestore(backup))
    assert_ends_alike(model, history, uninterrupted, epoch)


@pytest.mark.parametrize("epoch", range(1, EPOCHS))
def test_saved_model_and_initial_epoch(epoch, uninterrupted):
    path = uninterrupted["folder"] / f"{epoch}.keras"
    model = keras.models.load_model(path)
    history = fit(model, initial_epoch=epoch)
    assert_ends_alike(model, history, uninterrupted, epoch)


def test_same_process_goes_on_and_fits_again(uninterrupted, tmp_path):
    model = new_model()
    with pytest.raises(KeyboardInterrupt):
        fit(model, KillIn(2), keras.callbacks.BackupAndRestore(tmp_path / "b"))
    history = fit(model, keras.callbacks.BackupAndRestore(tmp_path / "b"))
    assert_ends_alike(model, history, uninterrupted, 2)
    # Keras would begin the next fit where the restored one began
    second = fit(model)
    assert len(second.history["loss"]) == EPOCHS
    assert second.history["phase"] == [1, 2, 2, 3]


def left_by_a_kill(uninterrupted, folder, epoch):
    backup = folder / "backup"
    shutil.copytree(uninterrupted["folder"] / "killed" / str(epoch), backup)
    return backup


@pytest.mark.parametrize("text", ['{"epoch": 1, "batch": 0}', '{"epo', None])
def test_weights_say_their_epoch(text, uninterrupted, tmp_path):
    """Whatever the kill left of the file that Keras writes after them."""
    backup = left_by_a_kill(uninterrupted, tmp_path, 2)
    metadata = backup / "training_metadata.json"
    assert json.loads(metadata.read_text())["epoch"] == 2
    if text is None:
        metadata.unlink()
    else:
        metadata.write_text(text)
    model = new_model()
    history = fit(model, keras.callbacks.BackupAndRestore(backup))
    assert_ends_alike(model, history, uninterrupted, 2)


def test_no_epoch_is_left_out_where_weights_are_gone(uninterrupted, tmp_path):
    """As by a kill while Keras deletes the backup of a finished run."""
    backup = left_by_a_kill(uninterrupted, tmp_path, 2)
    (backup / "latest.weights.h5").unlink()
    model = new_model()
    history = fit(model, keras.callbacks.BackupAndRestore(backup))
    assert_ends_alike(model, history, uninterrupted, 0)


def test_a_backup_that_cannot_be_read_is_named(uninterrupted, tmp_path):
    backup = left_by_a_kill(uninterrupted, tmp_path, 2)
    weights = backup / "latest.weights.h5"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="latest.weights.h5 cannot be read"):
        fit(new_model(), keras.callbacks.BackupAndRestore(backup))


def test_weights_are_written_whole(tmp_path, monkeypatch):
    path = tmp_path / "x.weights.h5"
    model = new_model()
    model.save_weights(path)
    before = path.read_bytes()

    def fail(self, store):
        raise KeyboardInterrupt

    layer = type(model.network.get_layer("head"))
    monkeypatch.setattr(layer, "save_own_variables", fail)
    with pytest.raises(KeyboardInterrupt):
        model.save_weights(path)
    assert path.read_bytes() == before


PROGRAM = """
import os, signal, sys
import keras
import numpy as np
from test_resume import fit, new_model, weights_of

folder, moment = sys.argv[1:]

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class KillInStep(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.epochs_done == 2 and batch == 0:
            kill()

model = new_model()
callbacks = [keras.callbacks.BackupAndRestore(folder + "/backup")]
if moment == "in a step":
    callbacks.append(KillInStep())
if moment == "between two files":
    def save(*args, _save=model.save_weights, **kwargs):
        _save(*args, **kwargs)
        if model.epochs_done == 3:
            kill()
    model.save_weights = save
fit(model, *callbacks)
np.savez(folder + "/final.npz", **weights_of(model.network))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    ["in a step", pytest.param("between two files", marks=pytest.mark.once)],
)
def test_a_killed_process_ends_like_the_uninterrupted_one(
    moment, uninterrupted, tmp_path
):
    here = Path(__file__).parent
    paths = f"{here}{os.pathsep}{here.parent}"

    def run(moment):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path), moment],
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
        )

    assert run(moment).returncode == -signal.SIGKILL
    result = run("never")
    assert result.returncode == 0, result.stderr[-3000:]
    with np.load(tmp_path / "final.npz") as final:
        assert_same_weights(dict(final), uninterrupted["weights"], atol=1e-6)
