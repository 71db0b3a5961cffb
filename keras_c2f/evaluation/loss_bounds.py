"""How much worse a classifier may be than another on the same clips."""

import math
from statistics import NormalDist

import numpy as np

from keras_c2f.evaluation.metrics import ranking_scores

LEVEL = 0.95  # of confidence, one-sided
GROUPS = 20  # of clips, for a bound on mean average precision
STUDENT = 1.7291  # quantile of `LEVEL` with a degree of freedom less


def paired_loss_bound(lost: int, won: int, num_clips: int) -> float:
    """Upper bound of how much accuracy is lost, at 95 % confidence, from pairs.

    Tango's score bound for the difference of paired proportions. Other than
    one from the standard deviation of the differences, it is not 0 where no
    clip differs: of 100 clips without any, it is 2.6 points.

    Args:
        lost: int, clips that only the first classifier has right.
        won: int, clips that only the second has right.
        num_clips: int.

    Example:
        >>> round(paired_loss_bound(0, 0, 100), 4)
        0.0263

    Reference:
        Tango, "Equivalence test and confidence interval for the difference in
        proportions for the paired-sample design", 1998.
    """
    quantile = NormalDist().inv_cdf(LEVEL)
    low, high = max((lost - won) / num_clips, 0.0), 1.0

    def is_refuted(loss):
        return _tango(lost, won, num_clips, loss) >= quantile

    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if is_refuted(middle) else (middle, high)
    return high


def _tango(lost, won, num_clips, loss):
    """Score statistic against the hypothesis that `loss` is lost."""
    # most likely share of clips won, if the share lost is larger by `loss`
    b = (2 * num_clips - lost + won) * loss - lost - won
    c = won * loss * (1 - loss)
    share = (math.sqrt(b * b + 8 * num_clips * c) - b) / (4 * num_clips)
    variance = num_clips * (2 * share + loss * (1 - loss))
    distance = num_clips * loss - (lost - won)
    return distance / math.sqrt(variance) if variance > 0 else 0.0


def clips_needed(max_loss: float) -> int:
    """Clips for which `paired_loss_bound` can be `max_loss`, if none is lost.

    Example:
        >>> clips_needed(0.005)
        539
    """
    quantile = NormalDist().inv_cdf(LEVEL)
    return math.ceil(quantile**2 * (1 - max_loss) / max_loss)


def ranking_loss_bound(
    finest: np.ndarray, cascade: np.ndarray, truth: np.ndarray
) -> float:
    """Upper confidence bound of how much mean average precision is lost.

    What is lost, and Student's quantile of its standard error, from leaving
    out each of 20 groups of clips in turn (jackknife): a ranking of all clips
    is no mean over clips, and 20 of them take seconds.

    Args:
        finest, cascade: `(clips, num_classes)`, scores to rank by.
        truth: bool `(clips, num_classes)`.
    """
    if np.array_equal(finest, cascade):
        return 0.0

    def loss(rows):
        fine, coarse = (
            _mean_precision(scores[rows], truth[rows])
            for scores in (finest, cascade)
        )
        return fine - coarse

    group = np.arange(len(truth)) % GROUPS
    losses = [loss(group != left_out) for left_out in range(GROUPS)]
    error = math.sqrt((GROUPS - 1) * np.var(losses))
    return float(loss(group >= 0) + STUDENT * error)


def _mean_precision(scores, truth):
    """As `ExactMetrics`: over the classes that can be ranked."""
    counts = truth.sum(0)
    ranked = np.flatnonzero((counts > 0) & (counts < len(truth)))
    return np.mean(
        [ranking_scores(truth[:, c], scores[:, c])[0] for c in ranked]
    )
