"""Ridge regression on time summaries, to compare a network with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_c2f.evaluation.evaluate import primary_metric
from keras_c2f.evaluation.metrics import ExactMetrics
from keras_c2f.probe.ridge import fit_ridge, folds_of
from keras_c2f.probe.time_summary import summarise

if TYPE_CHECKING:
    from keras_c2f.data.clips import Clips
    from keras_c2f.data.pipeline import AudioPipeline

FOLDS = 10
MOST_CLIPS = 2000  # to learn from: eigenvectors of so many take seconds
FEWEST_CLIPS = 20


def score_simple_classifier(
    pipeline: AudioPipeline,
    train: Clips,
    validation: Clips,
    num_frames: int,
    seed: int = 0,
) -> dict[str, Any]:
    """What a classifier scores that takes seconds to train.

    A network that ends below it has learned less than its data allow.

    Args:
        pipeline: `AudioPipeline` with compressed outputs; set to full
            resolution.
        train, validation: `Clips`. Of more than 2,000 to learn from so many
            are drawn.
        num_frames: int, frames of a clip; padding behind them says nothing.
        seed: int, of the draw and of the folds that choose its penalty.

    Returns:
        dict of the `primary_metric` on all validation clips that can be
        read, and `num_train_clips`; empty where there are no labels, or fewer
        than 20 clips to learn from.

    Raises:
        AudioError: if a recording cannot be read and the pipeline does not
            skip.
    """
    if not train.num_classes:
        return {}
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(train))[:MOST_CLIPS])
    features, targets = _read(pipeline, train.subset(chosen), num_frames)
    if len(targets) < FEWEST_CLIPS:
        return {}
    folds = folds_of(targets, train.multi_label, FOLDS, rng)
    new, right = _read(pipeline, validation, num_frames)
    ridge = fit_ridge(features, targets, folds)
    scores = new @ ridge.kernel + ridge.bias
    metrics = ExactMetrics(validation.class_names, validation.multi_label)
    metrics.update(right, scores)
    summary, _ = metrics.result()
    metric = primary_metric(summary)
    return {metric: summary[metric], "num_train_clips": len(targets)}


def _read(pipeline, clips, num_frames):
    """Features and targets of clips that can be read."""
    seconds = pipeline.frontend.frame_shift_ms / 1000
    pipeline.set_phase("full", epoch=0)
    features, targets = [], []
    with pipeline.naming_bad_audio():
        for log_mel, labels in pipeline.dataset(clips):
            log_mel = log_mel.numpy()[:, :num_frames]
            features.append(summarise(log_mel, seconds))
            targets.append(labels.numpy())
    if not targets:
        return np.zeros((0, 1)), np.zeros((0, clips.num_classes))
    return np.concatenate(features), np.concatenate(targets)
