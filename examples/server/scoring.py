"""The model, and the batches it scores."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime


class Model:
    """A classifier that `keras-c2f export` wrote.

    Args:
        path: str, an ONNX file.

    Attributes:
        class_names: list of str, in the order of the scores.
        sample_rate: int, Hz.
        num_samples: int, samples of a window.

    Raises:
        ValueError: if the file does not describe its classes, or has a fixed
            batch.
    """

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        # Idle threads that spin take the cores that HTTP and decoding need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options)
        properties = self._session.get_modelmeta().custom_metadata_map
        if "keras_c2f" not in properties:
            raise ValueError(
                f"{path} does not describe its classes. Serve a file that "
                "`keras-c2f export` wrote."
            )
        if isinstance(self._session.get_inputs()[0].shape[0], int):
            raise ValueError(
                f"{path} takes a fixed number of windows at once. Export it "
                "without --batch-size."
            )
        info = json.loads(properties["keras_c2f"])
        self.class_names = info["class_names"]
        self.sample_rate = info["sample_rate"]
        self.num_samples = info["num_samples"]

    def windows(self, samples, overlap):
        """Cuts a recording.

        Args:
            samples: `(samples,)`.
            overlap: float below 1, the share that the next window repeats.

        Returns:
            list of starts and list of windows, as keras_c2f places them. The
            last window ends with the recording; a recording shorter than a
            window is one, not padded.
        """
        last = max(len(samples) - self.num_samples, 0)
        hop = max(int(self.num_samples * (1 - overlap) + 0.5), 1)
        starts = [*range(0, last, hop), last]
        return starts, [samples[s : s + self.num_samples] for s in starts]

    def scores(self, windows):
        """float32 `(batch, num_classes)` of windows of up to `num_samples`."""
        waveform = np.zeros((len(windows), self.num_samples), "float32")
        for row, window in zip(waveform, windows, strict=True):
            row[: len(window)] = window
        counts = np.array([len(window) for window in windows], "int32")
        feeds = {"waveform": waveform, "num_samples": counts}
        return self._session.run(["scores"], feeds)[0]


class Batcher:
    """Joins windows of concurrent requests; while one batch runs, one gathers.

    Args:
        scores: function of a list of windows to an array of rows.
        max_batch: int, windows in a batch.
        wait_ms: float, how long the first one waits for others.
    """

    def __init__(self, scores, max_batch, wait_ms):
        self._scores = scores
        self._max_batch = max_batch
        self._wait_seconds = wait_ms / 1000
        self._queue = asyncio.Queue()

    async def scores(self, windows):
        """Rows of one request.

        At most a batch of its windows queues at a time, so that a long
        recording does not keep short ones waiting.
        """
        rows = []
        for first in range(0, len(windows), self._max_batch):
            futures = []
            for window in windows[first : first + self._max_batch]:
                futures.append(asyncio.get_running_loop().create_future())
                self._queue.put_nowait((window, futures[-1]))
            rows += await asyncio.gather(*futures)
        return rows

    async def run(self):
        """Scores batches until it is cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:
            while True:
                batch = [await self._queue.get()]
                if self._queue.qsize() + 1 < self._max_batch:
                    await asyncio.sleep(self._wait_seconds)
                while len(batch) < self._max_batch and not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                windows, futures = zip(*batch, strict=True)
                job = loop.run_in_executor(thread, self._scores, windows)
                (rows,) = await asyncio.gather(job, return_exceptions=True)
                for i, future in enumerate(futures):
                    if future.done():  # cancelled
                        continue
                    if isinstance(rows, Exception):
                        future.set_exception(rows)
                    else:
                        future.set_result(rows[i])
