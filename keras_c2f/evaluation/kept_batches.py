"""Batches that are scored after every epoch, kept in memory."""

LIMIT_MB = 256


class KeptBatches:
    """Batches of a set that is read again and again, if it is small.

    TensorFlow takes half a second to begin reading a set, and longer to make
    its log-mel; a small network scores all of its clips in less.

    Args:
        dataset: `tf.data.Dataset` of the same batches whenever it is read at
            the same resolution.
        limit_mb: float, what may be kept.
    """

    def __init__(self, dataset, limit_mb=LIMIT_MB):
        self._dataset = dataset
        self._limit = limit_mb * 1e6
        self._resolution = None
        self._batches = []

    def at(self, resolution):
        """Iterable of tuples of arrays. One resolution is kept at a time.

        Args:
            resolution: `Resolution` that the pipeline of the set is set to.
        """
        if resolution != self._resolution:
            self._resolution, self._batches = resolution, []
        return self._batches or self._read()

    def _read(self):
        batches, size = [], 0
        for batch in self._dataset:
            batch = tuple(part.numpy() for part in batch)
            size += sum(part.nbytes for part in batch)
            if size <= self._limit:
                batches.append(batch)
            yield batch
        if size <= self._limit:
            self._batches = batches
