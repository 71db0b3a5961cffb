"""Which clips of an epoch's order are whose, and which are left."""

from typing import NamedTuple

import numpy as np

from keras_c2f.utils.optional import tf


class Share(NamedTuple):
    """What one worker reads of each epoch.

    Args:
        usable: bool array over clip numbers; the others are no part of it.
        shard: pair of int, this worker's index and the number of workers.
        start_step: int, batches of the epoch that were read before.
        pads: bool, fills the last batch with clips of number -1; otherwise
            the up to `count - 1` last clips of the order, which would give
            some workers one more than others, are dropped.
    """

    usable: np.ndarray
    shard: tuple[int, int] = (0, 1)
    start_step: int = 0
    pads: bool = False

    def steps(self, batch_size):
        """Batches that are left of an epoch.

        Raises:
            ValueError: if there are none.
        """
        num_clips, (_, count) = self.usable.sum(), self.shard
        clips = -(-num_clips // count) if self.pads else num_clips // count
        steps = -(-clips // batch_size)
        if not 0 <= self.start_step < steps:
            raise ValueError(
                f"The epoch has {steps} batches a worker, counted from 0. "
                f"Received: start_step={self.start_step}."
            )
        return steps - self.start_step

    def clips(self, order, batch_size):
        """The clips that are left of an epoch: every `count`-th.

        Args:
            order: int32 `(n,)` tensor of clip numbers, the same on all
                workers.
            batch_size: int or integer scalar tensor.

        Returns:
            Pair of int32 `(m,)` tensors: positions in the order, and the
            numbers of the clips there.
        """
        index, count = self.shard
        batch_size = tf.cast(batch_size, tf.int32)
        size = tf.shape(order)[0]
        positions = tf.range(size)
        if not self.usable.all():
            positions = tf.boolean_mask(
                positions, tf.gather(self.usable, order)
            )
        found = tf.shape(positions)[0]
        if self.pads:
            missing = -found % (batch_size * count)
            positions = tf.concat([positions, tf.fill([missing], size)], 0)
        else:
            positions = positions[: found // count * count]
        positions = positions[index::count][self.start_step * batch_size :]
        return positions, tf.gather(tf.concat([order, [-1]], 0), positions)


def check_shard(shard):
    """Refuses what is not `(index, count)` with `0 <= index < count`."""
    if len(shard) != 2 or not 0 <= shard[0] < shard[1]:
        raise ValueError(
            "`shard` is this worker's index, from 0, and the number of "
            f"workers. Received: shard={shard!r}."
        )
    return tuple(shard)
