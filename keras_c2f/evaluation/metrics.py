"""Exact metrics of classifiers: every clip is ranked, nothing is binned."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

TOP = 5


def ranking_scores(
    truth: np.ndarray, scores: np.ndarray
) -> tuple[float, float]:
    """Average precision and area under the ROC curve of one class.

    Clips with the same score enter the ranking together, so their order does
    not matter. Average precision is the sum of precision times gain in
    recall over distinct scores, not interpolated: what AudioSet's results
    are given in, and `average_precision_score` of scikit-learn.

    Args:
        truth: bool `(clips,)`, which are of the class.
        scores: float `(clips,)`, higher where the class is likelier.

    Returns:
        Pair of float, each from 0 to 1. NaN where nothing can be ranked: all
        clips or none are of the class, or a score is NaN.

    Example:
        >>> ranking_scores([True, False, True], [0.9, 0.8, 0.1])
        (0.8333333333333333, 0.5)
    """
    truth, scores = np.asarray(truth, bool), np.asarray(scores)
    positives = int(np.count_nonzero(truth))
    negatives = truth.size - positives
    if not positives or not negatives or np.isnan(scores).any():
        return math.nan, math.nan
    order = np.argsort(-scores)
    scores = scores[order]
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), truth.size - 1)
    hits = np.cumsum(truth[order])[last]  # of clips scored as high or higher
    new_hits = np.diff(hits, prepend=0)
    precision = hits / (last + 1)
    average_precision = float((new_hits * precision).sum() / positives)
    new_misses = np.diff(last + 1 - hits, prepend=0)
    won = (new_misses * (hits - new_hits / 2)).sum()  # pairs; half if tied
    return average_precision, float(won / (positives * negatives))


def d_prime(auc: float) -> float:
    """Sensitivity d' of two equally wide normal distributions with this AUC.

    `sqrt(2) * Phi^-1(AUC)`, as in Gemmeke et al. 2017, "Audio Set".

    Args:
        auc: float from 0 to 1.

    Returns:
        float: 0 at chance, infinite at an AUC of 0 or 1.

    Example:
        >>> round(d_prime(0.95), 4)
        2.3262
    """
    if auc in (0, 1):
        return math.copysign(math.inf, auc - 0.5)
    if math.isnan(auc):
        return math.nan
    return math.sqrt(2) * NormalDist().inv_cdf(auc)


class ExactMetrics:
    """Metrics of a whole evaluation set, fed batch by batch.

    An exact ranking needs every score. They are kept in memory, as float32,
    with the labels as one byte each: AudioSet's 20,000 evaluation clips of 527
    classes take 53 MB.

    Args:
        class_names: sequence of str.
        multi_label: bool, whether a clip may have several labels.

    Example:
        >>> metrics = ExactMetrics(["rain", "dog"], multi_label=False)
        >>> metrics.update([[1, 0], [0, 1]], [[0.9, 0.1], [0.2, 0.8]])
        >>> summary, classes = metrics.result()
        >>> summary["accuracy"], classes[1]["average_precision"]
        (1.0, 1.0)
    """

    def __init__(self, class_names: Sequence[str], multi_label: bool):
        self.class_names = tuple(class_names)
        self.multi_label = multi_label
        size = len(self.class_names)
        self._scores = []  # batches
        self._truth = []
        self._num_clips = 0
        self._confusion = np.zeros((0 if multi_label else size,) * 2, int)
        self._top_hits = 0

    def __len__(self):
        return self._num_clips

    def update(self, targets: np.ndarray, scores: np.ndarray) -> None:
        """Adds a batch.

        Args:
            targets: float `(batch, num_classes)`; a clip is of a class from
                0.5 on.
            scores: float `(batch, num_classes)`, comparable between clips:
                probabilities or a growing function of them, not logits
                of a softmax. Ties go to the first class.
        """
        targets, scores = np.asarray(targets), np.asarray(scores)
        self._truth.append(targets >= 0.5)
        self._scores.append(scores.astype("float32"))
        self._num_clips += len(scores)
        if self.multi_label:
            return
        labels = targets.argmax(-1)
        np.add.at(self._confusion, (labels, scores.argmax(-1)), 1)
        own = np.take_along_axis(scores, labels[:, None], -1)
        earlier = np.arange(scores.shape[-1]) < labels[:, None]
        ahead = (scores > own) | (scores == own) & earlier
        self._top_hits += int((ahead.sum(-1) < TOP).sum())

    def result(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Means over classes, and a row per class.

        Classes without a positive clip, or without a negative one, cannot be
        ranked: their row has NaN, and the means leave them out.

        Returns:
            Pair `(summary, classes)`. `summary` is a dict of `num_clips`;
            `accuracy`, `top_5_accuracy` (of more than five classes) and
            `confusion`, `[truth][prediction]` counts, where clips have one
            label; `mean_average_precision`, `auc`, both means over classes;
            `d_prime` of the mean AUC; `num_ranked_classes`, those in the
            means. `classes` is a list of dicts: `name`, `num_clips` (of the
            class), `average_precision`, `auc`, `d_prime`, and `recall`, the
            share of its clips that were recognised, where clips have one
            label.
        """
        size = len(self.class_names)
        truth = np.concatenate([np.zeros((0, size), bool), *self._truth])
        scores = np.concatenate([np.zeros((0, size), "f4"), *self._scores])
        classes = [
            self._row(index, truth[:, index], scores[:, index])
            for index in range(size)
        ]
        rows = [c for c in classes if 0 < c["num_clips"] < len(self)]
        auc = _mean([row["auc"] for row in rows])
        summary = {
            "num_clips": len(self),
            **self._choices(),
            "mean_average_precision": _mean(
                [row["average_precision"] for row in rows]
            ),
            "auc": auc,
            "d_prime": d_prime(auc),
            "num_ranked_classes": len(rows),
        }
        return summary, classes

    def _choices(self):
        """How often the first guesses are right; only of single labels."""
        if self.multi_label:
            return {}
        hits = int(np.trace(self._confusion))
        choices = {"accuracy": _share(hits, len(self))}
        if len(self.class_names) > TOP:
            choices[f"top_{TOP}_accuracy"] = _share(self._top_hits, len(self))
        return {**choices, "confusion": self._confusion.tolist()}

    def _row(self, index, truth, scores):
        precision, auc = ranking_scores(truth, scores)
        row = {
            "name": self.class_names[index],
            "num_clips": int(np.count_nonzero(truth)),
            "average_precision": precision,
            "auc": auc,
            "d_prime": d_prime(auc),
        }
        if not self.multi_label:
            hits = int(self._confusion[index, index])
            row["recall"] = _share(hits, row["num_clips"])
        return row


def _share(part, whole):
    return part / whole if whole else math.nan


def _mean(values):
    return _share(sum(values), len(values))
