"""Decoded sound kept in memory between epochs."""

import os
import threading

import numpy as np

from keras_c2f.data.decode import SoundError, load_sound
from keras_c2f.data.shards import Record


class SoundCache:
    """Loads sounds; keeps the decoded files, up to a size, and the bad ones.

    Nothing is dropped from it: an epoch visits all files once, so what was
    used longest ago is needed as soon as any other.

    Args:
        sample_rate: int, Hz.
        decoder: str, see `load_sound`.
        cache_mb: float, room for decoded files.

    Attributes:
        bad: dict from the names of unusable sounds to the reason.
    """

    def __init__(self, sample_rate, decoder, cache_mb):
        self.bad = {}
        self._options = (sample_rate, decoder)
        self._free = cache_mb * 2**20
        self._lock = threading.Lock()  # called from tf.data's threads
        self._samples = {}

    def load(self, sound, index):
        """float32 `(samples,)` of a path, array or prepared `Record`.

        A record of log-mel gives float16 `(frames, mel_bins)`.

        Raises:
            SoundError: naming the path, or the array by its `index`.
        """
        if isinstance(sound, Record):  # quick to read: not kept
            return self._load(sound, None)
        if not isinstance(sound, (str, os.PathLike)):
            return self._load(sound, f"array number {index}")
        path = os.fspath(sound)
        if path in self.bad:
            raise SoundError(path, self.bad[path])
        if path in self._samples:
            return self._samples[path]
        samples = self._load(path, path)
        with self._lock:
            if samples.nbytes <= self._free and path not in self._samples:
                self._samples[path] = samples
                self._free -= samples.nbytes
        return samples

    def usable(self, sounds):
        """bool `(n,)`, false for paths and records known to be bad."""
        with self._lock:
            for sound in sounds:
                if isinstance(sound, Record) and sound.problem:
                    name, reason = sound.problem
                    self.bad[name] = reason
        return np.array([self._is_usable(sound) for sound in sounds])

    def _is_usable(self, sound):
        if isinstance(sound, Record):
            return not sound.problem
        is_path = isinstance(sound, (str, os.PathLike))
        return not is_path or os.fspath(sound) not in self.bad

    def _load(self, sound, name):
        try:
            if isinstance(sound, Record):
                return sound.load()
            return load_sound(sound, *self._options)
        except SoundError as error:
            name = name or error.path
            with self._lock:
                self.bad[name] = error.reason
            raise SoundError(name, error.reason) from error
