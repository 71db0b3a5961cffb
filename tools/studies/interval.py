"""How far a mean of paired differences may be off.

Parts and seeds are crossed: each part is learned with each seed, and the runs
of a part share its clips as those of a seed share their first weights. An
interval therefore counts both, by the two-way random-effects analysis of
variance that studies of many readers and many cases use (Dorfman, Berbaum and
Metz, "Receiver operating characteristic rating analysis: generalization to the
population of readers and patients with the jackknife method", Investigative
Radiology 1992). Folds share clips to train on, which still makes it too narrow
(Bengio and Grandvalet, "No unbiased estimator of the variance of K-fold
cross-validation", JMLR 2004).
"""

import math
import statistics
from dataclasses import dataclass

import numpy as np

from keras_c2f.utils.optional import scipy_stats


@dataclass(frozen=True)
class Interval:
    """A mean, and Student's 95 % interval around it.

    Attributes:
        mean: float.
        low, high: float, NaN if there is a single value.
        parts, seeds: int, how many of them the interval counts; 1 where it
            knows nothing of their spread.
    """

    mean: float
    low: float
    high: float
    parts: int
    seeds: int


def interval(values):
    """`Interval` of the mean of paired differences.

    With `V_p` the variance of the mean that the spread of parts alone implies,
    `V_s` that of seeds and `V_e` that of what neither explains, the variance
    is `V_p + V_s - V_e`, though never below `V_p` or `V_s`. Its degrees of
    freedom are Satterthwaite's without the term of `V_e`, which would bring
    them near 0, and no fewer than the smaller of parts - 1 and seeds - 1.
    Where not every part has run with every seed, seeds are averaged and parts
    alone counted; with a single part, seeds.

    Args:
        values: dict from `(held_out, seed)` to float.
    """
    parts = sorted({part for part, _ in values})
    seeds = sorted({seed for _, seed in values})
    if len(values) == len(parts) * len(seeds):
        table = np.array([[values[p, s] for s in seeds] for p in parts])
    else:
        table = np.array([[mean] for mean in by_part(values).values()])
    mean = float(table.mean())
    half = _half_width(table) if table.size > 1 else math.nan
    return Interval(mean, mean - half, mean + half, *table.shape)


def by_part(values):
    """Means over seeds: `{(held_out, seed): float}` -> `{held_out: float}`."""
    parts = {}
    for (held_out, _), value in values.items():
        parts.setdefault(held_out, []).append(value)
    return {part: statistics.mean(values) for part, values in parts.items()}


def _half_width(table):
    """Of the interval around the mean of `(parts, seeds)` differences."""
    part_means = table.mean(axis=1, keepdims=True)
    seed_means = table.mean(axis=0, keepdims=True)
    residuals = table - part_means - seed_means + table.mean()
    part_freedom, seed_freedom = table.shape[0] - 1, table.shape[1] - 1
    # each a mean square over the number of runs
    part_variance = _mean_variance(part_means)
    seed_variance = _mean_variance(seed_means)
    rest = (residuals**2).sum() / max(1, part_freedom * seed_freedom)
    variance = max(
        part_variance,
        seed_variance,
        part_variance + seed_variance - rest / table.size,
    )
    if not variance:
        return 0.0
    freedom = variance**2 / (
        part_variance**2 / max(1, part_freedom)
        + seed_variance**2 / max(1, seed_freedom)
    )
    freedom = max(freedom, min(part_freedom, seed_freedom))
    return float(scipy_stats.t.ppf(0.975, freedom) * math.sqrt(variance))


def _mean_variance(means):
    """Variance of the mean of these; 0 of one, which says nothing."""
    return means.var(ddof=1) / means.size if means.size > 1 else 0.0
