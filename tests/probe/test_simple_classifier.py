"""The simple classifier beside a network, on the network's own clips."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from keras_c2f.data import AudioPipeline, Clips, LabelSets
from keras_c2f.datasets import synthesize_timbre
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.probe import score_simple_classifier
from keras_c2f.probe.ridge import fit_ridge
from keras_c2f.probe.time_summary import summarise

pytestmark = pytest.mark.once


def make_pipeline(num_frames=98):
    return AudioPipeline(Frontend(), num_frames=num_frames, batch_size=16)


@pytest.fixture(scope="module")
def timbre():
    return synthesize_timbre(5, 3)


@pytest.mark.parametrize("num_features", [5, 200])  # fewer, more than clips
def test_new_clips_are_classified_as_by_scikit_learn(num_features):
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = rng.normal(size=(90, num_features)) + labels[:, None] / 3
    features *= 10.0 ** rng.uniform(-3, 3, num_features)
    scaler = StandardScaler().fit(features[:60])
    model = RidgeClassifier(alpha=0.1 * num_features)
    model.fit(scaler.transform(features[:60]), labels[:60])
    ridge = fit_ridge(
        features[:60], np.eye(3)[labels[:60]], np.arange(60) % 10, [0.1]
    )
    found = features[60:] @ ridge.kernel + ridge.bias
    expected = model.decision_function(scaler.transform(features[60:]))
    # their targets are -1 and 1
    np.testing.assert_allclose(2 * found - 1, expected, atol=1e-8)


def test_accuracy_is_counted_on_the_validation_clips(timbre):
    """Of 40 clips to learn from, by the features of the probe."""
    train, validation = timbre
    pipeline = make_pipeline()
    found = score_simple_classifier(pipeline, train, validation, 98)
    assert found["num_train_clips"] == len(train)

    def read(clips):
        pairs = [(x.numpy(), y.numpy()) for x, y in pipeline.dataset(clips)]
        x, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return summarise(x, 0.01), y.argmax(axis=1)

    (x, y), (new, right) = read(train), read(validation)
    scaler = StandardScaler().fit(x)
    scores = [
        RidgeClassifier(alpha=penalty * x.shape[1])
        .fit(scaler.transform(x), y)
        .score(scaler.transform(new), right)
        for penalty in 10.0 ** np.arange(-3, 4)
    ]
    assert any(found["accuracy"] == pytest.approx(one) for one in scores)
    assert found["accuracy"] > 0.5  # chance: 1 in 8


def test_padding_says_nothing(timbre):
    found = [
        score_simple_classifier(make_pipeline(frames), *timbre, 98)
        for frames in (98, 160)
    ]
    assert found[0] == found[1]


def test_several_labels_are_ranked(timbre):
    def several(clips):
        sets = [[int(label)] for label in clips.labels]
        return Clips(clips.audio, LabelSets.of(sets), clips.class_names)

    found = score_simple_classifier(make_pipeline(), *map(several, timbre), 98)
    assert set(found) == {"mean_average_precision", "num_train_clips"}
    assert 0.5 < found["mean_average_precision"] <= 1


def test_nothing_where_there_is_nothing_to_learn_from(timbre):
    train, validation = timbre
    few = train.subset(range(19))
    assert score_simple_classifier(make_pipeline(), few, validation, 98) == {}
    without = Clips(validation.audio, np.zeros((len(validation), 0)), ())
    assert score_simple_classifier(make_pipeline(), without, without, 98) == {}
