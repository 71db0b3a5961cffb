"""Thresholds of cascades, and the bound on what they lose."""

import numpy as np
import pytest

from keras_c2f.evaluation.cascade import (
    Calibration,
    calibrate,
    fit_temperature,
)
from keras_c2f.evaluation.loss_bounds import (
    clips_needed,
    paired_loss_bound,
    ranking_loss_bound,
)
from keras_c2f.evaluation.metrics import ranking_scores

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
GMACS = (0.24, 1.0)
TEXTS = ("pool:4", "full")


def clips(count, coarse_noise=1.0, classes=10, seed=0):
    """Logits of a good and a noisier network, and targets."""
    rng = np.random.default_rng(seed)
    targets = np.eye(classes)[rng.integers(0, classes, count)]
    fine = rng.normal(size=targets.shape) + 4 * targets
    coarse = fine + coarse_noise * rng.normal(size=targets.shape)
    return np.stack([coarse, fine]), targets


def test_the_most_likely_share_is_that_of_a_search():
    """Tango's statistic, with the restricted maximum found on a grid."""
    from keras_c2f.evaluation.loss_bounds import _tango

    lost, won, number, loss = 7, 3, 200, 0.05
    share = np.linspace(1e-6, (1 - loss) / 2 - 1e-6, 1_000_001)
    likelihood = (
        lost * np.log(share + loss)
        + won * np.log(share)
        + (number - lost - won) * np.log(1 - 2 * share - loss)
    )
    best = share[likelihood.argmax()]
    variance = number * (2 * best + loss - loss**2)
    expected = (number * loss - (lost - won)) / np.sqrt(variance)
    assert _tango(lost, won, number, loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "lost, won, number",
    [(0.015, 0.01, 800), (0.005, 0, 800), (0.03, 0.025, 400)],
)
def test_the_bound_holds_in_19_of_20_samples(lost, won, number):
    draws = RNG.multinomial(number, [lost, won, 1 - lost - won], 2000)
    bounds = [paired_loss_bound(int(a), int(b), number) for a, b, _ in draws]
    # three standard errors of 2000 draws below 95 %
    assert np.mean(np.array(bounds) >= lost - won) > 0.935


def test_clips_needed_is_where_the_bound_falls_below():
    enough = clips_needed(0.01)
    assert paired_loss_bound(0, 0, enough) <= 0.01
    assert paired_loss_bound(0, 0, enough - 1) > 0.01


def test_the_bound_on_rankings_holds():
    def draw(number, rng):
        truth = rng.random((number, 4)) < 0.3
        fine = rng.normal(size=truth.shape) + 1.5 * truth
        return fine, fine + 0.5 * rng.normal(size=truth.shape), truth

    def mean_precision(scores, truth):
        return np.mean([ranking_scores(*c)[0] for c in zip(truth.T, scores.T)])  # noqa: B905

    fine, coarse, truth = draw(40_000, RNG)
    lost = mean_precision(fine, truth) - mean_precision(coarse, truth)
    bounds = [ranking_loss_bound(*draw(400, RNG)) for _ in range(60)]
    # three standard errors of 60 draws below 95 %; and it is no wide guess
    assert np.mean(np.array(bounds) >= lost) > 0.86
    assert np.median(bounds) < 2 * lost


@pytest.mark.parametrize("multi_label", [False, True])
def test_temperature_undoes_a_scale(multi_label):
    """Labels drawn from probabilities: these logits are calibrated."""
    logits = 2 * RNG.normal(size=(20_000, 3))
    if multi_label:
        targets = RNG.random(logits.shape) < 1 / (1 + np.exp(-logits))
    else:
        targets = np.eye(3)[(logits + RNG.gumbel(size=logits.shape)).argmax(-1)]
    found = fit_temperature(3 * logits, targets, multi_label)
    assert found == pytest.approx(3, rel=0.05)  # of 20,000 draws


def test_the_threshold_is_the_last_that_holds():
    logits, targets = clips(3000)
    calibration, curve = calibrate(logits, targets, TEXTS, GMACS, False)
    assert calibration.threshold is not None
    assert calibration.loss_bound <= 0.005
    index = [row["threshold"] for row in curve].index(calibration.threshold)
    row, laxer = curve[index : index + 2]
    # by hand, from softmax of tempered logits
    tempered = logits / np.reshape(calibration.temperatures, (2, 1, 1))
    powers = np.exp(tempered - tempered.max(-1, keepdims=True))
    sure = (powers / powers.sum(-1, keepdims=True)).max(-1)[0]
    right = logits.argmax(-1) == targets.argmax(-1)

    def at(threshold):
        answer = np.where(sure >= threshold, right[0], right[1])
        bound = paired_loss_bound(
            int((right[1] & ~answer).sum()),
            int((~right[1] & answer).sum()),
            len(answer),
        )
        return answer.mean(), bound

    assert at(calibration.threshold)[0] == pytest.approx(calibration.cascade)
    assert at(calibration.threshold)[1] <= 0.005 < at(laxer["threshold"])[1]
    share = (sure < calibration.threshold).mean()
    assert row["share_on"] == pytest.approx(share)
    assert calibration.shares == pytest.approx((1 - share, share))
    assert calibration.relative_cost == pytest.approx(0.24 + share)


def test_a_threshold_behind_one_that_fails_is_not_taken():
    """Sure of what it has wrong, and right where it is unsure."""
    lost, won, number = 40, 200, 2000
    coarse, fine = np.ones((2, number))
    coarse[:lost], coarse[lost : lost + won] = -12, 2
    fine[lost : lost + won] = -1
    logits = np.stack([[coarse, 0 * coarse], [fine, 0 * fine]]).swapaxes(1, 2)
    targets = np.tile([1, 0], (number, 1))
    assert paired_loss_bound(lost, won, number) < 0.005  # the laxest alone
    calibration, _ = calibrate(logits, targets, TEXTS, GMACS, False)
    assert calibration.threshold is None


def test_the_promise_is_kept_on_other_clips():
    """At most one in twenty calibrations loses more than it may."""
    broken = 0
    others = clips(20_000, seed=1)
    for seed in range(2, 22):
        calibration, _ = calibrate(*clips(1000, seed=seed), TEXTS, GMACS, False)
        kept = calibration.applied_to(*others, False)
        assert kept.num_clips == 20_000
        broken += kept.finest - kept.cascade > 0.005
    assert broken <= 3  # of 20; chance of more is below 2 % if 5 % break


def test_too_few_clips_or_a_poor_network_go_on_always():
    for number, noise, words in (
        (300, 0.0, "539 or more are needed"),
        (3000, 50.0, "no threshold saves compute"),
    ):
        calibration, _ = calibrate(*clips(number, noise), TEXTS, GMACS, False)
        assert calibration.threshold is None
        assert calibration.relative_cost == 1
        assert calibration.shares == (0, 1)
        assert words in str(calibration)


def test_several_labels_are_judged_by_their_ranking():
    rng = np.random.default_rng(0)
    truth = rng.random((600, 6)) < 0.3
    fine = 2 * rng.normal(size=truth.shape) + 3 * truth
    coarse = fine + 0.05 * rng.normal(size=truth.shape)
    calibration, curve = calibrate(
        np.stack([coarse, fine]), truth, TEXTS, GMACS, True
    )
    assert calibration.metric == "mean_average_precision"
    assert calibration.relative_cost < 1
    assert calibration.finest - calibration.cascade < 0.005
    assert curve[0]["mean_average_precision"] == calibration.finest


def test_a_calibration_survives_json():
    calibration, _ = calibrate(*clips(100), TEXTS, GMACS, False, 0.5)
    assert Calibration.from_dict(calibration.to_dict()) == calibration
    with pytest.raises(ValueError, match="cannot be read"):
        Calibration.from_dict({"threshold": 0.5})
    with pytest.raises(ValueError, match="0.005 for half a point"):
        calibrate(*clips(10), TEXTS, GMACS, False, 50)
