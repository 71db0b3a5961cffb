"""Batches padded with clips of weight 0, on one device or several.

Keras divides the loss of a batch by its rows, and weighs batches by them in
the loss of an epoch. Here the clips alone count, as if a batch ended with
them: gradients and figures are those of batches that are not padded.
"""

import contextlib
import threading

from keras import ops

from keras_c2f.phases import keras_private
from keras_c2f.phases.tensorflow_graph import mean_over_devices

# TensorFlow traces the step of each device in a thread, all at once
_step = threading.local()


def weights_of_clips(weights):
    """Weights of which the mean over a batch is 1.

    Args:
        weights: `(batch,)` tensor, 1 of a clip and 0 of padding; the part of
            one device where TensorFlow divides a batch.
    """
    return ops.divide_no_nan(weights, _share_of_clips(weights))


def counting_clips(model):
    """Context of a `fit` whose loss weighs batches by their clips.

    Args:
        model: `PhasedModel`; nothing changes unless its `pads_batches` is true.
    """
    if not model.pads_batches:
        return contextlib.nullcontext()
    tracker = keras_private.loss_tracker(model)
    update = tracker.update_state

    def update_state(values, sample_weight=None):
        share = getattr(_step, "share", None)
        if share is not None:
            sample_weight = share * ops.cast(sample_weight, "float32")
        return update(values, sample_weight=sample_weight)

    return keras_private.replaced(tracker, update_state=update_state)


@contextlib.contextmanager
def padded_step(model, batch):
    """Context of a training step, which says how much of a batch are clips.

    Args:
        model: `PhasedModel`; nothing changes unless its `pads_batches` is true.
        batch: tuple of features, targets and weights.
    """
    if not model.pads_batches or len(batch) < 3:
        yield
        return
    _step.share = _share_of_clips(batch[2])
    try:
        yield
    finally:
        _step.share = None


def _share_of_clips(weights):
    return mean_over_devices(ops.mean(ops.cast(weights, "float32")))
