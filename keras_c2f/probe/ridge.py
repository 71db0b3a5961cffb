"""A linear classifier with an exact cross-validation, in NumPy.

Ridge regression predicts `H y` from targets `y`, with a matrix `H` that
depends on the features alone. What a model trained without some clips would
say of them follows from `H` of all clips: their residuals are
`(I - H_ff)^-1 (y - H y)_f`, so nothing is trained again.

Reference: Hastie, Tibshirani, Friedman, "The Elements of Statistical
Learning", 2nd edition, equation 7.64, for one clip left out. For a fold the
same holds of a block of `H`. Folds hold equally much of each class: leaving
out one clip at a time makes its class the rarest, and without anything to
learn the accuracy would be below chance.
"""

from typing import NamedTuple

import numpy as np

PENALTIES = tuple(10.0**power for power in range(-3, 4))


class Ridge(NamedTuple):
    """A linear classifier, and what it would have been without each fold.

    Attributes:
        kernel: float64 `(num_features, num_classes)`.
        bias: float64 `(num_classes,)`.
        penalty: float, the one taken.
        left_out: float64 `(n, num_classes)`, predictions for the clips it was
            fitted to, each by a fit without the clips of its fold.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    left_out: np.ndarray


def fit_ridge(features, targets, folds, penalties=PENALTIES, loss=None):
    """Ridge regression from features to targets.

    Features are standardised, the intercept is free, and of the penalties
    the one with the least loss on clips left out is taken.

    Args:
        features: float `(n, num_features)`; constant ones are left out.
        targets: float `(n, num_classes)`.
        folds: int `(n,)`, clips of one number are left out together.
        penalties: sequence of float, on squared weights, for features scaled
            to a sum of variances of 1.
        loss: function of what is said of clips left out, `(n, num_classes)`;
            `None`, the squared error.

    Returns:
        `Ridge`, for features as they are.

    Example:
        >>> x = np.array([[0.0], [1.0], [0.1], [0.9]])
        >>> y = np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])
        >>> fit_ridge(x, y, np.arange(4)).left_out.argmax(axis=1).tolist()
        [0, 1, 0, 1]
    """
    mean = features.mean(axis=0, dtype="float64")
    features = features - mean
    deviation = features.std(axis=0)
    varying = deviation > 1e-9  # rounding errors of a constant
    scale = deviation[varying] * max(varying.sum(), 1) ** 0.5
    features = features[:, varying] / scale
    vectors, variances = _principal(features)
    candidates = [
        _left_out(vectors, variances / (variances + penalty), targets, folds)
        for penalty in penalties
    ]
    loss = loss or (lambda found: np.mean((found - targets) ** 2))
    best = int(np.argmin([loss(found) for found in candidates]))
    duals = vectors / (variances + penalties[best]) @ (vectors.T @ targets)
    kernel = np.zeros((len(varying), targets.shape[1]))
    kernel[varying] = features.T @ duals / scale[:, None]
    bias = targets.mean(axis=0) - mean @ kernel
    return Ridge(kernel, bias, penalties[best], candidates[best])


def _principal(features):
    """Left singular vectors `(n, rank)` of centred features, and variances.

    By way of the smaller of the two products, of clips or of features.
    """
    if len(features) <= features.shape[1]:
        variances, vectors = np.linalg.eigh(features @ features.T)
        return vectors, np.maximum(variances, 0)
    variances, axes = np.linalg.eigh(features.T @ features)
    kept = variances > 1e-10 * variances.max(initial=0)
    variances = variances[kept]
    return features @ axes[:, kept] / variances**0.5, variances


def _left_out(vectors, shrinkage, targets, folds):
    """By `H`, of which only the blocks of the folds are ever made."""
    mean = targets.mean(axis=0)
    shrunk = vectors * shrinkage
    residuals = targets - mean - shrunk @ (vectors.T @ targets)
    for fold in np.unique(folds):
        inside = np.flatnonzero(folds == fold)
        block = shrunk[inside] @ vectors[inside].T + 1 / len(targets)
        block = np.eye(len(inside)) - block
        residuals[inside] = np.linalg.solve(block, residuals[inside])
    return targets - residuals


def folds_of(targets, multi_label, num_folds, rng):
    """Folds that hold equally much of each class, up to one clip.

    Args:
        targets: `(n, num_classes)`.
        multi_label: bool, whether a clip may have several labels; folds then
            hold any clips.
        num_folds: int.
        rng: `numpy.random.Generator`.

    Returns:
        int `(n,)`, from 0 to `num_folds - 1`.
    """
    order = rng.permutation(len(targets))
    if not multi_label:
        labels = targets.argmax(axis=1)
        order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(targets), int)
    folds[order] = np.arange(len(targets)) % num_folds
    return folds
