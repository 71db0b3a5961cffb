"""Clips as waveforms in NumPy, for loaders other than `tf.data`."""

from typing import Any

import keras
import numpy as np

from keras_c2f.data.cache import AudioCache
from keras_c2f.data.clips import Clips
from keras_c2f.data.pipeline import CROPS
from keras_c2f.data.shards import are_log_mel
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.resolution import Resolution
from keras_c2f.utils.values import Choice, Number


class WaveformSource:
    """Random access to `(waveform, target)` of `Clips`, without TensorFlow.

    For networks with the front end inside,
    `AudioClassifier(input_kind="waveform")`, which compress in each phase. A
    PyTorch `DataLoader` and `grain.MapDataset.source` take it as it is, and
    `WaveformBatches` makes a `keras.utils.PyDataset` of it.

    Args:
        clips: `Clips` of files, arrays or prepared waveforms.
        frontend: `Frontend`, for its sample rate.
        num_samples: int, what clips are cut or zero-padded to.
        crop: `"random"`, longer clips are cut anywhere, in another place in
            each epoch; or `"leading"`, at their start, as in evaluation.
        seed: int, of the crops.

    Attributes:
        epoch: int, from which crops follow. Copies in processes of a
            `DataLoader` have what it was when an iterator was made; with
            `persistent_workers` that is the first one's.

    Raises:
        ValueError: if an argument is none of these, or `clips` are prepared
            log-mel.

    Example:
        >>> from keras_c2f.data import Clips
        >>> from keras_c2f.layers import Frontend
        >>> clips = Clips([np.ones(5, "float32")] * 2, [0, 1], "ab")
        >>> source = WaveformSource(clips, Frontend(), num_samples=6)
        >>> waveform, target = source[1]
        >>> len(source), waveform.tolist(), target.tolist()
        (2, [1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 1.0])
    """

    def __init__(
        self,
        clips: Clips,
        frontend: Frontend,
        num_samples: int,
        crop: str = "leading",
        seed: int = 0,
    ):
        Number(int, at_least=1).check("num_samples", num_samples)
        Choice(CROPS).check("crop", crop)
        are_log_mel(clips.audio, frontend, "WaveformSource")  # refuses them
        self.clips = clips
        self.num_samples = num_samples
        self.crop = crop
        self.seed = seed
        self.epoch = 0
        self._sample_rate = frontend.sample_rate
        self._audio = AudioCache(frontend.sample_rate, "soundfile")

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """float32 `(num_samples,)` and `(num_classes,)` of a clip.

        Raises:
            AudioError: if the recording cannot be used; names it.
            IndexError: if there is no such clip.
        """
        index = range(len(self.clips))[index]
        position = 0.0
        if self.crop == "random":
            rng = np.random.default_rng([self.seed, self.epoch, index])
            position = rng.random()
        samples = self._audio.load(
            self.clips.audio[index], index, self.num_samples, position
        )
        waveform = np.zeros(self.num_samples, "float32")
        waveform[: len(samples)] = samples
        return waveform, self.clips.target(index)

    def __getstate__(self):
        """For processes of a loader; a lock cannot be sent there."""
        return {**self.__dict__, "_audio": None}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._audio = AudioCache(self._sample_rate, "soundfile")


class WaveformBatches(keras.utils.PyDataset):
    """Batches of a `WaveformSource` for `fit`, with any backend.

    Give it to `PhaseScheduler(schedule, data=batches)` too, and order, crops
    and batch sizes follow from the epoch, also in a resumed run. Otherwise it
    counts its epochs.

    Args:
        source: `WaveformSource`, or whatever has a length and pairs of arrays
            of one shape.
        batch_size: int. The last batch of an epoch may be smaller.
        shuffle: bool, each epoch has an order of its own.
        seed: int, of the order.
        **kwargs: of `keras.utils.PyDataset`: `workers`, which are threads
            here, and so on.

    Raises:
        ValueError: if `batch_size` is below 1.

    Example:
        >>> pairs = [(np.zeros(6), np.eye(2)[i % 2]) for i in range(5)]
        >>> [x.shape for x, y in WaveformBatches(pairs, batch_size=4)]
        [(4, 6), (1, 6)]
    """

    def __init__(
        self,
        source: WaveformSource,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        Number(int, at_least=1).check("batch_size", batch_size)
        self.source = source
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self._follows = False
        self._begin(0, batch_size)

    def set_phase(
        self,
        resolution: Resolution | str,
        epoch: int,
        batch_size: int | None = None,
    ) -> None:
        """What `PhaseScheduler` calls when an epoch begins.

        Args:
            resolution: not looked at: the network compresses.
            epoch: int, from which order and crops follow.
            batch_size: int. Default: that of this data set.
        """
        self._follows = True
        self._begin(epoch, batch_size or self.batch_size)

    def on_epoch_end(self) -> None:
        if not self._follows:
            self._begin(self._epoch + 1, self._size)

    def _begin(self, epoch, size):
        self._epoch, self._size = epoch, size
        self._order = np.arange(len(self.source))
        if self.shuffle:
            rng = np.random.default_rng([self.seed, epoch])
            self._order = rng.permutation(self._order)
        if hasattr(self.source, "epoch"):
            self.source.epoch = epoch

    def __len__(self):
        return -(-len(self.source) // self._size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Waveforms `(batch, num_samples)`, targets `(batch, num_classes)`."""
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches, and no {index}.")
        part = self._order[index * self._size : (index + 1) * self._size]
        pairs = [self.source[int(i)] for i in part]
        waveforms, targets = zip(*pairs, strict=True)
        return np.stack(waveforms), np.stack(targets)
