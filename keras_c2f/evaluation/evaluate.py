"""What a trained network is worth on labelled clips."""

import keras
import numpy as np

from keras_c2f.evaluation.cascade import cross_entropy, log_scores
from keras_c2f.evaluation.metrics import ExactMetrics


def evaluate(network, pipeline, clips, crops=1, corruption=None, dataset=None):
    """Scores of a network on `Clips`.

    Clips longer than `clip_seconds` of the pipeline may be scored in several
    windows, whose probabilities are averaged.

    Args:
        network: `AudioClassifier` fed with what `pipeline` makes.
        pipeline: `AudioPipeline`; set to the network's resolution.
        clips: `Clips`.
        crops: int, windows a clip, spread evenly from its start to its end;
            1 is its start alone.
        corruption: `Corruption` of the recordings, such as noise, or `None`.
        dataset: batches at the network's resolution, tensors or arrays, that
            `pipeline.dataset` made of these arguments; see `KeptBatches`.

    Returns:
        Pair `(summary, classes)` of `ExactMetrics.result`, over clips that
        could be read. `summary` has `loss` as well, the mean cross-entropy
        (binary, averaged over classes, where clips have several labels), and
        `crops`.

    Raises:
        ValueError: if no clip can be read, `crops` is below 1, or prepared
            log-mel is to be corrupted.
    """
    pipeline.set_phase(network.resolution, epoch=0)
    loss, multi_label = 0.0, clips.multi_label
    metrics = ExactMetrics(clips.class_names, multi_label)
    if dataset is None:
        dataset = pipeline.dataset(clips, crops=crops, corruption=corruption)
    for features, targets in dataset:
        targets = np.asarray(targets)
        scores = _scores(network, features, crops, multi_label)
        loss += cross_entropy(targets, scores, multi_label).sum()
        metrics.update(targets, scores)
    if not len(metrics):
        raise ValueError(pipeline.no_usable_audio())
    summary, classes = metrics.result()
    loss = float(loss / summary["num_clips"])
    return {**summary, "loss": loss, "crops": crops}, classes


class Validation(keras.callbacks.Callback):
    """Scores the network of a `PhasedModel` after each epoch.

    In place of the `validation_data` of `fit`: a mean average precision ranks
    all clips, and Keras' metrics see one batch at a time (its `AUC` sorts
    scores into bins). Stands before the callbacks that read its results.

    Args:
        score: function of the network that returns a dict of figures; they
            are in the logs with `val_` before their names.
    """

    def __init__(self, score):
        super().__init__()
        self.score = score

    def on_epoch_end(self, epoch, logs=None):
        for name, value in self.score(self.model.network).items():
            logs[f"val_{name}"] = value


def primary_metric(summary):
    """Name of the figure that stands for the others.

    `"accuracy"`, or where clips have several labels, so that no single guess
    is right, `"mean_average_precision"`.

    Args:
        summary: dict, as `evaluate` returns, or the names in it; none where
            nothing is measured yet.
    """
    is_single = "accuracy" in summary or not summary
    return "accuracy" if is_single else "mean_average_precision"


def predict_batch(network, features):
    """`network.predict_on_batch`, also where that has a copy per device."""
    outputs = network.predict_on_batch(features)
    return outputs[: len(features)]  # MirroredStrategy joins the copies


def _scores(network, features, crops, multi_label):
    """Probabilities, averaged over crops, on a scale that does not saturate.

    In float32 a sigmoid is 1 from a logit of 17 on, and the ranking lost.

    Args:
        features: `(batch, ...)`, or `(batch, crops, ...)` if `crops`
            is above 1: one crop after the other, so that the network sees
            the same shapes with any number.

    Returns:
        float64 `(batch, num_classes)`: the logarithm of the mean softmax, or
        if `multi_label` the log-odds of the mean sigmoid.
    """
    features = np.asarray(features)
    windows = [features] if crops == 1 else np.moveaxis(features, 1, 0)
    logits = np.stack([predict_batch(network, window) for window in windows])
    logits = logits.astype("float64")

    def log_mean(log_probability):
        return np.logaddexp.reduce(log_probability, 0) - np.log(crops)

    if multi_label:
        yes, no = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
        return log_mean(yes) - log_mean(no)
    return log_mean(log_scores(logits, multi_label))
