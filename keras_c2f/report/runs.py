"""What training runs left in a folder, and the figures that follow from it.

Each run has a folder with `config.json`, `history.csv` (one row per epoch),
and, once training is over, `evaluation.json`, `evaluation.csv` (one row per
class) and `example.npz`, after pre-training `reconstruction.npz` too. Compute
is counted in multiply-accumulates (MACs): an epoch costs three forward passes
(one forward, two backward) over the training clips, less for frozen layers.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_c2f.cost import training_macs
from keras_c2f.utils.files import read_json, read_rows

BASELINE = "baseline"


@dataclass(frozen=True)
class RunRecord:
    """What one trained (or still training) model left.

    Attributes:
        config: dict, as in `config.json`.
        history: list of dict, one per epoch; numbers are floats.
        evaluation: dict, as in `evaluation.json`; empty while training.
        example: dict of log-mels `(frames, mel_bins)` by resolution.
        example_label: str, class of that clip.
        classes: list of dict, the rows of `evaluation.csv`.
        reconstruction: dict of log-mels of one clip, for a run on masked
            patches: `original`, `masked` and `reconstructed`.
        exports: list of dict, the rows of `exports.csv`.
        cascade: dict, as in `cascade.json`.
        cascade_curve: list of dict, the rows of `cascade.csv`.
    """

    config: dict
    history: list
    evaluation: dict
    example: dict
    example_label: str = ""
    classes: list = field(default_factory=list)
    reconstruction: dict = field(default_factory=dict)
    exports: list = field(default_factory=list)
    cascade: dict = field(default_factory=dict)
    cascade_curve: list = field(default_factory=list)

    @property
    def name(self):
        return self.config["name"]

    @property
    def phases(self):
        return self.config["phases"]

    @property
    def planned_epochs(self):
        return sum(phase["epochs"] for phase in self.phases)

    @property
    def is_finished(self):
        return bool(self.evaluation) or len(self.history) >= self.planned_epochs

    def column(self, name):
        """A column of the history as float array; NaN where not a number."""
        values = [row.get(name) for row in self.history]
        return np.array(
            [v if isinstance(v, float) else math.nan for v in values], float
        )

    @property
    def metrics(self):
        """Names of the validation metrics, `val_` and the loss taken away."""
        names = dict.fromkeys(name for row in self.history for name in row)
        return [
            name.removeprefix("val_")
            for name in names
            if name.startswith("val_")
            and name != "val_loss"
            and np.isfinite(self.column(name)).any()
        ]

    def score(self, metric):
        """Final value, or while training the latest; `None` if unmeasured."""
        final = self.evaluation.get(metric)
        if isinstance(final, (int, float)) and math.isfinite(final):
            return float(final)
        values = self.column(f"val_{metric}")
        values = values[np.isfinite(values)]
        return float(values[-1]) if values.size else None

    def at_switch(self, metric):
        """`{index: (before, after)}` of phases whose beginning was scored.

        Both with the weights that the phase before has trained: at its
        resolution, and at that of phase `index`.
        """
        before = self.column(f"val_{metric}")
        after = self.column(f"switch_{metric}")
        return {
            int(self.phase_of_epoch[epoch]): (before[epoch - 1], after[epoch])
            for epoch in np.flatnonzero(np.isfinite(after))
        }

    @property
    def phase_of_epoch(self):
        """Index into `phases` of each row of the history."""
        order = list(dict.fromkeys(row.get("phase") for row in self.history))
        return np.array(
            [order.index(r.get("phase")) for r in self.history], int
        )

    @property
    def macs(self):
        """MACs spent in each epoch of the history."""
        gmacs = _finite(self.column("gmacs"))
        return training_macs(gmacs, self.config["num_train_clips"])

    @property
    def seconds(self):
        """Wall time of each epoch of the history."""
        return _finite(self.column("seconds"))

    @property
    def planned_macs(self):
        """MACs of the whole schedule."""
        gmacs = sum(phase["epochs"] * phase["gmacs"] for phase in self.phases)
        return training_macs(gmacs, self.config["num_train_clips"])

    @property
    def total_macs(self):
        """What the run cost; while training, what it will have cost."""
        return self.macs.sum() if self.is_finished else self.planned_macs


def read_runs(folder):
    """Reads the runs below `folder`, the one named `baseline` first.

    Args:
        folder: path; each run has a sub-folder of it.

    Returns:
        List of `RunRecord`.

    Raises:
        FileNotFoundError: if no sub-folder holds a run's `config.json`.
    """
    configs = sorted(Path(folder).glob("*/config.json"))
    # a converted checkpoint has a file of that name as well
    runs = [_read_run(c.parent) for c in configs if "phases" in read_json(c)]
    if not runs:
        raise FileNotFoundError(
            f"No folder inside {folder} holds the config.json of a training. "
            "Give the folder above the runs, and start training first."
        )
    return sorted(runs, key=lambda run: run.name != BASELINE)


def find_baseline(runs):
    """The run named `baseline`, or `None`."""
    return next((run for run in runs if run.name == BASELINE), None)


def share(part, whole):
    """`part / whole`, or `None` where that says nothing."""
    if part is None or whole is None or not whole > 0:
        return None
    return float(part / whole)


def chance_points(accuracy, num_clips):
    """Percentage points by which two equally good runs may differ by chance.

    1.96 standard errors of the difference of two proportions, each shifted
    towards one half by four clips (Agresti and Caffo 2000), so that 100 %
    right is not taken for certainty. That the runs saw the same clips makes
    the true figure smaller, that they differ in random numbers larger.

    Example:
        >>> round(chance_points(0.9, 1000), 1)
        2.6
    """
    proportion = (accuracy * num_clips + 2) / (num_clips + 4)
    variance = 2 * proportion * (1 - proportion) / (num_clips + 4)
    return 196 * math.sqrt(variance)


def shared_example(runs):
    """The clip seen at most resolutions: `(label, {resolution: log_mel})`.

    Other runs add their resolutions if theirs is the same clip.
    """
    richest = max(runs, key=lambda run: len(run.example))
    merged = dict(richest.example)
    for run in runs:
        common = merged.keys() & run.example.keys()
        same = run.example_label == richest.example_label and all(
            np.array_equal(merged[key], run.example[key]) for key in common
        )
        if common and same:
            merged.update(run.example)
    return richest.example_label, merged


def _finite(values):
    return np.where(np.isfinite(values), values, 0.0)


def _read_run(folder):
    config = read_json(folder / "config.json")
    config.setdefault("name", folder.name)
    example, label = _read_arrays(folder / "example.npz"), ""
    if example:
        label = str(example.pop("label", ""))
        order = [phase["resolution"] for phase in config["phases"]]
        keys = [*(k for k in order if k in example), *example]
        example = {key: example[key] for key in keys}
    evaluation, cascade = (
        read_json(path) if path.exists() else {}
        for path in (folder / "evaluation.json", folder / "cascade.json")
    )
    return RunRecord(
        config,
        _read_numbers(folder / "history.csv"),
        evaluation,
        example,
        label,
        _read_numbers(folder / "evaluation.csv", but=("name",)),
        _read_arrays(folder / "reconstruction.npz"),
        _read_numbers(folder / "exports.csv", but=("file",)),
        cascade,
        _read_numbers(folder / "cascade.csv"),
    )


def _read_arrays(path):
    if not path.exists():
        return {}
    try:
        with np.load(path) as arrays:
            return {key: arrays[key] for key in arrays}
    except Exception as error:  # a damaged archive may raise anything
        raise ValueError(
            f"{path} is damaged ({error}). Delete it, and the report does "
            "without."
        ) from error


def _read_numbers(path, but=()):
    """Rows of a CSV; what reads as a number is one, in columns not in `but`"""
    return [
        {k: text if k in but else _number(text) for k, text in row.items()}
        for row in read_rows(path)
    ]


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text
