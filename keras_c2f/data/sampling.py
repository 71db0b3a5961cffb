"""Balanced epochs: clips of rare classes are drawn more often.

Reference: `egs/audioset/gen_weight_file.py` (weights) and `src/run.py`
(`WeightedRandomSampler`, with replacement, as many draws as clips) of AST's
repository. Mix-up partners are drawn uniformly there, balanced or not.
"""

import numpy as np

from keras_c2f.data.labels import LabelSets
from keras_c2f.utils.optional import tf


def balancing_weights(clips):
    """How often clips are drawn, relative to each other, to balance classes.

    A class weighs `1000 / (clips with it + 0.01)`; a clip weighs as much as
    its classes together. A label that counts in part does so here too.

    Args:
        clips: `Clips`.

    Returns:
        float64 `(n,)`; 0 where a clip has no label: it is never drawn.

    Raises:
        ValueError: if no clip has a label.

    Example:
        >>> from keras_c2f.data import Clips
        >>> clips = Clips(["a", "b", "c"], [0, 0, 1], ["often", "rare"])
        >>> balancing_weights(clips).round(1).tolist()
        [497.5, 497.5, 990.1]
    """
    labels = clips.labels
    class_weights = 1000 / (class_counts(clips) + 0.01)
    if isinstance(labels, LabelSets):
        weights = class_weights[labels.classes]
        weights = np.bincount(labels.rows(), weights, len(labels))
    elif clips.multi_label:
        # float32, so that NumPy makes no float64 copy of all labels
        weights = labels @ class_weights.astype(labels.dtype)
    else:
        return class_weights[labels]
    if not weights.any():
        raise ValueError(
            "Balanced sampling needs labels, and no clip has any. Check the "
            "label column, or train without `balanced`."
        )
    return weights.astype("float64")


def class_counts(clips, weights=None):
    """float64 `(num_classes,)`, clips with each class.

    Args:
        clips: `Clips`.
        weights: float `(n,)`, what each clip counts; default: 1.
    """
    labels = clips.labels
    if isinstance(labels, LabelSets):
        if weights is not None:
            weights = weights[labels.rows()]
        labels = labels.classes
    elif clips.multi_label:
        if weights is None:
            return labels.sum(axis=0, dtype="float64")
        return (weights.astype(labels.dtype) @ labels).astype("float64")
    counts = np.bincount(labels, weights, clips.num_classes)
    return counts.astype("float64")


def with_replacement(weights):
    """Function from an epoch's key to as many weighted draws as clips.

    Args:
        weights: float64 `(n,)`, at least 0.

    Returns:
        Function, int32 `(2,)` tensor to int32 `(n,)` tensor.
    """
    with tf.device("CPU"):
        edges = tf.constant(np.cumsum(weights) / np.sum(weights), tf.float64)

    def draw(key):
        # float32 would miss some of a million clips
        draws = tf.random.stateless_uniform([len(weights)], key, 0, 1, "double")
        order = tf.searchsorted(edges, draws, side="right")
        # rounding may leave the last edge below 1
        return tf.minimum(order, int(np.flatnonzero(weights)[-1]))

    return draw
