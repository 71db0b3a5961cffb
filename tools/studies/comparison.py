"""Methods of a study against its baseline, from the rows of their runs.

Two runs are a pair if they have data set, held-out part and seed in common.
"""

import itertools
import math
import statistics
from dataclasses import dataclass

import numpy as np

from studies.interval import Interval, by_part, interval

UNITS = {  # of what runs cost, and what to call shares of the baseline's
    "macs": "of baseline",
    "seconds": "time",
    "cpu_seconds": "processor time",
}


@dataclass(frozen=True)
class Comparison:
    """A method on one data set, against the baseline there.

    Attributes:
        method: str.
        metric: str, what scores are.
        scores: dict from `(held_out, seed)` to the score at the last epoch.
        difference: `Interval` of the score minus the baseline's, or `None`
            for the baseline, and where there are no pairs.
        by_seed: dict from seeds to `SeedDifference`, empty where `difference`
            is `None`.
        macs: float, mean of a run's training, pre-training included.
        shares: dict from `"macs"`, `"seconds"` and `"cpu_seconds"` to shares
            of the baseline's, over pairs in which both runs have them.
        reached: float, share of the baseline's MACs that were spent when the
            mean learning curve, at each phase's own resolution, first came to
            the baseline's final score; infinite where it never does, and
            `None` where not all runs have a partner.
        switches: list of `Switch`.
    """

    method: str
    metric: str
    scores: dict
    difference: Interval | None
    by_seed: dict
    macs: float
    shares: dict
    reached: float | None
    switches: list

    @property
    def score(self):
        """float, mean over parts of means over seeds."""
        return statistics.mean(by_part(self.scores).values())


@dataclass(frozen=True)
class SeedDifference:
    """A method's runs of one seed, against the baseline's.

    Attributes:
        mean: float, score minus the baseline's, mean over parts.
        ahead, count: int, pairs in which it is above 0, of so many.
        backends: tuple of str, ours and theirs; one if they are the same.
    """

    mean: float
    ahead: int
    count: int
    backends: tuple


@dataclass(frozen=True)
class Switch:
    """Scores around the start of a phase, means over runs.

    Attributes:
        resolution: str, of the phase that begins.
        before: float, after the last epoch of the phase before.
        after: float, before any training in this one.
        recovery: float, epochs until the score is that of before again, mean
            of the runs that get there; NaN if none does.
        recovered, count: int, runs that get there, of so many.
    """

    resolution: str
    before: float
    after: float
    recovery: float
    recovered: int
    count: int


def compare(study, results, data):
    """List of `Comparison` of the methods that have runs on a data set."""
    rows = {
        name: paired_rows(study, results, name, data) for name in study.methods
    }
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
        difference, by_seed, shares, reached = None, {}, {}, None
        if pairs and name != study.baseline:
            differences = {
                key: scores[key] - float(baseline[key]["score"])
                for key in pairs
            }
            difference = interval(differences)
            by_seed = _by_seed(differences, of_method, baseline)
        for unit in UNITS:
            known = [
                (float(of_method[key][unit]), float(baseline[key][unit]))
                for key in pairs
                if of_method[key][unit] and baseline[key][unit]
            ]
            if known:  # times may be ""
                ours, theirs = map(sum, zip(*known, strict=True))
                shares[unit] = ours / theirs
        if pairs and set(pairs) == set(of_method):
            goal = statistics.mean(float(baseline[k]["score"]) for k in pairs)
            whole = statistics.mean(float(baseline[k]["macs"]) for k in pairs)
            reached = _first_time(curves[name], goal) / whole
        compared.append(
            Comparison(
                name,
                next(iter(of_method.values()))["metric"],
                scores,
                difference,
                by_seed,
                statistics.mean(float(r["macs"]) for r in of_method.values()),
                shares,
                reached,
                _switches(results, of_method),
            )
        )
    return compared


def mean_curve(study, results, method, data):
    """Learning curve of a method, a mean over its runs.

    Returns:
        dict with `macs` (spent so far) and `score`, arrays of one value for
        each epoch of any run; empty arrays if there are no runs.
    """
    return _curve(results, paired_rows(study, results, method, data))


def paired_rows(study, results, method, data):
    """dict from `(held_out, seed)` to rows of finished runs of a method.

    What a run started from was trained, too: its compute and time are added.
    """
    found = {}
    of_data = study.data[data]
    for key in itertools.product(of_data["held_out"], of_data["seeds"]):
        cell = study.cell(method, data, *key)
        row = results.runs.get(cell.id)
        if row and cell.init_from:
            before = results.runs[cell.init_from.id]  # kept before it
            spent = {
                unit: float(row[unit]) + float(before[unit])
                if row[unit] and before[unit]
                else ""
                for unit in UNITS
            }
            row = {**row, **spent, "macs_before": float(before["macs"])}
        if row:
            found[key] = row
    return found


def _by_seed(differences, ours, theirs):
    """dict from seeds to `SeedDifference`."""
    found = {}
    for seed in sorted({seed for _, seed in differences}):
        pairs = {k: d for k, d in differences.items() if k[1] == seed}
        backends = [
            " and ".join(sorted({rows[key]["backend"] for key in pairs}))
            for rows in (ours, theirs)
        ]
        found[seed] = SeedDifference(
            statistics.mean(pairs.values()),
            sum(difference > 0 for difference in pairs.values()),
            len(pairs),
            tuple(dict.fromkeys(backends)),
        )
    return found


def _curve(results, rows):
    """Mean over runs at the same compute, whose epochs may differ."""
    curves = []
    for row in rows.values():
        epochs = results.epochs[row["id"]]
        macs = np.cumsum([float(epoch["macs"]) for epoch in epochs])
        scores = np.array([float(epoch["score"]) for epoch in epochs])
        curves.append((macs + row.get("macs_before", 0), scores))
    if not rows:
        return {"macs": np.zeros(0), "score": np.zeros(0)}
    ends = np.array([(macs[-1], scores[-1]) for macs, scores in curves])
    positions = np.unique(np.concatenate([macs for macs, _ in curves]))
    positions = positions[positions < ends[:, 0].min()]
    score = np.mean([np.interp(positions, *curve) for curve in curves], axis=0)
    end = ends.mean(axis=0)
    return {
        "macs": np.append(positions, end[0]),
        "score": np.append(score, end[1]),
    }


def _first_time(curve, goal):
    there = np.flatnonzero(curve["score"] >= goal)
    return float(curve["macs"][there[0]]) if len(there) else math.inf


def _switches(results, rows):
    """`Switch` of every phase but the first, means over runs."""
    of_resolution = {}
    for row in rows.values():
        for resolution, *found in _run_switches(results.epochs[row["id"]]):
            of_resolution.setdefault(resolution, []).append(found)
    switches = []
    for resolution, found in of_resolution.items():
        before, after, recoveries = zip(*found, strict=True)
        there = [epochs for epochs in recoveries if epochs is not None]
        switches.append(
            Switch(
                resolution,
                statistics.mean(before),
                statistics.mean(after),
                statistics.mean(there) if there else math.nan,
                len(there),
                len(found),
            )
        )
    return switches


def _run_switches(epochs):
    """Yields resolution, score before and after, and epochs to recover."""
    for index, epoch in enumerate(epochs):
        if index and epoch.get("at_switch"):
            before = float(epochs[index - 1]["score"])
            later = [float(after["score"]) for after in epochs[index:]]
            back = [n + 1 for n, score in enumerate(later) if score >= before]
            at_switch = float(epoch["at_switch"])
            recovery = back[0] if back else None
            yield epoch["resolution"], before, at_switch, recovery
