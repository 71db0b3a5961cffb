"""Cascades: what they answer, what they compute, and what they promise."""

import keras
import numpy as np
import pytest

from keras_c2f import AST, AudioClassifier, Frontend
from keras_c2f.cost import count_macs
from keras_c2f.evaluation import Calibration
from keras_c2f.inference import Cascade, Classifier
from keras_c2f.inference.classifier import classifier_of
from keras_c2f.models.metadata import ClassifierInfo
from keras_c2f.phases import at_resolution

FRONTEND = Frontend(num_mel_bins=16)
NUM_SAMPLES = 400 + 63 * 160  # 64 frames
TEXTS = ["pool:4", "pool:2", "full"]
TEMPERATURES = (0.5, 2.0, 1.5)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    backbone = AST(
        num_frames=64,
        num_mel_bins=16,
        patch_size=(4, 16),
        width=8,
        depth=1,
        num_heads=2,
    )
    return AudioClassifier(backbone, 3, frontend=FRONTEND)


def make_cascade(network, threshold=None, multi_label=False, texts=TEXTS):
    info = ClassifierInfo(
        ("a", "b", "c"), 16000, NUM_SAMPLES, multi_label=multi_label
    )
    cascade = Cascade(classifier_of(network, FRONTEND, info), texts)
    calibration = Calibration(
        *(texts, TEMPERATURES[-len(texts) :], threshold),
        max_loss=0.005,
        metric="accuracy",
        gmacs=cascade.gmacs,
    )
    return Cascade(cascade, texts, calibration)


def audio(count=12):
    rng = np.random.default_rng(0)
    loudness = rng.uniform(0, 0.3, (count, 1))
    tones = np.sin(np.outer(rng.uniform(0.01, 1, count), range(NUM_SAMPLES)))
    return (loudness * tones).astype("float32")


def scores_at(network, text, temperature, multi_label=False):
    """From a classifier at one resolution, without a cascade."""
    info = ClassifierInfo(("a", "b", "c"), 16000, NUM_SAMPLES, multi_label=True)
    copy = at_resolution(network, text)
    odds = classifier_of(copy, FRONTEND, info).scores(audio()).astype("float64")
    logits = np.log(odds / (1 - odds)) / temperature
    if multi_label:
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits)
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.once
@pytest.mark.parametrize("multi_label", [False, True])
def test_each_window_has_the_scores_of_where_it_ended(network, multi_label):
    looks = np.stack(
        [
            scores_at(network, *look, multi_label)
            for look in zip(TEXTS, TEMPERATURES, strict=True)
        ]
    )
    sure = looks.max(-1)
    if multi_label:
        sure = np.maximum(looks, 1 - looks).mean(-1)
    threshold = float(np.median(sure[0]))
    ended = np.where(
        sure[0] >= threshold, 0, np.where(sure[1] >= threshold, 1, 2)
    )
    assert set(ended) >= {0, 2}
    cascade = make_cascade(network, threshold, multi_label)
    np.testing.assert_allclose(
        # atol: logits from float32 scores
        *(cascade.scores(audio()), looks[ended, range(len(ended))]),
        atol=1e-5,
    )
    assert list(cascade.num_ended) == [sum(ended == i) for i in range(3)]
    macs = np.cumsum(
        [count_macs(at_resolution(network, text)) for text in TEXTS]
    )
    assert cascade.relative_cost == pytest.approx(
        macs[ended].mean() / (macs[2] - macs[1])
    )


def test_a_stream_ends_where_the_coarse_look_is_sure(network):
    """One window at a time; only the unsure ones reach the finest network."""
    cascade = make_cascade(network, 0.0)
    calls = []
    last = cascade._looks[-1].network
    last.predict_on_batch = lambda batch: calls.append(len(batch))
    windows = list(cascade.predict(audio().ravel()))
    assert len(windows) == 12 and not calls
    assert list(cascade.num_ended) == [12, 0, 0]
    expected = scores_at(network, "pool:4", TEMPERATURES[0])
    found = np.stack([window.scores for window in windows])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_a_threshold_the_finest_look_is_the_only_one(network):
    cascade = make_cascade(network)
    found = cascade.scores(audio())
    expected = scores_at(network, "full", TEMPERATURES[-1])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert cascade.relative_cost == 1


def test_calibration_from_batches(network):
    """The cascade measures as a network fed with compressed log-mel does."""
    rng = np.random.default_rng(0)
    log_mel = rng.normal(size=(5, 64, 16)).astype("float32")
    targets = np.eye(3)[[0, 1, 2, 0, 1]]
    cascade = make_cascade(network, texts=["pool:4", "full"])
    batches = [(log_mel[:3], targets[:3]), (log_mel[3:], targets[3:])]
    logits, truth = cascade.measure(batches)
    np.testing.assert_array_equal(truth, targets)
    pooled = log_mel.reshape(5, 16, 4, 16).mean(2)
    expected = at_resolution(network, "pool:4").predict(pooled, verbose=0)
    np.testing.assert_allclose(logits[0], expected, atol=1e-5)
    calibration, _ = cascade.calibrate(batches)
    assert calibration.threshold is None
    assert "5 clips are too few" in str(calibration) and "539" in str(
        calibration
    )
    assert cascade.calibration == calibration


@pytest.mark.parametrize(
    "texts, words",
    [
        (["full"], "two or more"),
        (["full", "pool:4"], "cannot be computed"),
        (["token:1", "full"], "more expensive"),
    ],
)
def test_resolutions_that_are_no_cascade(network, texts, words):
    info = ClassifierInfo(("a", "b", "c"), 16000, NUM_SAMPLES)
    with pytest.raises(ValueError, match=words):
        Cascade(classifier_of(network, FRONTEND, info), texts)


def test_other_calibrations_and_files_are_refused(network):
    cascade = make_cascade(network, texts=["pool:4", "full"])
    with pytest.raises(ValueError, match="calibration is of pool:4, full"):
        Cascade(cascade, ["pool:2", "full"], cascade.calibration)
    with pytest.raises(ValueError, match="the network itself"):
        Cascade(Classifier(cascade.info, None), TEXTS)
