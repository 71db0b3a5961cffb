"""Checkpoints of a run that is not done yet."""

import glob
import os
import re
import sys
import time

from keras_c2f.training.run_folder import load_run_model, save_model
from keras_c2f.utils.files import read_rows, write_rows

PAUSE = 20  # times as long as a save took: saves take a twentieth of the time


class Checkpoints:
    """The checkpoints of a run's folder: one, but where a kill left two.

    Each holds the model with its optimizer and the history up to there, which
    is in `history.csv` as well. Epochs that take less than `PAUSE` saves are
    not all saved.

    Args:
        folder: path of the run.
    """

    def __init__(self, folder):
        self.folder = folder
        self.history = os.path.join(folder, "history.csv")
        self._next = 0.0  # when the pause is over

    def __bool__(self):
        return bool(self.paths())

    def paths(self):
        """list of str, the one of the last epoch at the end."""
        names = os.path.join(glob.escape(self.folder), "checkpoint-*.keras")
        paths = [path for path in glob.glob(names) if _epoch_of(path)]
        return sorted(paths, key=_epoch_of)

    @property
    def epochs(self):
        """int, that the newest was trained for; 0 if there is none."""
        return max(map(_epoch_of, self.paths()), default=0)

    @property
    def are_due(self):
        """bool, whether the pause since the last one is over."""
        return time.monotonic() >= self._next

    def save(self, model, config, rows):
        """Keeps a model after a complete epoch, and no other.

        Args:
            model: the `PhasedModel`, optimizer and all.
            config: dict, what `config.json` holds.
            rows: list of dicts, the history up to and with this epoch.
        """
        began = time.monotonic()
        path = os.path.join(self.folder, f"checkpoint-{len(rows):04d}.keras")
        save_model(path, model, config, rows)
        self.remove(but=path)
        ended = time.monotonic()
        self._next = ended + PAUSE * (ended - began)

    def remove(self, but=None):
        """Removes all, except the one at a path."""
        for path in self.paths():
            if path != but:
                os.remove(path)

    def newest(self):
        """Model of the last complete epoch, and the history up to there.

        Returns:
            Pair of `PhasedModel` and list of dicts; `None` and an empty list
            where there is no checkpoint.

        Raises:
            ValueError: if the checkpoint is damaged or of another run, or the
                history is lost.
        """
        paths = self.paths()
        if not paths:
            return None, []
        model, kept = load_run_model(
            paths[-1],
            self.folder,
            "Delete it: the same command goes on from an earlier one, or "
            "starts.",
        )
        return model, self._rows(paths[-1], kept)

    def _rows(self, path, kept):
        """The rows up to a checkpoint; from within it if the file has others.

        Args:
            path: of the checkpoint.
            kept: list of dicts, the rows that it was saved with; none in one
                of an earlier version.
        """
        done = _epoch_of(path)
        try:
            all_rows = read_rows(self.history)
        except ValueError:
            all_rows = []
        rows = all_rows[:done]
        if len(rows) == done and _agree(rows, kept):
            if len(all_rows) > done:  # epochs without a checkpoint
                write_rows(self.history, rows)
            return rows
        if len(kept) != done:
            raise ValueError(
                f"{self.history} has not the {done} epochs that {path} was "
                "trained for. Bring back a copy of it, or delete the "
                "checkpoint, and the same command trains from the start."
            )
        print(
            f"{self.history} was missing or damaged; written again from "
            f"{path}.",
            file=sys.stderr,
        )
        write_rows(self.history, kept)
        return read_rows(self.history)


def _epoch_of(checkpoint):
    """int, epochs that a checkpoint was trained for; 0 of another file."""
    found = re.search(r"checkpoint-(\d+)\.keras$", checkpoint)
    return int(found[1]) if found else 0


def _agree(rows, kept):
    """Whether rows of a history are those kept, as far as both have columns."""
    return all(
        value == row[name]
        for row, other in zip(rows, kept, strict=False)
        for name, value in other.items()
        if name in row
    )
