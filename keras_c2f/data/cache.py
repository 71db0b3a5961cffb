"""Decoded audio, or its log-mel, kept in memory between epochs."""

import os
import threading

import numpy as np

from keras_c2f.audio.decode import AudioError, load_crop
from keras_c2f.audio.excerpt import crop_start
from keras_c2f.audio.fingerprint import file_version
from keras_c2f.data import features
from keras_c2f.data.shards import Record
from keras_c2f.utils.optional import tf


class ArrayCache:
    """Arrays by key, up to a size in all.

    Nothing is dropped to make room: an epoch visits all files once, so what
    was used longest ago is needed as soon as any other. What was kept of a
    file is dropped when the file changes; one that is gone is still served.

    Args:
        megabytes: float.
    """

    def __init__(self, megabytes):
        self._free = megabytes * 2**20
        self._lock = threading.Lock()  # called from tf.data's threads
        self._arrays = {}
        self._versions = {}

    def fits(self, num_bytes):
        """bool, whether there is room for as much."""
        return num_bytes <= self._free

    def __contains__(self, key):
        return self.get(key) is not None

    def get(self, key):
        """The array of that key, or `None`."""
        array, kept = self._arrays.get(key), self._versions.get(key)
        if array is None or kept is None:
            return array
        now = file_version(kept[0])
        if len(now) == 1 or now == kept:
            return array
        with self._lock:
            if self._arrays.get(key) is array:
                del self._arrays[key], self._versions[key]
                self._free += array.nbytes
        return None

    def keep(self, key, array, path=None):
        """Keeps an array, if there is room and none of that key.

        Args:
            key: hashable.
            array: array.
            path: str, the file that it was made of, or `None`.

        Returns:
            bool, whether it did.
        """
        with self._lock:
            if key in self._arrays or not self.fits(array.nbytes):
                return False
            if path is not None:
                self._versions[key] = file_version(path)
            self._arrays[key] = array
            self._free -= array.nbytes
            return True


class AudioCache:
    """Loads recordings; keeps the decoded files; notes bad ones.

    Files so long that they are read in part are not kept, and not refused for
    good: another part of them may be intact.

    Args:
        sample_rate: int, Hz.
        decoder: str, see `load_audio`.
        cache: `ArrayCache`, or `None` to keep nothing.

    Attributes:
        bad: dict from the names of unusable recordings to the reason.
    """

    def __init__(self, sample_rate, decoder, cache=None):
        self.bad = {}
        self._options = (sample_rate, decoder)
        self._cache = cache or ArrayCache(0)
        self._lock = threading.Lock()  # called from tf.data's threads

    def load(self, audio, index, size, position):
        """A crop of a path, array or prepared `Record`; see `crop`."""
        return self.crop(audio, index, size, position)[0]

    def crop(self, audio, index, size, position, keep_whole=True):
        """A crop of a path, array or prepared `Record`.

        Args:
            audio: path, array or `Record`.
            index: int, its number, which names an array.
            size: int, samples of the crop; frames of a record of log-mel;
                `None` for the whole recording.
            position: float, where it begins: see `crop_start`.
            keep_whole: bool, keeps a recording also if the crop is all of it.

        Returns:
            float32 `(samples,)`, of a record of log-mel float16
            `(frames, mel_bins)`; all of a recording that is shorter. And a
            bool, whether the crop is all of the recording.

        Raises:
            AudioError: naming the path, or the array by its `index`.
        """
        is_path = isinstance(audio, (str, os.PathLike))
        name = os.fspath(audio) if is_path else f"array number {index}"
        samples, is_read = self._cache.get(name), True
        if samples is None:
            samples, is_read = self._read(audio, name, size, position)
        if not is_read:
            return samples, False
        is_whole = size is None or len(samples) <= size
        if is_path and (keep_whole or not is_whole):
            self._cache.keep(name, samples, name)
        if is_whole:
            return samples, True
        start = crop_start(len(samples), size, position)
        return samples[start : start + size], False

    def usable(self, recordings):
        """bool `(n,)`, false for paths and records known to be bad."""
        with self._lock:
            for audio in recordings:
                if isinstance(audio, Record) and audio.problem:
                    name, reason = audio.problem
                    self.bad[name] = reason
        return np.array([self._is_usable(audio) for audio in recordings])

    def _is_usable(self, audio):
        if isinstance(audio, Record):
            return not audio.problem
        is_path = isinstance(audio, (str, os.PathLike))
        return not is_path or os.fspath(audio) not in self.bad

    def _read(self, audio, name, size, position):
        """Samples, and whether these are all, or the crop alone."""
        is_record = isinstance(audio, Record)
        try:
            if is_record:
                return audio.load(), True
            return load_crop(audio, *self._options, size, position)
        except AudioError as error:
            name = error.path if is_record else name
            with self._lock:
                self.bad[name] = error.reason
            raise AudioError(name, error.reason) from error


class LogMelCache:
    """Keeps log-mel of whole clips, at full resolution.

    Args:
        frontend: `Frontend`.
        num_frames: int T, the most that are kept of a clip.
        cache: `ArrayCache`.

    Attributes:
        mel_bins: int.
    """

    def __init__(self, frontend, num_frames, cache):
        self.mel_bins = frontend.num_mel_bins
        self._frontend = frontend
        self._num_frames = num_frames
        self._cache = cache
        self._owners = []

    @property
    def has_room(self):
        """bool, for one clip more, of any length."""
        return self._cache.fits(4 * self._num_frames * self.mel_bins)

    def get(self, audio):
        """float32 `(frames, mel_bins)`, `None` if not kept.

        A copy, as TensorFlow may compute in place.
        """
        mels = self._cache.get(_key(audio))
        return None if mels is None else mels.copy()

    def has(self, audio):
        """bool, whether its log-mel is kept."""
        return _key(audio) in self._cache

    def stack(self, recordings):
        """Copies of what is kept of recordings, padded at the end.

        Returns:
            float32 `(n, num_frames, mel_bins)`, not normalised; padding alone
            where nothing is kept.
        """
        shape = len(recordings), self._num_frames, self.mel_bins
        stacked = np.full(shape, self._frontend.padding, "float32")
        for row, audio in zip(stacked, recordings, strict=True):
            mels = self._cache.get(_key(audio))
            if mels is not None:
                row[: len(mels)] = mels
        return stacked

    def add(self, recordings, index, samples):
        """Keeps log-mel of a clip, if there is room; inside a graph.

        Args:
            recordings: sequence of paths, arrays and `Record`s.
            index: int32 scalar tensor, which of them.
            samples: float32 `(samples,)` tensor, all of it, at least one.

        Returns:
            float32 `(frames, mel_bins)`, not normalised: up to `num_frames`,
            at least one.
        """

        def keep(index, mels, num_samples):
            # a clip shorter than a window is a frame of padding
            frames = max(self._frontend.num_frames(int(num_samples)), 1)
            mels, audio = mels[:frames].copy(), recordings[index]
            is_path = isinstance(audio, (str, os.PathLike))
            path = os.fspath(audio) if is_path else None
            if self._cache.keep(_key(audio), mels, path):
                self._owners.append(audio)  # or another might have its id
            return mels.copy()

        mels = features.log_mel(
            samples, self._frontend, self._num_frames, normalize=False
        )
        return tf.numpy_function(
            keep, [index, mels, tf.size(samples)], tf.float32
        )


def _key(audio):
    """Key of the log-mel of a recording, unique in a cache."""
    if isinstance(audio, (str, os.PathLike)):
        return "log-mel", os.fspath(audio)
    return "log-mel", audio if isinstance(audio, Record) else id(audio)
