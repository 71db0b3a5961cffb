"""Batches of one epoch, clip by clip or whole."""

import os

from keras_c2f.utils.optional import tf

BATCHES_AT_ONCE = 2  # of those that are made whole


def make_batches(load, clips, batch_size, one_clip, log_mel, skip):
    """Batches of some clips of an epoch's order.

    Each clip is mapped by itself, unless the log-mel of most is kept: calls
    from a graph into Python take longer than it takes to copy.

    Args:
        load: `ClipLoader`.
        clips: pair of int32 `(n,)`, positions and numbers: `Share.clips`.
        batch_size: int.
        one_clip: function that makes a clip, see `mapping`.
        log_mel: function from kept log-mel, `(batch, frames, mel_bins)`, to
            features of the batch.
        skip: bool, leaves out clips that cannot be read.

    Returns:
        `tf.data.Dataset` of features, targets and weights: 0 of clips that
        cannot be read, else 1.
    """
    index = tf.TensorSpec([], tf.int32)
    one_clip = tf.function(one_clip, [index, index], autograph=False)  # 1 trace

    def one_by_one():
        dataset = tf.data.Dataset.from_tensor_slices(clips)
        dataset = dataset.map(one_clip, os.cpu_count(), deterministic=True)
        if skip:
            dataset = dataset.filter(lambda *clip: clip[2] > 0)
        return dataset.batch(batch_size)

    def one_batch(positions, numbers):
        mels, targets, missing = load.batch(numbers)
        mels = log_mel(mels)

        def whole():
            return mels, targets, tf.ones(tf.shape(numbers))

        def completed():
            made = tf.map_fn(
                lambda clip: one_clip(*clip)[::2],  # not the target
                (tf.gather(positions, missing), tf.gather(numbers, missing)),
                fn_output_signature=(tf.float32, tf.float32),
            )
            mels, targets, weights = whole()
            rows = missing[:, None]
            mels = tf.tensor_scatter_nd_update(mels, rows, made[0])
            weights = tf.tensor_scatter_nd_update(weights, rows, made[1])
            if not skip:
                return mels, targets, weights
            read = weights > 0
            return mels[read], targets[read], weights[read]

        return tf.cond(tf.size(missing) > 0, completed, whole)

    def at_once():
        dataset = tf.data.Dataset.from_tensor_slices(clips).batch(batch_size)
        dataset = dataset.map(one_batch, BATCHES_AT_ONCE, deterministic=True)
        if skip:
            dataset = dataset.filter(lambda *batch: tf.size(batch[2]) > 0)
        return dataset

    if not load.may_keep:
        return one_by_one()
    return tf.cond(load.keeps_most(clips[1]), at_once, one_by_one)
