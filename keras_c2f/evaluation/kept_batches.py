"""Batches that are scored after every epoch, kept in memory."""

LIMIT_MB = 256


class KeptBatches:
    """Batches of clips that are read again and again, kept if they are few.

    Beginning a set and computing its log-mel take longer than a small network
    takes to score the clips.

    Args:
        pipeline: `AudioPipeline`.
        clips: `Clips`.
        limit_mb: float, what may be kept.
    """

    def __init__(self, pipeline, clips, limit_mb=LIMIT_MB):
        self._pipeline = pipeline
        self._clips = clips
        self._limit = limit_mb * 1e6
        self._dataset = None
        self._resolution = None
        self._batches = []

    def at(self, resolution):
        """Iterable of tuples of arrays. One resolution is kept at a time.

        Args:
            resolution: `Resolution` that the pipeline is set to when they are
                read.
        """
        if resolution != self._resolution:
            self._resolution, self._batches = resolution, []
        return self._batches or self._read()

    def _read(self):
        if self._dataset is None:
            self._dataset = self._pipeline.dataset(self._clips)
        batches, size = [], 0
        for batch in self._dataset:
            batch = tuple(part.numpy() for part in batch)
            size += sum(part.nbytes for part in batch)
            if size <= self._limit:
                batches.append(batch)
            yield batch
        if size <= self._limit:
            self._batches = batches
