"""How coarse a data set can be taken, foreseen without training a network.

At each compression factor clips are summarised by numbers that keep what is
left of fine timing (`time_summary.py`), and a linear classifier is
cross-validated on them (`ridge.py`). The same clips in the same folds are
judged at every factor, so what a factor loses is a paired difference: clips
that were right at full resolution and are not any more, less those the other
way round. For single labels this over its standard error is, but for a small
term, the statistic of McNemar's test. Above two standard errors it counts as a
loss.

What it foresees is loss, not accuracy: a network does better than this
classifier, but what compression takes away is not there for either. Nor does
a loss forbid a coarse phase. It says that this phase cannot see all that the
last one has to learn.

Clips that are equal sample by sample are used once, or one could be predicted
from the other. Pieces of one recording are not found out: they flatter every
factor alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_c2f.probe.report import FactorScore, ProbeReport
from keras_c2f.probe.ridge import fit_ridge, folds_of
from keras_c2f.probe.time_summary import summarise
from keras_c2f.resolution import Resolution

if TYPE_CHECKING:
    from keras_c2f.data.clips import Clips
    from keras_c2f.data.pipeline import AudioPipeline

METHODS = {"pool": "pool:{}", "pool:max": "pool:{}:max", "shift": "shift:{}"}
FOLDS = 10
CLIPS_PER_CLASS = 20  # rather fewer classes than fewer clips of each


def probe(
    pipeline: AudioPipeline,
    clips: Clips,
    factors: Sequence[int] = (1, 2, 4, 8, 16),
    method: str = "pool",
    max_clips: int = 1000,
    seed: int = 0,
) -> ProbeReport:
    """Foresees what compression in time will lose, in about a minute.

    Args:
        pipeline: `AudioPipeline` with compressed outputs; set to full
            resolution.
        clips: `Clips` to train on. Of single labels equally many of each
            class are drawn, at least 20 if there are, so of very many classes
            only some.
        factors: sequence of int, C; 1 is always among them.
        method: `"pool"`, `"pool:max"` or `"shift"`.
        max_clips: int.
        seed: int, of the draw and the folds.

    Returns:
        `ProbeReport`. Clips with one label are scored by accuracy, clips with
        several by label ranking average precision; soft labels count from 0.5.

    Raises:
        ValueError: if an argument is not among these, a factor leaves no
            frame, clips have no labels, or fewer than 20 different clips
            could be read.
        AudioError: if a recording cannot be read and the pipeline does not
            skip.

    Example:
        >>> from keras_c2f.data import AudioPipeline
        >>> from keras_c2f.datasets import synthesize_timbre
        >>> from keras_c2f.layers.log_mel import Frontend
        >>> clips, _ = synthesize_timbre(20, 1)
        >>> pipeline = AudioPipeline(Frontend(), num_frames=98, batch_size=32)
        >>> probe(pipeline, clips, factors=(1, 4)).coarsest.resolution
        'pool:4'

    Reference:
        McNemar, "Note on the sampling error of the difference between
        correlated proportions or percentages", Psychometrika 1947.
    """
    resolutions = _resolutions(pipeline, factors, method)
    if not clips.num_classes:
        raise ValueError(
            "The probe asks how well classes can be separated, and these "
            "clips have no labels. Give labelled clips of the same kind."
        )
    rng = np.random.default_rng(seed)
    sample = clips.subset(_draw(clips, max_clips, rng))
    features, targets = _read(pipeline, sample, resolutions)
    if len(targets) < CLIPS_PER_CLASS:
        raise ValueError(
            "The probe needs at least 20 different clips with labels that can "
            f"be read, better several hundred. Received: {len(targets)}."
        )
    targets = targets[:, targets.any(axis=0)]
    score, measure = _is_right, "accuracy"
    if clips.multi_label:
        score, measure = _ranking_precision, "label ranking"
    folds = folds_of(targets, clips.multi_label, FOLDS, rng)
    scores = [
        score(fit_ridge(found, targets, folds).left_out, targets)
        for found in features
    ]
    frequencies = np.tile(targets.mean(axis=0), (len(targets), 1))
    return ProbeReport(
        tuple(
            FactorScore.of(str(resolution), found, scores[0])
            for resolution, found in zip(resolutions, scores, strict=True)
        ),
        chance=float(score(frequencies, targets).mean()),
        measure=measure,
        num_clips=len(targets),
        num_classes=targets.shape[1],
    )


def _resolutions(pipeline, factors, method):
    if method not in METHODS:
        raise ValueError(
            f"`method` is one of {tuple(METHODS)}: what is lost is read from "
            "the frames, and patch:C keeps them all. "
            f"Received: method={method!r}."
        )
    found = [
        Resolution.parse(METHODS[method].format(factor))
        for factor in sorted({1, *factors})
    ]
    found[-1].num_frames(pipeline.num_frames)  # refuses what leaves none
    return found


def _draw(clips, max_clips, rng):
    """Indices of clips, balanced where each has one label."""
    if clips.multi_label:
        return rng.permutation(len(clips))[:max_clips]
    classes = rng.permutation(np.unique(clips.labels))
    classes = classes[: max(max_clips // CLIPS_PER_CLASS, 2)]
    return np.concatenate(
        [
            rng.permutation(np.flatnonzero(clips.labels == index))[
                : max_clips // len(classes)
            ]
            for index in classes
        ]
    )


def _read(pipeline, clips, resolutions):
    """Features by resolution, bool targets; each different clip once."""
    seen = set()
    features = [[] for _ in resolutions]
    targets = []
    seconds = pipeline.frontend.frame_shift_ms / 1000
    pipeline.set_phase("full", epoch=0)
    with pipeline.naming_bad_audio():
        for log_mel, labels in pipeline.dataset(clips):
            log_mel, labels = log_mel.numpy(), labels.numpy() >= 0.5
            new = labels.any(axis=1)
            for position in np.flatnonzero(new):
                key = hash(log_mel[position].tobytes())
                new[position] = key not in seen
                seen.add(key)
            targets.append(labels[new])
            for rows, resolution in zip(features, resolutions, strict=True):
                coarse = resolution.compress(log_mel[new], np)
                rows.append(summarise(coarse, seconds * resolution.factor))
    if not targets:
        return [], np.zeros((0, clips.num_classes), bool)
    return [np.concatenate(rows) for rows in features], np.concatenate(targets)


def _is_right(predicted, targets):
    """float `(n,)`: 1 if the class of the highest score is that of the clip."""
    right = predicted.argmax(axis=1) == targets.argmax(axis=1)
    return right.astype("float64")


def _ranking_precision(predicted, targets):
    """float `(n,)`: of labels ranked at least as high, the share that is right.

    Averaged over a clip's own labels; of one label it is 1 / its rank.
    """
    found = np.empty(len(targets))
    for clip, (scores, own) in enumerate(zip(predicted, targets, strict=True)):
        above = scores >= scores[own, None]
        found[clip] = np.mean(above[:, own].sum(axis=1) / above.sum(axis=1))
    return found
