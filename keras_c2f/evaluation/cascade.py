"""When a coarse answer will do: temperatures, a threshold, and what it costs.

A cascade looks at a clip coarsely first. If it is sure, that is the answer;
else it looks again, finer. It is sure where its confidence, the share of
labels that it expects to be right, reaches a threshold.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_c2f.evaluation.loss_bounds import (
    LEVEL,
    clips_needed,
    paired_loss_bound,
    ranking_loss_bound,
)
from keras_c2f.evaluation.metrics import ExactMetrics

MAX_LOSS = 0.005
LARGEST_TEMPERATURE = 20.0
# Fixed before any clip is seen, from nearly sure to not at all.
THRESHOLDS = tuple(1 - 10.0 ** -(k / 8) for k in range(48, 0, -1))


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What decides in a cascade, and what it did on the clips that chose it.

    Attributes:
        resolutions: tuple of str, coarse to fine.
        temperatures: tuple of float, what logits are divided by at each.
        threshold: float, the confidence from which on an answer stands, or
            `None`: every clip goes on to the finest resolution.
        max_loss: float, how much of the metric was allowed to be lost.
        metric: str, `"accuracy"` or `"mean_average_precision"`.
        gmacs: tuple of float, 10^9 multiply-accumulates of a look at each.
        finest, cascade: float, the metric at the finest resolution alone, and
            with the cascade.
        loss_bound: float, upper bound of what is lost, at a confidence of
            95 %: see `paired_loss_bound` and `ranking_loss_bound`.
        num_clips: int.
        shares: tuple of float, share of the clips that ends at each.
    """

    resolutions: tuple[str, ...]
    temperatures: tuple[float, ...]
    threshold: float | None
    max_loss: float
    metric: str
    gmacs: tuple[float, ...]
    finest: float = 0.0
    cascade: float = 0.0
    loss_bound: float = 0.0
    num_clips: int = 0
    shares: tuple[float, ...] = ()

    def __post_init__(self):
        for field in ("resolutions", "temperatures", "shares", "gmacs"):
            object.__setattr__(self, field, tuple(getattr(self, field)))

    @property
    def relative_cost(self) -> float:
        """float, mean cost of a clip over that of the finest look alone."""
        return relative_cost(self.shares, self.gmacs, self.threshold)

    def __str__(self):
        if self.threshold is None:
            points = f"at most {100 * self.max_loss:g} points are lost"
            enough = clips_needed(self.max_loss)
            reason = f"no threshold saves compute and shows that {points}"
            if self.metric == "accuracy" and self.num_clips < enough:
                reason = (
                    f"{self.num_clips} clips are too few to show that "
                    f"{points}; {enough} or more are needed"
                )
            return f"Every clip goes on to {self.resolutions[-1]}: {reason}."
        ends = ", ".join(
            f"{share:.1%} at {resolution}"
            for resolution, share in zip(
                self.resolutions, self.shares, strict=True
            )
        )
        return (
            f"Clips end: {ends}. A clip costs {self.relative_cost:.1%} of a "
            f"look at {self.resolutions[-1]}. With {LEVEL:.0%} confidence at "
            f"most {100 * self.loss_bound:.2f} points are lost."
        )

    def applied_to(
        self, logits: np.ndarray, targets: np.ndarray, multi_label: bool
    ) -> Calibration:
        """The same temperatures and threshold with the figures of other clips.

        Args:
            logits, targets, multi_label: as in `calibrate`.
        """
        truth = np.asarray(targets) >= 0.5
        temperatures = np.reshape(self.temperatures, (-1, 1, 1))
        looks = np.asarray(logits, "float64") / temperatures
        trials = Trials(looks, truth, multi_label, self.gmacs)
        return with_figures(self, trials)

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Calibration:
        """`Calibration` of what `to_dict` returned.

        Raises:
            ValueError: if it is something else.
        """
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(
                "The calibration of the cascade cannot be read: it was not "
                f"written by this version of keras_c2f. ({error})"
            ) from None


def calibrate(
    logits: np.ndarray,
    targets: np.ndarray,
    resolutions: Sequence[str],
    gmacs: Sequence[float],
    multi_label: bool,
    max_loss: float = MAX_LOSS,
) -> tuple[Calibration, list[dict[str, Any]]]:
    """Chooses temperatures and a threshold on clips that were not trained on.

    A temperature minimises the cross-entropy at its resolution. Thresholds
    are tried from the strictest on, at which no clip ends early, and the last
    one is taken before the first for which more than `max_loss` may be lost
    at a confidence of 95 %: of a sequence that is fixed beforehand, each can
    be tested at the full level (fixed-sequence testing). The bound is
    conditional on the temperatures, which the same clips chose.

    Args:
        logits: `(resolutions, clips, num_classes)`.
        targets: `(clips, num_classes)`; a clip is of a class from 0.5 on.
        resolutions: sequence of str, coarse to fine.
        gmacs: sequence of float, cost of a look at each resolution.
        multi_label: bool, whether a clip may have several labels.
        max_loss: float, what may be lost: accuracy, or mean average precision
            where clips have several labels, from 0 to 1.

    Returns:
        `Calibration`, and a dict for each threshold, strictest first:
        `threshold`, the metric, `share_on`, clips that go on from the first
        look, and `relative_cost`.

    Raises:
        ValueError: if `max_loss` is not between 0 and 1.

    References:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, for
        temperatures; Angelopoulos et al., "Learn then Test", 2021, section
        2, for fixed sequences.
    """
    if not 0 < max_loss < 1:
        raise ValueError(
            "`max_loss` is a part of the metric that may be lost, such as "
            f"0.005 for half a point. Received: {max_loss}."
        )
    logits, truth = np.asarray(logits, "float64"), np.asarray(targets) >= 0.5
    temperatures = [fit_temperature(z, truth, multi_label) for z in logits]
    looks = logits / np.reshape(temperatures, (-1, 1, 1))
    trials = Trials(looks, truth, multi_label, gmacs)
    chosen, holds = None, True
    for threshold in THRESHOLDS:
        trial = trials.at(threshold)
        holds = holds and trials.loss_bound(trial) <= max_loss
        if holds and trial["relative_cost"] < 1:
            chosen = threshold
    calibration = Calibration(
        resolutions=tuple(resolutions),
        temperatures=tuple(temperatures),
        threshold=chosen,
        max_loss=max_loss,
        metric=trials.metric,
        gmacs=tuple(gmacs),
    )
    return with_figures(calibration, trials), trials.curve()


def with_figures(calibration, trials):
    """The `Calibration` with the figures of the clips of `Trials`."""
    trial = trials.at(calibration.threshold)
    return dataclasses.replace(
        calibration,
        finest=trials.at(None)[trials.metric],
        cascade=trial[trials.metric],
        loss_bound=trials.loss_bound(trial),
        num_clips=len(trials.truth),
        shares=shares_of(trial["ended"], len(trials.looks)),
    )


class Trials:
    """What a cascade does with thresholds on given clips.

    Args:
        looks: float64 `(resolutions, clips, num_classes)`, logits divided by
            their temperatures.
        truth: bool `(clips, num_classes)`.
        multi_label: bool.
        gmacs: sequence of float.
    """

    def __init__(self, looks, truth, multi_label, gmacs):
        self.looks, self.truth = looks, truth
        self.multi_label = multi_label
        self.gmacs = gmacs
        self.metric = "mean_average_precision" if multi_label else "accuracy"
        self._sure = np.stack([confidence(z, multi_label) for z in looks])
        self._made = {}
        self._bounds = {}

    def at(self, threshold):
        """dict of a threshold: where clips `ended`, the metric and costs."""
        ended = ends_at(self._sure, threshold)
        shares = shares_of(ended, len(self.looks))
        key = ended.tobytes()
        if key not in self._made:
            self._made[key] = {
                "ended": ended,
                self.metric: self._score(answers(self.looks, ended)),
                "share_on": 1 - shares[0],
            }
        cost = relative_cost(shares, self.gmacs, threshold)
        return {
            "threshold": threshold,
            **self._made[key],
            "relative_cost": cost,
        }

    def loss_bound(self, trial):
        """float, upper bound of what is lost against the finest look."""
        key = trial["ended"].tobytes()
        if key not in self._bounds:
            cascade = answers(self.looks, trial["ended"])
            bound = ranking_loss_bound if self.multi_label else right_loss_bound
            self._bounds[key] = bound(self.looks[-1], cascade, self.truth)
        return self._bounds[key]

    def curve(self):
        """list of dicts, a row for each threshold that makes a difference."""
        rows = [self.at(threshold) for threshold in (None, *THRESHOLDS)]
        rows = [
            row
            for before, row in zip([None, *rows], rows, strict=False)
            if before is None or (before["ended"] != row["ended"]).any()
        ]
        return [{k: v for k, v in r.items() if k != "ended"} for r in rows]

    def _score(self, scores):
        size = self.truth.shape[1]
        metrics = ExactMetrics(range(size), self.multi_label)
        metrics.update(self.truth, log_scores(scores, self.multi_label))
        return metrics.result()[0][self.metric]


def log_scores(logits, multi_label):
    """Log-probabilities, or log-odds where clips have several labels."""
    if multi_label:
        return logits
    return logits - np.logaddexp.reduce(logits, -1, keepdims=True)


def cross_entropy(targets, scores, multi_label):
    """float `(clips,)`; binary, and averaged over classes, if `multi_label`.

    Args:
        targets: `(clips, num_classes)`, from 0 to 1.
        scores: what `log_scores` returns.
        multi_label: bool, whether a clip may have several labels.
    """
    if multi_label:
        return (np.logaddexp(0, scores) - targets * scores).mean(-1)
    return -(targets * scores).sum(-1)


def confidence(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """Share of the labels that are expected to be right, if calibrated.

    Args:
        logits: `(clips, num_classes)`, divided by their temperature.
        multi_label: bool.

    Returns:
        float64 `(clips,)`: the largest probability, or where clips have
        several labels the mean over the classes of the larger of p and 1 - p.
    """
    logits = np.asarray(logits, "float64")
    if multi_label:
        return np.mean(1 / (1 + np.exp(-np.abs(logits))), axis=-1)
    return np.exp(log_scores(logits, False).max(-1))


def ends_at(sure, threshold):
    """int `(clips,)`: index of the look at which each clip ends.

    Args:
        sure: `(looks, clips)`, confidence at each.
        threshold: float, or `None`: all end at the last.
    """
    last = len(sure) - 1
    if threshold is None:
        return np.full(sure.shape[1], last)
    stands = sure >= threshold
    stands[last] = True
    return stands.argmax(0)


def answers(looks, ended):
    """`(clips, num_classes)`: the look of each clip at which it ended."""
    return looks[ended, np.arange(len(ended))]


def shares_of(ended, num_looks):
    """list of float: share of the clips that ended at each look."""
    return (np.bincount(ended, minlength=num_looks) / len(ended)).tolist()


def relative_cost(
    shares: Iterable[float], gmacs: Sequence[float], threshold: float | None
) -> float:
    """Mean cost of a clip over that of the finest look alone.

    Args:
        shares: share of the clips that ended at each look.
        gmacs: cost of each look. A clip costs all up to that where it ends.
        threshold: float, or `None`: the finest look is the only one.
    """
    if threshold is None:
        return 1.0
    return float(np.dot(list(shares), np.cumsum(gmacs)) / gmacs[-1])


def fit_temperature(
    logits: np.ndarray, targets: np.ndarray, multi_label: bool
) -> float:
    """The temperature with the least cross-entropy, between 1/20 and 20.

    Args:
        logits: `(clips, num_classes)`.
        targets: `(clips, num_classes)`, 0 or 1.
        multi_label: bool.
    """
    targets = np.asarray(targets, "float64")

    def loss(log_temperature):
        scores = log_scores(logits / math.exp(log_temperature), multi_label)
        return cross_entropy(targets, scores, multi_label).mean()

    # convex in 1 / temperature, so one minimum on any scale
    low, high = (sign * math.log(LARGEST_TEMPERATURE) for sign in (-1, 1))
    while high - low > 1e-4:
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def right_loss_bound(finest, cascade, truth):
    """`paired_loss_bound` of the answers of two classifiers."""
    label = truth.argmax(-1)
    fine, coarse = (scores.argmax(-1) == label for scores in (finest, cascade))
    lost, won = (fine & ~coarse).sum(), (coarse & ~fine).sum()
    return paired_loss_bound(int(lost), int(won), len(label))
