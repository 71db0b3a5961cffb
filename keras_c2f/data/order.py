"""Which clips of an epoch's order are whose, and which are left."""

from keras_c2f.utils.optional import tf


def clips_to_read(order, usable, shard, start, training):
    """One worker's part of an epoch's order, from a place on.

    Args:
        order: int32 `(n,)` tensor of clip numbers, the same on all workers.
        usable: bool array over clip numbers; the others are no part of it.
        shard: pair of int, this worker's index and the number of workers.
        start: int, clips of that part that were read before.
        training: bool, drops the up to `count - 1` last clips of the order
            that would give some workers one more than others.

    Returns:
        int32 tensor: every `count`-th place of the order.
    """
    index, count = shard
    positions = tf.range(tf.shape(order)[0])
    if not usable.all():
        positions = tf.boolean_mask(positions, tf.gather(usable, order))
    if training:
        positions = positions[: tf.shape(positions)[0] // count * count]
    return positions[index::count][start:]


def count_steps(num_clips, batch_size, shard, start_step, training):
    """Batches that each worker has left in an epoch.

    Args:
        num_clips: int, length of the order.
        batch_size: int, of one worker.
        shard, training: as in `clips_to_read`.
        start_step: int, batches read before.

    Raises:
        ValueError: if some workers had a batch more than others, which would
            wait for them for ever, or the epoch has no batch left.
    """
    count = shard[1]
    fewest, most = num_clips // count, -(-num_clips // count)
    if training:
        most = fewest
    steps = {-(-clips // batch_size) for clips in (fewest, most)}
    if len(steps) > 1:
        raise ValueError(
            f"{num_clips} clips on {count} workers in batches of {batch_size} "
            "leave some workers without a last batch. Choose another "
            "`batch_size`."
        )
    (steps,) = steps
    if not 0 <= start_step < steps:
        raise ValueError(
            f"The epoch has {steps} batches a worker, counted from 0. "
            f"Received: start_step={start_step}."
        )
    return steps - start_step


def check_shard(shard):
    """Refuses what is not `(index, count)` with `0 <= index < count`."""
    if len(shard) != 2 or not 0 <= shard[0] < shard[1]:
        raise ValueError(
            "`shard` is this worker's index, from 0, and the number of "
            f"workers. Received: shard={shard!r}."
        )
    return tuple(shard)
