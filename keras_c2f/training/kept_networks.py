"""Which networks of a run stay: the best epoch's, and those of phase ends."""

import contextlib
import glob
import math
import os

import keras
import numpy as np

from keras_c2f.evaluation.evaluate import primary_metric
from keras_c2f.models import merge_adapters
from keras_c2f.phases.keras_private import moving_averages
from keras_c2f.training.run_folder import phase_file
from keras_c2f.utils.files import atomic_write


class KeepNetworks(keras.callbacks.Callback):
    """Saves the network of the best final epoch, and at the end of each phase.

    The best epoch is that at the final resolution with the highest primary
    metric on the validation clips; of equal ones, that with the lowest loss.
    Coarse phases end at other resolutions, so they do not compete: each leaves
    `phase-NUMBER.keras`. Stands before the callback that saves checkpoints.
    A run killed at any moment still finds the best network of the epochs that
    its checkpoint knows: an earlier best one is removed once there is a
    checkpoint of the epoch.

    Ends training after `patience` epochs of the final phase without a better
    one.

    Args:
        checkpoints: `Checkpoints` of the run.
        keep: `"best"`, or `"last"` to save the ends of phases alone.
        patience: int; 0 for no end.
        scheduler: the `PhaseScheduler` of the same `fit`.
        rows: list of dicts, the history up to where `fit` begins.
        stopwatch: `Stopwatch`; saving is not counted.
    """

    def __init__(self, checkpoints, keep, patience, scheduler, rows, stopwatch):
        super().__init__()
        self.checkpoints = checkpoints
        self.folder = checkpoints.folder
        self.keep = keep
        self.patience = patience
        self.scheduler = scheduler
        self.rows = list(rows)
        self.stopwatch = stopwatch

    def on_epoch_begin(self, epoch, logs=None):
        if self.checkpoints.epochs == epoch:  # all of those before
            best = best_epoch(self.rows, self.scheduler.schedule)
            remove_best(self.folder, but=best)

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch, **logs})
        schedule = self.scheduler.schedule  # may have changed
        best = best_epoch(self.rows, schedule)
        if has_stalled(self.rows, schedule, self.patience):
            self.model.stop_training = True
        paths = []
        if self.keep == "best" and best == epoch:
            paths.append(best_path(self.folder, epoch))
        phase = int(logs["phase"])
        if epoch + 1 == schedule.first_epoch(phase):  # of the one after
            paths.append(os.path.join(self.folder, phase_file(phase)))
        if paths:
            with self.stopwatch.paused(), averaged_weights(self.model):
                network = merge_adapters(self.model.network)
                for path in paths:
                    atomic_write(path, network.save)


def kept_epoch(rows, keep, phases):
    """The epoch, from 1, whose network is kept of a run that is done.

    Args:
        rows: list of dicts, its history.
        keep: `"best"` or `"last"`.
        phases: `PhaseSchedule`.
    """
    last = len(rows) - 1
    return 1 + (last if keep == "last" else best_epoch(rows, phases))


def kept_network(folder, epoch, model):
    """The network of an epoch of a run whose epochs are done.

    Args:
        folder: path of the run.
        epoch: int, see `kept_epoch`.
        model: `PhasedModel` after `fit`, of the last epoch.
    """
    path = best_path(folder, epoch - 1)
    if not os.path.exists(path):
        return model.network
    return keras.models.load_model(path, compile=False)


def best_epoch(rows, phases):
    """The epoch, from 0, whose network is kept.

    Args:
        rows: list of dicts, a history; from a file they hold text.
        phases: `PhaseSchedule`.

    Returns:
        int; `None` before the first phase of those that end the schedule at
        one resolution.
    """
    first = len(phases)
    while first > 1 and phases[first - 2].resolution == phases[-1].resolution:
        first -= 1
    rows = [row for row in rows if phase_of(row) >= first]
    if not rows:
        return None
    names = [name.removeprefix("val_") for name in rows[0] if "val_" in name]
    metric = primary_metric(names)

    def rank(row):
        score, loss = float(row[f"val_{metric}"]), float(row["val_loss"])
        score = -math.inf if math.isnan(score) else score
        return score, -math.inf if math.isnan(loss) else -loss

    return int(max(rows, key=rank)["epoch"])


def has_stalled(rows, phases, patience):
    """Whether `patience` epochs of the last phase have brought no better one.

    Args:
        rows: list of dicts, a history.
        phases: `PhaseSchedule`.
        patience: int; 0 is endless.
    """
    in_last = sum(phase_of(row) == len(phases) for row in rows)
    if not patience or in_last < patience:
        return False
    return len(rows) - 1 - best_epoch(rows, phases) >= patience


def phase_of(row):
    """int from 1, the phase of an epoch."""
    return int(float(row["phase"]))


def best_path(folder, epoch):
    """Path of the network that was the best after `epoch`, from 0."""
    return os.path.join(folder, f"best-{epoch + 1:04d}.keras")


def remove_best(folder, but=None):
    """Removes best networks of a folder, except the one of an epoch."""
    kept = None if but is None else best_path(folder, but)
    for path in glob.glob(os.path.join(glob.escape(folder), "best-*.keras")):
        if path != kept:
            os.remove(path)


@contextlib.contextmanager
def averaged_weights(model):
    """Context in which a model has the moving averages of its weights.

    Nothing changes where its optimizer keeps none (`use_ema`).
    """
    pairs = moving_averages(model.optimizer)
    # copies: JAX donates the buffer of each variable to the training step
    values = [
        [np.array(keras.ops.convert_to_numpy(variable)) for variable in pair]
        for pair in pairs
    ]
    for (weight, _), (_, average) in zip(pairs, values, strict=True):
        weight.assign(average)
    try:
        yield
    finally:
        for (weight, _), (value, _) in zip(pairs, values, strict=True):
            weight.assign(value)
