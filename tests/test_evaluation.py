"""Scores of a network, recomputed with scikit-learn and by hand."""

import keras
import numpy as np
import pytest
from sklearn import metrics

from keras_c2f.data import AudioPipeline, Clips, LabelSets
from keras_c2f.evaluation import evaluate, probabilities
from keras_c2f.frontend import Frontend
from keras_c2f.models import AST, AudioClassifier

pytest.importorskip("soundfile", reason="needs the extra `sound`")


@pytest.fixture(scope="module")
def scored():
    """Network, pipeline, sounds, and the network's logits."""
    keras.utils.set_random_seed(0)
    frontend = Frontend(num_mel_bins=16)
    backbone = AST(32, 16, (8, 8), width=8, depth=1, num_heads=2)
    network = AudioClassifier(backbone, 3, frontend=frontend)
    pipeline = AudioPipeline(frontend, 32, batch_size=4)
    sounds = list(np.random.default_rng(0).normal(0, 0.1, (10, 5520)))
    clips = Clips(sounds, [0] * 10, "abc")
    features = np.concatenate([x.numpy() for x, _ in pipeline.dataset(clips)])
    head = network.get_layer("head")
    head.kernel.assign(100 * head.kernel)
    logits = keras.ops.convert_to_numpy(network(features))
    head.bias.assign(-logits.mean(0))  # so that each class wins somewhere
    logits = keras.ops.convert_to_numpy(network(features))
    return network, pipeline, sounds, logits.astype("float64")


def test_scores_of_one_label_a_clip(scored):
    network, pipeline, sounds, logits = scored
    labels = np.arange(10) % 3
    result = evaluate(network, pipeline, Clips(sounds, labels, "abc"))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    guesses = shares.argmax(1)
    assert len(set(guesses)) > 1
    assert result["num_clips"] == 10
    assert result["accuracy"] == metrics.accuracy_score(labels, guesses)
    expected = metrics.log_loss(labels, shares)
    assert result["loss"] == pytest.approx(expected, rel=1e-5)
    confusion = metrics.confusion_matrix(labels, guesses, labels=range(3))
    assert result["confusion"] == confusion.tolist()


@pytest.mark.parametrize("sparse", [False, True])
def test_scores_of_several_labels_a_clip(scored, sparse):
    network, pipeline, sounds, logits = scored
    labels = np.random.default_rng(2).integers(0, 2, (10, 3))
    sets = LabelSets.of([row.nonzero()[0] for row in labels])
    clips = Clips(sounds, sets if sparse else labels, "abc")
    result = evaluate(network, pipeline, clips)
    shares = 1 / (1 + np.exp(-logits))
    expected = sum(
        metrics.log_loss(labels[:, k], shares[:, k], labels=[0, 1])
        for k in range(3)
    )
    assert result["loss"] == pytest.approx(expected, rel=1e-5)
    guesses = logits.argmax(1)
    assert result["accuracy"] == labels[np.arange(10), guesses].mean()
    assert result["confusion"] == []


@pytest.mark.parametrize("multi_label", [False, True])
def test_probabilities(scored, tmp_path, multi_label):
    import soundfile

    network, pipeline, sounds, logits = scored
    paths = [tmp_path / f"{index}.wav" for index in range(3)]
    for path, sound in zip(paths, sounds, strict=False):
        soundfile.write(path, sound, 16000, subtype="FLOAT")
    shares = probabilities(network, pipeline, paths, "abc", multi_label)
    odds = np.exp(logits[:3])
    total = 1 + odds if multi_label else odds.sum(1, keepdims=True)
    np.testing.assert_allclose(shares, odds / total, rtol=1e-4)
