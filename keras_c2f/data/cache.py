"""Decoded sound kept in memory between epochs."""

import os
import threading

import numpy as np

from keras_c2f.data.decode import SoundError, load_crop
from keras_c2f.data.excerpt import crop_start
from keras_c2f.data.shards import Record


class SoundCache:
    """Loads sounds; keeps the decoded files, up to a size; notes bad ones.

    Nothing is dropped from it: an epoch visits all files once, so what was
    used longest ago is needed as soon as any other. Files so long that they
    are read in part are not kept, and not refused for good: another part of
    them may be sound.

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

    def load(self, sound, index, size, place):
        """A crop of a path, array or prepared `Record`.

        Args:
            sound: path, array or `Record`.
            index: int, its number, which names an array.
            size: int, samples of the crop; frames of a record of log-mel;
                `None` for the whole sound.
            place: float, where it begins: see `crop_start`.

        Returns:
            float32 `(samples,)`, of a record of log-mel float16
            `(frames, mel_bins)`; all of a sound that is shorter.

        Raises:
            SoundError: naming the path, or the array by its `index`.
        """
        is_path = isinstance(sound, (str, os.PathLike))
        name = os.fspath(sound) if is_path else f"array number {index}"
        samples, is_whole = self._samples.get(name), True
        if samples is None:
            samples, is_whole = self._read(sound, name, size, place)
        if not is_whole:
            return samples
        if is_path:
            self._keep(name, samples)
        if size is None:
            return samples
        start = crop_start(len(samples), size, place)
        return samples[start : start + size]

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

    def _read(self, sound, name, size, place):
        """Samples, and whether these are all, or the crop alone."""
        is_record = isinstance(sound, Record)
        try:
            if is_record:
                return sound.load(), True
            return load_crop(sound, *self._options, size, place)
        except SoundError as error:
            name = error.path if is_record else name
            with self._lock:
                self.bad[name] = error.reason
            raise SoundError(name, error.reason) from error

    def _keep(self, name, samples):
        with self._lock:
            if samples.nbytes <= self._free and name not in self._samples:
                self._samples[name] = samples
                self._free -= samples.nbytes
