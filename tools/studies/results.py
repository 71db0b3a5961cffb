"""Rows of finished runs, in plain files that a study goes on from.

`runs.csv` has a row per run; `epochs.csv` its learning curve; `corrupted.csv`
what the model is worth on changed audio. A run is named by its `Cell.id`.
"""

import glob
import os
import shlex
from dataclasses import dataclass

from keras_c2f.cost import training_macs
from keras_c2f.evaluation.evaluate import primary_metric
from keras_c2f.utils.files import read_json, read_rows, write_rows

FILES = ("runs", "epochs", "corrupted")
PART = "part-"  # begins the names of folders with the rows of parts


@dataclass
class Results:
    """What is known of all runs.

    Attributes:
        folder: path of the three files.
        runs: dict from ids to rows of `runs.csv`.
        epochs: dict from ids to lists of rows of `epochs.csv`.
        corrupted: dict from ids to dicts from corruptions to scores.
        own: set of the ids that are written, of a part; `None` for all.
    """

    folder: str
    runs: dict
    epochs: dict
    corrupted: dict
    own: set | None = None

    def add(self, row, epochs):
        """Keeps a finished run; replaces what was known of it.

        Raises:
            ValueError: if another run of the same data had other clips.
        """
        for other in self.runs.values():
            _refuse_other_clips(row, other)
        if self.own is not None:
            self.own.add(row["id"])
        self.runs[row["id"]] = row
        self.epochs[row["id"]] = epochs
        self._write("epochs", sum(self.epochs.values(), []))
        self._write("runs", self.runs.values())  # last: it says what is done

    def add_corrupted(self, cell_id, scores):
        """Keeps scores of a run's model on changed audio."""
        self.corrupted.setdefault(cell_id, {}).update(scores)
        rows = [
            {"id": name, "corruption": text, "score": score}
            for name, scores in self.corrupted.items()
            for text, score in scores.items()
        ]
        self._write("corrupted", rows)

    def part(self, shard):
        """`Results` of a part of a study, which knows the rows of all.

        Args:
            shard: pair of int, index from 0 and count.
        """
        index, count = shard
        own = read_results(
            os.path.join(self.folder, f"{PART}{index}-of-{count}")
        )
        return Results(
            own.folder,
            {**self.runs, **own.runs},
            {**self.epochs, **own.epochs},
            {**self.corrupted, **own.corrupted},
            set(own.runs),
        )

    def add_parts(self):
        """Adds the rows of all parts that were trained here.

        Raises:
            ValueError: as `add`.
        """
        names = os.path.join(glob.escape(self.folder), f"{PART}*")
        for folder in sorted(glob.glob(names)):
            part = read_results(folder)
            for name, row in part.runs.items():
                if row != self.runs.get(name):
                    self.add(row, part.epochs.get(name, []))
            for name, scores in part.corrupted.items():
                if scores != self.corrupted.get(name):
                    self.add_corrupted(name, scores)

    def _write(self, name, rows):
        os.makedirs(self.folder, exist_ok=True)
        kept = [r for r in rows if self.own is None or r["id"] in self.own]
        write_rows(os.path.join(self.folder, f"{name}.csv"), kept)


def read_results(folder):
    """`Results` of a folder; empty where nothing was run yet."""
    runs, epochs, corrupted = (
        read_rows(os.path.join(folder, f"{name}.csv")) for name in FILES
    )
    curves, scores = {}, {}
    for row in epochs:
        curves.setdefault(row["id"], []).append(row)
    for row in corrupted:
        of_run = scores.setdefault(row["id"], {})
        of_run[row["corruption"]] = float(row["score"])
    return Results(folder, {row["id"]: row for row in runs}, curves, scores)


def summarise(cell, folder):
    """The row of a finished run, and those of its epochs.

    Args:
        cell: `Cell`.
        folder: of the run.

    Returns:
        Pair of a dict and a list of dicts. `macs` are multiply-accumulates of
        the whole training, `seconds` and `cpu_seconds` those of its epochs,
        with compilation and without validation.
    """
    config = read_json(os.path.join(folder, "config.json"))
    evaluation = read_json(os.path.join(folder, "evaluation.json"))
    history = read_rows(os.path.join(folder, "history.csv"))
    metric = primary_metric(evaluation)
    num_clips = config["num_train_clips"]
    epochs = [
        {
            "id": cell.id,
            "epoch": int(row["epoch"]) + 1,
            "resolution": row["resolution"],
            "macs": f"{training_macs(float(row['gmacs']), num_clips):.4g}",
            "seconds": row["seconds"],
            "cpu_seconds": row["cpu_seconds"],
            "score": _short(row[f"val_{metric}"]),
            "at_switch": _short(row.get(f"switch_{metric}", "")),
        }
        for row in history
    ]

    def total(name):
        return sum(float(row[name]) for row in epochs)

    versions = config["versions"]
    row = {
        "id": cell.id,
        "score": evaluation[metric],
        "metric": metric,
        "clips": evaluation["num_clips"],
        "digests": " ".join(config.get("digests", {}).values()),
        "macs": f"{total('macs'):.4g}",
        "seconds": round(total("seconds"), 1),
        "cpu_seconds": round(total("cpu_seconds"), 1),
        "schedule": config["schedule"],
        "backend": versions["backend"],
        "versions": " ".join(
            f"{name}-{text}"
            for name, text in versions.items()
            if name != "backend"
        ),
        "hardware": config["hardware"],
        "command": cell.line,
    }
    return row, epochs


def _refuse_other_clips(row, other):
    """Refuses a run whose data have changed since another one."""
    one, two = row.get("digests"), other.get("digests")
    if not one or not two or one == two or row["id"] == other["id"]:
        return  # "" of runs by an earlier version
    if _data(row["command"]) == _data(other["command"]):
        raise ValueError(
            f"The clips of {shlex.join(sorted(_data(row['command'])))} were "
            f"others in run {other['id']} than in run {row['id']}, so the two "
            "do not compare. Bring back what was there, or keep the rows of "
            "the new data in another folder."
        )


def _data(command):
    """set of the words of a command that say which clips it is of."""
    names = ("--data=", "--held_out=", "--model=")  # a model has its own rate
    return {word for word in shlex.split(command) if word.startswith(names)}


def _short(text):
    return f"{float(text):.4f}" if text else ""
