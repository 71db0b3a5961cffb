"""Closed-form cross-validation against models that are trained again."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import StandardScaler

from keras_c2f.probe.ridge import fit_ridge, folds_of

pytestmark = pytest.mark.once


def made(num_features, n=60, num_classes=3, constant=0):
    """Features of very different scale, and targets that they hint at."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % num_classes
    features = rng.normal(size=(n, num_features)) + labels[:, None] / 3
    features *= 10.0 ** rng.uniform(-3, 3, num_features)
    features = np.hstack([features, np.full((n, constant), 0.1)])
    return features, np.eye(num_classes)[labels]


def trained_again(features, targets, folds, penalty):
    """scikit-learn, once per fold."""
    features = StandardScaler().fit_transform(features)
    # the penalty is for a sum of variances of 1, theirs for one of p
    model = Ridge(alpha=penalty * features.shape[1])
    split = PredefinedSplit(folds)
    return cross_val_predict(model, features, targets, cv=split)


@pytest.mark.parametrize("num_features", [5, 200])  # fewer, more than clips
@pytest.mark.parametrize("num_folds", [4, 60])  # 60: one clip at a time
def test_equals_models_trained_without_the_clips(num_features, num_folds):
    features, targets = made(num_features)
    folds = np.arange(60) % num_folds
    for penalty in (1e-2, 1, 100):
        found = fit_ridge(features, targets, folds, [penalty]).left_out
        expected = trained_again(features, targets, folds, penalty)
        np.testing.assert_allclose(found, expected, atol=1e-8)  # conditioning


def test_classes_are_those_of_scikit_learn():
    features, targets = made(20)
    folds = np.arange(60) % 10
    found = fit_ridge(features, targets, folds, [0.1]).left_out.argmax(axis=1)
    expected = cross_val_predict(
        RidgeClassifier(alpha=0.1 * 20),
        StandardScaler().fit_transform(features),
        targets.argmax(axis=1),
        cv=PredefinedSplit(folds),
    )
    assert found.tolist() == expected.tolist()
    assert 0.4 < np.mean(found == targets.argmax(axis=1)) < 1


def test_takes_the_penalty_with_the_least_error():
    features, targets = made(100)
    folds = np.arange(60) % 6
    penalties = [1e-3, 1e-1, 10, 1000]
    tried = [trained_again(features, targets, folds, p) for p in penalties]
    best = np.argmin([np.square(one - targets).mean() for one in tried])
    assert 0 < best < 3
    found = fit_ridge(features, targets, folds, penalties).left_out
    np.testing.assert_allclose(found, tried[best], atol=1e-8)


def test_constant_features_say_nothing():
    features, targets = made(5, constant=3)
    folds = np.arange(60) // 12  # four of each class
    found = fit_ridge(features, targets, folds).left_out
    expected = fit_ridge(features[:, :5], targets, folds).left_out
    np.testing.assert_allclose(found, expected, atol=1e-10)
    nothing = fit_ridge(features[:, 5:], targets, folds).left_out
    np.testing.assert_allclose(nothing, 1 / 3, atol=1e-12)


def test_folds_hold_equally_much_of_each_class():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(4), [23, 40, 7, 1]))
    folds = folds_of(np.eye(4)[labels], False, 5, rng)
    counts = np.zeros((4, 5), int)
    np.add.at(counts, (labels, folds), 1)
    assert (np.ptp(counts, axis=1) <= 1).all()
    assert np.ptp(counts.sum(axis=0)) <= 1
    assert counts.sum(axis=1).tolist() == [23, 40, 7, 1]
    other = folds_of(np.eye(4)[labels], False, 5, rng)
    assert (folds != other).any()
