"""What an exported classifier is worth beside the one it came from."""

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_c2f.audio.decode import AudioError
from keras_c2f.data.cache import AudioCache
from keras_c2f.data.shards import are_log_mel
from keras_c2f.evaluation.metrics import ExactMetrics
from keras_c2f.inference import load_classifier

SAME_CLASS = 0.98  # share of the clips, for a variant to be recommended
POINTS = 0.5  # that it may lose
INT8_POINTS = 2.0  # that int8 may lose to be kept at all
REPEATS = 15


def leading_windows(clips, frontend, num_samples, limit):
    """The first window of each clip, as the input of a classifier.

    Args:
        clips: `Clips`.
        frontend: `Frontend`, whose sample rate is wanted.
        num_samples: int, of a window.
        limit: int, at most so many clips, spread evenly.

    Returns:
        Waveforms float32 `(n, num_samples)`, counts int32 `(n,)`, targets
        float32 `(n, num_classes)`. Unreadable recordings are left out.

    Raises:
        ValueError: if no audio can be read, or the clips are prepared as
            log-mel.
    """
    are_log_mel(clips.audio, frontend, "an exported file")
    recordings = AudioCache(frontend.sample_rate, "soundfile")
    waveforms, counts, targets = [], [], []
    positions = np.linspace(
        0, len(clips), min(limit, len(clips)), endpoint=False
    )
    for index in positions.astype(int).tolist():
        try:
            audio = recordings.load(clips.audio[index], index, num_samples, 0.0)
        except AudioError:
            continue
        waveforms.append(np.pad(audio, [0, num_samples - len(audio)]))
        counts.append(len(audio))
        targets.append(clips.target(index))
    if not counts:
        some = "; ".join(
            ": ".join(bad) for bad in list(recordings.bad.items())[:3]
        )
        raise ValueError(
            f"None of the recordings can be used to measure with: {some}."
        )
    return (
        np.array(waveforms, "float32"),
        np.array(counts, "int32"),
        np.array(targets, "float32"),
    )


def compare(path, reference, windows, num_threads=None):
    """One row: an exported file beside Keras, on the same windows.

    Args:
        path: what `export_classifier` wrote.
        reference: float `(n, num_classes)`, scores that Keras gave.
        windows: what `leading_windows` returned.
        num_threads: int, see `load_classifier`.

    Returns:
        dict of `megabytes`; `milliseconds`, median of one call over its
        windows, which is one unless the file has a fixed batch; of a cascade
        the mean over all windows, as its calls differ;
        `largest_difference` of any score; `same_class`, share of the windows
        with the same likeliest class; `metric` and `score`, see
        `headline_score`; `keras_score`; `points_lost`, hundredths of it;
        `num_clips`.
    """
    classifier = load_classifier(path, num_threads)
    waveforms, _, targets = windows
    batch = classifier.batch_size
    seconds = median_seconds(classifier, waveforms[:batch]) / batch
    began = time.perf_counter()
    scores = scores_of(classifier, windows, batch)
    if classifier.info.cascade is not None:
        seconds = (time.perf_counter() - began) / len(targets)
    multi_label = classifier.info.multi_label
    metric, score = headline_score(targets, scores, multi_label)
    _, before = headline_score(targets, reference, multi_label)
    same = scores.argmax(-1) == reference.argmax(-1)
    return {
        "megabytes": size_of(path) / 1e6,
        "milliseconds": 1000 * seconds,
        "largest_difference": float(np.abs(scores - reference).max()),
        "same_class": float(same.mean()),
        "metric": metric,
        "score": score,
        "keras_score": before,
        "points_lost": 100 * (before - score),
        "num_clips": len(targets),
    }


def scores_of(classifier, windows, batch_size):
    """float32 `(n, num_classes)`: scores of windows, a batch at a time.

    Args:
        classifier: `Classifier`.
        windows: what `leading_windows` returned.
        batch_size: int.
    """
    waveforms, counts, _ = windows
    size = batch_size
    return np.concatenate(
        [
            classifier.scores(waveforms[i : i + size], counts[i : i + size])
            for i in range(0, len(counts), size)
        ]
    )


def headline_score(targets, scores, multi_label):
    """`("accuracy", float)`, or the mean average precision if `multi_label`."""
    names = [str(index) for index in range(targets.shape[1])]
    metrics = ExactMetrics(names, multi_label)
    metrics.update(targets, scores)
    summary, _ = metrics.result()
    name = "mean_average_precision" if multi_label else "accuracy"
    return name, summary[name]


def size_of(path):
    """int, bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
    )


def median_seconds(classifier, waveforms):
    """float, of one call, once it has been warmed up."""
    classifier.scores(waveforms)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        classifier.scores(waveforms)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def is_good(row):
    """Whether a variant does what the network does, as far as clips show.

    It gives the same class to 98 % of them and loses no more than half a
    point, or one clip where that is more.

    Args:
        row: dict, what `compare` returned and `kept`.
    """
    points = max(POINTS, 100 / row["num_clips"])
    points += 1e-6  # the rounding of a difference
    fits = row["same_class"] >= SAME_CLASS and row["points_lost"] <= points
    return bool(row["kept"]) and fits


def recommended(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The fastest row that `is_good`; within a tenth of it, the smallest.

    Args:
        rows: list of dicts of one format and resolution.

    Returns:
        dict, or `None` if no row is good.
    """
    good = [row for row in rows if is_good(row)]
    if not good:
        return None
    fastest = min(row["milliseconds"] for row in good)
    near = [row for row in good if row["milliseconds"] <= 1.1 * fastest]
    return min(near, key=lambda row: row["megabytes"])
