"""Scores of a network, recomputed with scikit-learn and by hand."""

import json
import math

import keras
import numpy as np
import pytest
from sklearn import metrics

from keras_c2f.audio import Corruption
from keras_c2f.data import AudioPipeline, Clips, LabelSets
from keras_c2f.evaluation.evaluate import Validation, evaluate
from keras_c2f.evaluation.metrics import d_prime
from keras_c2f.evaluation.table import evaluation_line, evaluation_table
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models import AST, AudioClassifier
from keras_c2f.phases import PhasedModel, PhaseScheduler
from keras_c2f.training.run_folder import write_evaluation
from keras_c2f.utils.files import read_rows

pytest.importorskip("soundfile", reason="needs the extra `audio`")


@pytest.fixture(scope="module")
def scored():
    """Network, pipeline, recordings, and the network's logits."""
    keras.utils.set_random_seed(0)
    frontend = Frontend(num_mel_bins=16)
    backbone = AST(32, 16, (8, 8), width=8, depth=1, num_heads=2)
    network = AudioClassifier(backbone, 3, frontend=frontend)
    pipeline = AudioPipeline(frontend, 32, batch_size=5)
    recordings = list(np.random.default_rng(0).normal(0, 0.1, (10, 5520)))
    clips = Clips(recordings, [0] * 10, "abc")
    features = np.concatenate([x.numpy() for x, _ in pipeline.dataset(clips)])
    head = network.get_layer("head")
    head.kernel.assign(100 * head.kernel)
    logits = keras.ops.convert_to_numpy(network(features))
    head.bias.assign(-logits.mean(0))  # so that each class wins somewhere
    logits = keras.ops.convert_to_numpy(network(features))
    return network, pipeline, recordings, logits.astype("float64")


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def test_scores_of_one_label_a_clip(scored):
    network, pipeline, recordings, logits = scored
    labels = np.arange(10) % 3
    clips = Clips(recordings, labels, "abc")
    summary, classes = evaluate(network, pipeline, clips)
    shares = softmax(logits)
    guesses = shares.argmax(1)
    assert len(set(guesses)) > 1
    assert summary["num_clips"] == 10 and summary["crops"] == 1
    assert summary["accuracy"] == metrics.accuracy_score(labels, guesses)
    expected = metrics.log_loss(labels, shares)
    assert summary["loss"] == pytest.approx(expected, rel=1e-5)
    confusion = metrics.confusion_matrix(labels, guesses, labels=range(3))
    assert summary["confusion"] == confusion.tolist()
    assert "top_5_accuracy" not in summary
    assert_ranked(summary, classes, np.eye(3)[labels], shares)
    # a class is ranked by its share, not by a logit that others do not bound
    wrong = metrics.average_precision_score(np.eye(3)[labels], logits)
    assert summary["mean_average_precision"] != pytest.approx(wrong, abs=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_scores_of_several_labels_a_clip(scored, sparse):
    network, pipeline, recordings, logits = scored
    labels = np.random.default_rng(2).integers(0, 2, (10, 3))
    sets = LabelSets.of([row.nonzero()[0] for row in labels])
    clips = Clips(recordings, sets if sparse else labels, "abc")
    summary, classes = evaluate(network, pipeline, clips)
    shares = sigmoid(logits)
    expected = np.mean(
        [
            metrics.log_loss(labels[:, k], shares[:, k], labels=[0, 1])
            for k in range(3)
        ]
    )
    assert summary["loss"] == pytest.approx(expected, rel=1e-5)
    assert_ranked(summary, classes, labels, logits)
    assert "accuracy" not in summary and "confusion" not in summary


def assert_ranked(summary, classes, targets, scores):
    precision = metrics.average_precision_score(targets, scores, average=None)
    auc = metrics.roc_auc_score(targets, scores, average=None)
    found = [row["average_precision"] for row in classes]
    np.testing.assert_allclose(found, precision, atol=1e-6)
    np.testing.assert_allclose([row["auc"] for row in classes], auc, atol=1e-6)
    for name, value in (
        ("mean_average_precision", precision.mean()),
        ("auc", auc.mean()),
        ("d_prime", d_prime(auc.mean())),
    ):
        assert summary[name] == pytest.approx(value, abs=1e-6), name
    assert [row["name"] for row in classes] == ["a", "b", "c"]


@pytest.mark.once
@pytest.mark.parametrize("multi_label", [False, True])
def test_crops_are_averaged_as_probabilities(scored, multi_label):
    network, pipeline, _, _ = scored
    rng = np.random.default_rng(3)
    lengths = (12_001, 5361, 5300, 9000, 6144)
    recordings = [rng.normal(0, 0.1, n).astype("float32") for n in lengths]
    labels = np.array([0, 1, 2, 0, 1])
    targets = np.eye(3)[labels]
    if multi_label:
        labels = targets = np.maximum(targets, targets[::-1])
    clips = Clips(recordings, labels, "abc")
    summary, classes = evaluate(network, pipeline, clips, crops=2)
    assert summary["crops"] == 2

    windows = []
    for audio in recordings:
        windows.append(audio[:5360])  # 32 frames: 31 x 160 + 400
        windows.append(audio[-5360:])
    features = [x for x, _ in pipeline.dataset(Clips(windows, [0] * 10, "abc"))]
    logits = keras.ops.convert_to_numpy(network(np.concatenate(features)))
    means = []
    for first, last in logits.astype("float64").reshape(5, 2, 3):
        chance = sigmoid if multi_label else softmax
        means.append((chance(first) + chance(last)) / 2)
    means = np.array(means)
    one, _ = evaluate(network, pipeline, clips)
    assert abs(one["loss"] - summary["loss"]) > 1e-3  # it does matter here
    if multi_label:
        wrong = np.abs(1 - targets - means)
        expected = -np.log(wrong).mean()
    else:
        expected = metrics.log_loss(labels, means)
        assert summary["accuracy"] == (means.argmax(1) == labels).mean()
    # logits of about 100 in float32
    assert summary["loss"] == pytest.approx(expected, rel=1e-4)
    assert_ranked(summary, classes, targets, means)


def test_crops_of_short_clips_change_nothing(scored):
    network, pipeline, recordings, _ = scored
    recordings = [audio[: 4000 + 150 * k] for k, audio in enumerate(recordings)]
    clips = Clips(recordings, np.arange(10) % 3, "abc")
    one, one_by_class = evaluate(network, pipeline, clips)
    many, many_by_class = evaluate(network, pipeline, clips, crops=4)
    assert many.pop("crops") == 4 and one.pop("crops") == 1
    # the mean of four equal float64 logarithms
    assert many.pop("loss") == pytest.approx(one.pop("loss"), rel=1e-9)
    assert many == one and many_by_class == one_by_class


def test_corrupted_clips_score_as_corrupted_recordings(scored):
    network, pipeline, recordings, _ = scored
    corruption = Corruption("noise:0")
    noisy = [
        corruption(audio.astype("float32"), 16000, index)
        for index, audio in enumerate(recordings)
    ]
    labels = np.arange(10) % 3
    clips = Clips(recordings, labels, "abc")
    found, _ = evaluate(network, pipeline, clips, corruption=corruption)
    expected, _ = evaluate(network, pipeline, Clips(noisy, labels, "abc"))
    noisy_loss = found.pop("loss")
    assert noisy_loss == pytest.approx(expected.pop("loss"), rel=1e-5)
    assert found == expected
    clean, _ = evaluate(network, pipeline, clips)
    assert clean["loss"] != pytest.approx(noisy_loss, rel=0.01)


def test_scores_that_saturate_are_still_ranked(scored):
    """Sigmoids of logits above 17 are all 1 in float32."""
    network, pipeline, recordings, logits = scored
    head = network.get_layer("head")
    kernel, bias = head.kernel.numpy(), head.bias.numpy()
    labels = np.random.default_rng(2).integers(0, 2, (10, 3))
    clips = Clips(recordings, labels, "abc")
    try:
        head.bias.assign(bias + 60)
        assert (1 / (1 + np.exp(-(logits + 60).astype("float32"))) == 1).all()
        summary, classes = evaluate(network, pipeline, clips)
        assert_ranked(summary, classes, labels, logits)
    finally:
        head.kernel.assign(kernel)
        head.bias.assign(bias)


@pytest.mark.once
def test_every_epoch_is_scored_as_the_end_is():
    """What Keras' metrics cannot do: rank clips of different batches."""
    keras.utils.set_random_seed(0)
    backbone = AST(32, 16, (8, 8), width=8, depth=1, num_heads=2)
    frontend = Frontend(num_mel_bins=16)
    pipeline = AudioPipeline(frontend, 32, batch_size=5)
    rng = np.random.default_rng(0)
    recordings = list(rng.normal(0, 0.1, (10, 5520)))
    clips = Clips(recordings, rng.integers(0, 2, (10, 3)), "abc")
    model = PhasedModel(AudioClassifier(backbone, 3, frontend=frontend))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    expected = []

    class Recomputed(keras.callbacks.Callback):
        """The same from the model itself, on a copy of the data."""

        def on_epoch_end(self, epoch, logs=None):
            other = AudioPipeline(frontend, 32, batch_size=5)
            other.set_phase(self.model.resolution, 0)
            # as large as those before: near ties hang on the last digit
            batches = list(other.dataset(clips).as_numpy_iterator())
            targets = np.concatenate([batch[1] for batch in batches])
            logits = np.concatenate(
                [
                    keras.ops.convert_to_numpy(self.model(x, training=False))
                    for x, _ in batches
                ]
            )
            precision = metrics.average_precision_score(targets, logits)
            loss = np.logaddexp(0, logits) - targets * logits
            expected.append((precision, loss.mean()))

    history = model.fit(
        pipeline.dataset(clips, training=True),
        shuffle=False,
        verbose=0,
        callbacks=[
            PhaseScheduler("pool:2@1, full@2", pipeline, verbose=0),
            Validation(lambda network: evaluate(network, pipeline, clips)[0]),
            Recomputed(),
        ],
    ).history
    found = history["val_mean_average_precision"], history["val_loss"]
    np.testing.assert_allclose(np.transpose(found), expected, rtol=1e-4)
    assert "val_accuracy" not in history


def test_table_for_a_terminal():
    classes = [
        {
            "name": f"class {k}",
            "num_clips": 3,
            "average_precision": 1 - k / 20,
            "auc": 0.5,
            "d_prime": 0.0,
        }
        for k in range(13)
    ]
    classes[4] |= {"num_clips": 0, "average_precision": math.nan}
    summary = {
        "num_clips": 40,
        "mean_average_precision": 0.7,
        "auc": 1.0,
        "d_prime": math.inf,
        "num_ranked_classes": 12,
        "loss": 0.25,
        "crops": 1,
    }
    lines = evaluation_table(summary, classes).splitlines()
    assert lines[:5] == [
        "mean average precision     0.700",
        "AUC                        1.000",
        "d'                           inf",
        "loss                       0.250",
        "on 40 clips",
    ]
    assert lines[5].startswith("1 of 13 classes have no clip")
    assert lines[5].endswith(" Absent: class 4.")
    assert lines[7:9] == [
        "worst classes     clips      AP     AUC      d'",
        "class 12              3   0.400   0.500   0.000",
    ]
    names = [line.split()[1] for line in lines[8:]]
    assert names == [str(k) for k in (12, 11, 10, 9, 8, 7, 6, 5, 3, 2)]


def test_line_for_a_terminal():
    summary = {"num_clips": 4, "mean_average_precision": 0.5, "loss": 1.0}
    line = evaluation_line(summary)
    assert line == "mean average precision 0.500, loss 1.000"
    line = evaluation_line({**summary, "accuracy": 0.75})
    assert line.startswith("accuracy 75.0%, mean")


def test_files_of_an_evaluation(tmp_path):
    """JSON has no infinity; a table in CSV may."""
    summary = {"num_clips": 2, "d_prime": math.inf, "auc": 1.0}
    classes = [{"name": "Bär, klein", "d_prime": math.inf}]
    write_evaluation(tmp_path, summary, classes)
    text = (tmp_path / "evaluation.json").read_text()
    found = json.loads(text, parse_constant=pytest.fail)
    assert found == {"num_clips": 2, "d_prime": None, "auc": 1.0}
    rows = read_rows(tmp_path / "evaluation.csv")
    assert rows == [{"name": "Bär, klein", "d_prime": "inf"}]
