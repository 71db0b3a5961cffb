"""What an exported classifier is worth beside the one it came from."""

import os
import time

import numpy as np

from keras_c2f.data import SoundError, load_sound
from keras_c2f.inference import load_classifier
from keras_c2f.metrics import ExactMetrics

SAME_CLASS = 0.98  # share of the clips, for a variant to be recommended
POINTS = 0.5  # that it may lose
INT8_POINTS = 2.0  # that int8 may lose to be kept at all
REPEATS = 15


def leading_windows(clips, info, limit):
    """The first window of each clip, as a classifier hears it.

    Args:
        clips: `Clips`.
        info: `ClassifierInfo`.
        limit: int, at most so many clips, spread evenly.

    Returns:
        Waveforms float32 `(n, info.num_samples)`, counts int32 `(n,)`, targets
        float32 `(n, num_classes)`. Unreadable sounds are left out.
    """
    waveforms, counts, targets = [], [], []
    step = max(-(-len(clips) // limit), 1)
    for index in range(0, len(clips), step):
        try:
            sound = load_sound(clips.sounds[index], info.sample_rate)
        except SoundError:
            continue
        sound = sound[: info.num_samples]
        waveforms.append(np.pad(sound, [0, info.num_samples - len(sound)]))
        counts.append(len(sound))
        targets.append(clips.target(index))
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
        dict of `megabytes`; `milliseconds`, median of a window by itself;
        `largest_difference` of any score; `same_class`, share of the windows
        with the same likeliest class; `score`, see `score`; `points_lost`,
        hundredths of it.
    """
    classifier = load_classifier(path, num_threads)
    waveforms, counts, targets = windows
    scores = np.concatenate(
        [
            classifier.scores(waveforms[i : i + 1], counts[i : i + 1])
            for i in range(len(counts))
        ]
    )
    multi_label = classifier.info.multi_label
    found = score(targets, scores, multi_label)
    before = score(targets, reference, multi_label)
    same = scores.argmax(-1) == reference.argmax(-1)
    return {
        "megabytes": size_of(path) / 1e6,
        "milliseconds": 1000 * median_seconds(classifier, waveforms[:1]),
        "largest_difference": float(np.abs(scores - reference).max()),
        "same_class": float(same.mean()),
        "score": found,
        "points_lost": 100 * (before - found),
    }


def score(targets, scores, multi_label):
    """float, accuracy, or mean average precision if `multi_label`."""
    names = [str(index) for index in range(targets.shape[1])]
    metrics = ExactMetrics(names, multi_label)
    metrics.update(targets, scores)
    summary, _ = metrics.result()
    metrics.close()
    return summary["mean_average_precision" if multi_label else "accuracy"]


def size_of(path):
    """int, bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
    )


def median_seconds(classifier, waveform, repeats=REPEATS):
    """float, of one call with one window, once it has been warmed up."""
    classifier.scores(waveform)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        classifier.scores(waveform)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def is_good(row, num_clips):
    """Whether a variant does what the network does, as far as clips tell.

    It gives the same class to 98 % of them and loses no more than half a
    point, or one clip where that is more.
    """
    points = max(POINTS, 100 / num_clips) + 1e-6  # a difference's rounding
    return row["same_class"] >= SAME_CLASS and row["points_lost"] <= points


def recommended(rows, num_clips):
    """The fastest row that `is_good`; within a tenth of it, the smallest.

    Returns:
        dict, or `None` if no row is good.
    """
    good = [row for row in rows if is_good(row, num_clips)]
    if not good:
        return None
    fastest = min(row["milliseconds"] for row in good)
    near = [row for row in good if row["milliseconds"] <= 1.1 * fastest]
    return min(near, key=lambda row: row["megabytes"])
