"""Metrics against scikit-learn, SciPy and counting by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from keras_c2f.evaluation.metrics import ExactMetrics, d_prime, ranking_scores

pytestmark = pytest.mark.once

CLIPS, CLASSES = 300, 9


def draw(levels, seed=0):
    """Labels and float32 scores that know something of them.

    With `levels` there are no more distinct scores than that: many ties.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, CLIPS)
    scores = rng.normal(size=(CLIPS, CLASSES))
    scores[np.arange(CLIPS), labels] += 1
    if levels:
        edges = np.quantile(scores, np.arange(1, levels) / levels)
        scores = np.digitize(scores, edges)
    return labels, scores.astype("float32")


def measure(targets, scores, multi_label, batch=7):
    names = [f"class {k}" for k in range(scores.shape[1])]
    metrics = ExactMetrics(names, multi_label)
    for start in range(0, len(scores), batch):
        part = slice(start, start + batch)
        metrics.update(targets[part], scores[part])
    return metrics.result()


@pytest.mark.parametrize("levels", [None, 100, 4, 2, 1])
@pytest.mark.parametrize("clips", [2, 3, 50, 20_000])
def test_one_class_equals_scikit_learn(clips, levels):
    rng = np.random.default_rng(clips)
    truth = rng.random(clips) < 0.2
    truth[:2] = [False, True]
    scores = rng.random(clips).astype("float32")
    if levels:
        scores = np.floor(scores * levels) - levels / 2
    precision, auc = ranking_scores(truth, scores)
    expected = oracle.average_precision_score(truth, scores)
    assert precision == pytest.approx(expected, abs=1e-12)
    expected = oracle.roc_auc_score(truth, scores)
    assert auc == pytest.approx(expected, abs=1e-12)


def test_ranking_does_not_overflow():
    """Two million clips have 10**12 pairs, beyond 32 bits."""
    truth = np.arange(2_000_000) % 2 == 0
    _, auc = ranking_scores(truth, truth.astype("float32"))
    assert auc == 1
    _, auc = ranking_scores(truth, np.zeros(truth.size, "float32"))
    assert auc == 0.5


@pytest.mark.parametrize("levels", [None, 4, 1])
@pytest.mark.parametrize("multi_label", [False, True])
def test_means_equal_scikit_learn(multi_label, levels):
    labels, scores = draw(levels)
    targets = np.eye(CLASSES)[labels]
    if multi_label:
        targets = np.maximum(targets, np.eye(CLASSES)[labels[::-1]])
    summary, classes = measure(targets, scores, multi_label)
    precision = oracle.average_precision_score(targets, scores, average=None)
    auc = oracle.roc_auc_score(targets, scores, average=None)
    for name, expected in (
        ("average_precision", precision),
        ("auc", auc),
        ("num_clips", targets.sum(0)),
        ("d_prime", math.sqrt(2) * stats.norm.ppf(auc)),
    ):
        found = [row[name] for row in classes]
        np.testing.assert_allclose(found, expected, atol=1e-9, err_msg=name)
    for name, expected in (
        ("mean_average_precision", precision.mean()),
        ("auc", auc.mean()),
        ("d_prime", math.sqrt(2) * stats.norm.ppf(auc.mean())),
    ):
        assert summary[name] == pytest.approx(expected, abs=1e-9), name
    assert summary["num_clips"] == CLIPS
    assert summary["num_ranked_classes"] == CLASSES
    single = ("accuracy", "top_5_accuracy", "confusion")
    assert all((name in summary) != multi_label for name in single)
    assert ("recall" in classes[0]) != multi_label


@pytest.mark.parametrize("levels", [None, 4, 1])
def test_first_guesses_equal_scikit_learn(levels):
    labels, scores = draw(levels)
    summary, classes = measure(np.eye(CLASSES)[labels], scores, False)
    guesses = scores.argmax(-1)
    assert summary["accuracy"] == oracle.accuracy_score(labels, guesses)
    matrix = oracle.confusion_matrix(labels, guesses, labels=range(CLASSES))
    assert summary["confusion"] == matrix.tolist()
    recall = oracle.recall_score(labels, guesses, average=None)
    np.testing.assert_allclose([row["recall"] for row in classes], recall)
    expected = oracle.top_k_accuracy_score(
        # ties go to its last class and to our first
        CLASSES - 1 - labels,
        scores[:, ::-1],
        k=5,
        labels=range(CLASSES),
    )
    assert summary["top_5_accuracy"] == pytest.approx(expected, abs=1e-12)


def test_five_classes_have_no_top_5():
    summary, _ = measure(np.eye(5), np.eye(5), False)
    assert summary["accuracy"] == 1 and "top_5_accuracy" not in summary


def test_classes_that_cannot_be_ranked_are_left_out_and_counted():
    labels, scores = draw(None)
    targets = np.eye(CLASSES)[labels]
    targets[:, 2], targets[:, 5] = 0, 1
    summary, classes = measure(targets, scores, True)
    kept = [k for k in range(CLASSES) if k not in (2, 5)]
    expected = oracle.average_precision_score(targets[:, kept], scores[:, kept])
    assert summary["mean_average_precision"] == pytest.approx(expected)
    assert summary["num_ranked_classes"] == CLASSES - 2
    assert classes[2]["num_clips"] == 0 and classes[5]["num_clips"] == CLIPS
    for index in (2, 5):
        assert math.isnan(classes[index]["average_precision"])
        assert math.isnan(classes[index]["d_prime"])


def test_nothing_to_rank_is_not_a_number():
    summary, classes = measure(np.eye(3)[[1]], np.ones((1, 3)), False)
    assert summary["num_ranked_classes"] == 0 and summary["accuracy"] == 0
    for name in ("mean_average_precision", "auc", "d_prime"):
        assert math.isnan(summary[name])
    assert math.isnan(classes[0]["recall"]) and classes[1]["recall"] == 0


def test_scores_that_are_not_numbers_are_not_ranked():
    labels, scores = draw(None)
    scores[3, 4] = np.nan
    summary, classes = measure(np.eye(CLASSES)[labels], scores, True)
    unranked = [math.isnan(row["auc"]) for row in classes]
    assert unranked == [index == 4 for index in range(CLASSES)]
    assert math.isnan(summary["mean_average_precision"])  # not a better one


@pytest.mark.parametrize("auc", [1e-6, 0.5, 0.7, 0.975, 1 - 1e-9])
def test_d_prime(auc):
    expected = math.sqrt(2) * stats.norm.ppf(auc)
    assert d_prime(auc) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_d_prime_is_infinite_for_a_perfect_ranking():
    assert d_prime(1.0) == math.inf and d_prime(0.0) == -math.inf
