"""Methods of a study against its baseline, from the rows of their runs.

Two runs are a pair if they have data set, held-out part and seed in common.
Seeds of a part share its clips, so they are averaged first: an interval is
over folds or speakers, and only where there is a single part over seeds.
"""

import math
import statistics
from dataclasses import dataclass

import numpy as np

from keras_c2f.data.lazy import scipy_stats


@dataclass(frozen=True)
class Comparison:
    """A method on one data set, against the baseline there.

    Attributes:
        method: str.
        metric: str, what scores are.
        scores: dict from `(held_out, seed)` to the score at the last epoch.
        difference: `Interval` of the score minus the baseline's, or `None`
            for the baseline, and where there are no pairs.
        macs, seconds, cpu_seconds: float, means of a run's training.
        shares: dict from these names to shares of the baseline's, over pairs.
        reached: dict from `"macs"` and `"seconds"` to the share of the
            baseline's that was spent when the mean learning curve first came
            to the baseline's final score; `None` where it never does.
        switches: list of `Switch`.
    """

    method: str
    metric: str
    scores: dict
    difference: "Interval | None"
    macs: float
    seconds: float
    cpu_seconds: float
    shares: dict
    reached: dict
    switches: list

    @property
    def score(self):
        """float, mean over parts of means over seeds."""
        return statistics.mean(by_part(self.scores).values())


@dataclass(frozen=True)
class Interval:
    """A mean, and where the true one lies with 95 % confidence.

    `low` and `high` are NaN if there is a single value.
    """

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Switch:
    """Scores around the start of a phase, means over runs.

    Attributes:
        resolution: str, of the phase that begins.
        before: float, after the last epoch of the phase before.
        after: float, before any training in this one.
        recovery: float, epochs until the score is that of before again; NaN
            if no run gets there.
    """

    resolution: str
    before: float
    after: float
    recovery: float


def compare(study, results, data):
    """List of `Comparison` of the methods that have runs on a data set."""
    rows = {name: _rows(study, results, name, data) for name in study.methods}
    baseline = rows[study.baseline]
    curves = {
        name: _curve(results, of_method) for name, of_method in rows.items()
    }
    compared = []
    for name, of_method in rows.items():
        if not of_method:
            continue
        scores = {key: float(r["score"]) for key, r in of_method.items()}
        pairs = sorted(of_method.keys() & baseline.keys())
        difference, shares, reached = None, {}, {}
        if pairs and name != study.baseline:
            differences = {
                key: scores[key] - float(baseline[key]["score"])
                for key in pairs
            }
            difference = interval(differences)
        for unit in ("macs", "seconds", "cpu_seconds"):
            if pairs:
                ours, theirs = (
                    sum(float(r[key][unit]) for key in pairs)
                    for r in (of_method, baseline)
                )
                shares[unit] = ours / theirs
        if pairs and set(pairs) == set(of_method):
            goal = statistics.mean(float(baseline[k]["score"]) for k in pairs)
            for unit in ("macs", "seconds"):
                whole = statistics.mean(float(baseline[k][unit]) for k in pairs)
                spent = _first_time(curves[name], unit, goal)
                reached[unit] = spent and spent / whole
        compared.append(
            Comparison(
                name,
                next(iter(of_method.values()))["metric"],
                scores,
                difference,
                *(
                    statistics.mean(float(r[unit]) for r in of_method.values())
                    for unit in ("macs", "seconds", "cpu_seconds")
                ),
                shares,
                reached,
                _switches(results, of_method),
            )
        )
    return compared


def interval(values):
    """`Interval` of the mean of paired differences.

    Student's, over parts; over seeds if there is one part.

    Args:
        values: dict from `(held_out, seed)` to float.
    """
    parts = list(by_part(values).values())
    if len(parts) == 1:
        parts = list(values.values())
    mean, low, high = statistics.mean(parts), math.nan, math.nan
    if len(parts) > 1:
        if len(set(parts)) == 1:
            low = high = mean
        else:
            found = scipy_stats.ttest_1samp(parts, 0).confidence_interval(0.95)
            low, high = map(float, found)
    return Interval(mean, low, high, len(parts))


def by_part(values):
    """Means over seeds: `{(held_out, seed): float}` -> `{held_out: float}`."""
    parts = {}
    for (held_out, _), value in values.items():
        parts.setdefault(held_out, []).append(value)
    return {part: statistics.mean(values) for part, values in parts.items()}


def mean_curve(study, results, method, data):
    """Learning curve of a method, a mean over its runs.

    Returns:
        dict with `macs`, `seconds` (spent so far) and `score`, arrays of one
        value per epoch; empty arrays if there are no runs.
    """
    return _curve(results, _rows(study, results, method, data))


def _rows(study, results, method, data):
    """dict from `(held_out, seed)` to rows of finished runs."""
    found = {}
    for held_out in study.data[data].get("held_out", [""]):
        for seed in study.seeds:
            row = results.runs.get(study.cell(method, data, held_out, seed).id)
            if row:
                found[held_out, seed] = row
    return found


def _curve(results, rows):
    columns = {"macs": [], "seconds": [], "score": []}
    for row in rows.values():
        epochs = results.epochs[row["id"]]
        for name, values in columns.items():
            numbers = np.array([float(epoch[name]) for epoch in epochs])
            values.append(numbers if name == "score" else np.cumsum(numbers))
    if not rows:
        return {name: np.zeros(0) for name in columns}
    length = min(map(len, columns["score"]))
    return {
        name: np.mean([value[:length] for value in values], axis=0)
        for name, values in columns.items()
    }


def _first_time(curve, unit, goal):
    there = np.flatnonzero(curve["score"] >= goal)
    return float(curve[unit][there[0]]) if len(there) else None


def _switches(results, rows):
    """`Switch` of every phase but the first, means over runs."""
    of_runs = [_run_switches(results.epochs[r["id"]]) for r in rows.values()]
    switches = []
    for same in zip(*of_runs, strict=False):
        recoveries = [s.recovery for s in same if not math.isnan(s.recovery)]
        switches.append(
            Switch(
                same[0].resolution,
                statistics.mean(s.before for s in same),
                statistics.mean(s.after for s in same),
                statistics.mean(recoveries) if recoveries else math.nan,
            )
        )
    return switches


def _run_switches(epochs):
    found = []
    for index, epoch in enumerate(epochs):
        if index and epoch.get("at_switch"):
            before = float(epochs[index - 1]["score"])
            later = [float(after["score"]) for after in epochs[index:]]
            back = [n + 1 for n, score in enumerate(later) if score >= before]
            found.append(
                Switch(
                    epoch["resolution"],
                    before,
                    float(epoch["at_switch"]),
                    back[0] if back else math.nan,
                )
            )
    return found
