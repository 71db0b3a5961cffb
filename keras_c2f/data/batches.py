"""Batches of one epoch, clip by clip or whole."""

import os

from keras_c2f.utils.optional import tf

BATCHES_AT_ONCE = 2  # of those that are made whole


def make_batches(
    load, order, positions, batch_size, one_clip, log_mel, skip, weigh=False
):
    """Batches of the clips at some places of an epoch's order.

    Each clip is mapped by itself, unless the log-mel of most is kept: calls
    from a graph into Python take longer than it takes to copy.

    Args:
        load: `ClipLoader`.
        order: int32 `(num_clips,)`, numbers of clips.
        positions: int32 `(n,)`, in `order`.
        batch_size: int.
        one_clip: function from a place to features, of no frames or samples
            if it cannot be read, and target; with `weigh` to features of
            silence then, target, and weight, 0 if it cannot be read, else 1.
        log_mel: function from kept log-mel, `(batch, frames, mel_bins)`, to
            features of the batch.
        skip: bool, leaves out clips that cannot be read.
        weigh: bool, keeps these as silence of weight 0.

    Returns:
        `tf.data.Dataset` of features, targets and, with `weigh`, weights.
    """
    position = tf.TensorSpec([], tf.int32)
    one_clip = tf.function(one_clip, [position], autograph=False)  # one trace

    def one_by_one():
        dataset = tf.data.Dataset.from_tensor_slices(positions)
        dataset = dataset.map(one_clip, os.cpu_count(), deterministic=True)
        if skip and not weigh:
            dataset = dataset.filter(lambda made, _: tf.size(made) > 0)
        return dataset.batch(batch_size)

    def one_batch(batch):
        mels, targets, missing = load.batch(tf.gather(order, batch))
        mels = log_mel(mels)

        def completed():
            found, stay = _completed(mels, batch, missing, one_clip)
            if weigh:
                return found, targets, tf.cast(stay, tf.float32)
            return found[stay], targets[stay]

        def whole():
            ones = [tf.ones(tf.shape(batch))] if weigh else []
            return mels, targets, *ones

        return tf.cond(tf.size(missing) > 0, completed, whole)

    def at_once():
        dataset = tf.data.Dataset.from_tensor_slices(positions).batch(
            batch_size
        )
        dataset = dataset.map(one_batch, BATCHES_AT_ONCE, deterministic=True)
        if skip and not weigh:
            dataset = dataset.filter(lambda mels, _: tf.shape(mels)[0] > 0)
        return dataset

    if not load.may_keep:
        return one_by_one()
    most = load.keeps_most(tf.gather(order, positions))
    return tf.cond(most, at_once, one_by_one)


def _completed(mels, positions, missing, one_clip):
    """A batch with clips that were not kept, and which of its rows are clips.

    Args:
        mels: `(batch, frames, mel_bins)`.
        positions: int32 `(batch,)`, of the clips in their order.
        missing: int32 `(n,)`, rows of clips that are to be made.
        one_clip: see `make_batches`.
    """

    def padded(position):
        made, _, *weight = one_clip(position)
        frames = tf.shape(mels)[1] - tf.shape(made)[0]
        is_good = weight[0] > 0 if weight else frames == 0
        return tf.pad(made, [[0, frames], [0, 0]]), is_good

    found, are_good = tf.map_fn(
        padded,
        tf.gather(positions, missing),
        fn_output_signature=(tf.float32, tf.bool),
    )
    rows = missing[:, None]
    mels = tf.tensor_scatter_nd_update(mels, rows, found)
    stay = tf.ones(tf.shape(positions), tf.bool)
    return mels, tf.tensor_scatter_nd_update(stay, rows, are_good)
