"""Which clips of an epoch's order are whose, and which are left."""

from keras_c2f.utils.optional import tf


def clips_to_read(order, usable, shard, start, pad_to=0):
    """One worker's part of an epoch's order, from a place on.

    Args:
        order: int32 `(n,)` tensor of clip numbers, the same on all workers.
        usable: bool array over clip numbers; the others are no part of it.
        shard: pair of int, this worker's index and the number of workers.
        start: int, clips of that part that were read before.
        pad_to: int, makes each part a multiple of this by places of no clip,
            which are `n`; 0 drops the up to `count - 1` last clips of the
            order that would give some workers one more than others.

    Returns:
        int32 tensor: every `count`-th place of the order.
    """
    index, count = shard
    size = tf.shape(order)[0]
    positions = tf.range(size)
    if not usable.all():
        positions = tf.boolean_mask(positions, tf.gather(usable, order))
    found = tf.shape(positions)[0]
    if pad_to:
        missing = -found % (pad_to * count)
        positions = tf.concat([positions, tf.fill([missing], size)], 0)
    else:
        positions = positions[: found // count * count]
    return positions[index::count][start:]


def count_steps(num_clips, batch_size, count, start_step, pads=False):
    """Batches that each worker has left in an epoch.

    Args:
        num_clips: int, length of the order.
        batch_size: int, of one worker.
        count: int, workers.
        start_step: int, batches read before.
        pads: bool, whether parts are padded to whole batches.

    Raises:
        ValueError: if the epoch has no batch left.
    """
    clips = -(-num_clips // count) if pads else num_clips // count
    steps = -(-clips // batch_size)
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
