"""Decoded sound, or its log-mel, kept in memory between epochs."""

import os
import threading

import numpy as np

from keras_c2f.data import features
from keras_c2f.data.decode import SoundError, load_crop
from keras_c2f.data.excerpt import crop_start
from keras_c2f.data.lazy import tf
from keras_c2f.data.shards import Record


class Room:
    """Arrays by name, up to a size in all.

    Nothing is dropped from it: an epoch visits all files once, so what was
    used longest ago is needed as soon as any other.

    Args:
        megabytes: float.
    """

    def __init__(self, megabytes):
        self._free = megabytes * 2**20
        self._lock = threading.Lock()  # called from tf.data's threads
        self._arrays = {}

    def fits(self, num_bytes):
        """bool, whether there is room for as much."""
        return num_bytes <= self._free

    def get(self, name):
        """The array of that name, or `None`."""
        return self._arrays.get(name)

    def keep(self, name, array):
        """Keeps an array if there is room and nothing of that name."""
        with self._lock:
            if self.fits(array.nbytes) and name not in self._arrays:
                self._arrays[name] = array
                self._free -= array.nbytes


class SoundCache:
    """Loads sounds; keeps the decoded files; notes bad ones.

    Files so long that they are read in part are not kept, and not refused for
    good: another part of them may be sound.

    Args:
        sample_rate: int, Hz.
        decoder: str, see `load_sound`.
        room: `Room`.

    Attributes:
        bad: dict from the names of unusable sounds to the reason.
    """

    def __init__(self, sample_rate, decoder, room):
        self.bad = {}
        self._options = (sample_rate, decoder)
        self._room = room
        self._lock = threading.Lock()  # called from tf.data's threads

    def load(self, sound, index, size, place):
        """A crop of a path, array or prepared `Record`; see `crop`."""
        return self.crop(sound, index, size, place)[0]

    def crop(self, sound, index, size, place, spares_whole=False):
        """A crop of a path, array or prepared `Record`.

        Args:
            sound: path, array or `Record`.
            index: int, its number, which names an array.
            size: int, samples of the crop; frames of a record of log-mel;
                `None` for the whole sound.
            place: float, where it begins: see `crop_start`.
            spares_whole: bool, keeps no sound that the crop is all of: the
                caller keeps what it makes of it.

        Returns:
            float32 `(samples,)`, of a record of log-mel float16
            `(frames, mel_bins)`; all of a sound that is shorter. And a bool,
            whether the crop is all of the sound.

        Raises:
            SoundError: naming the path, or the array by its `index`.
        """
        is_path = isinstance(sound, (str, os.PathLike))
        name = os.fspath(sound) if is_path else f"array number {index}"
        samples, is_read = self._room.get(name), True
        if samples is None:
            samples, is_read = self._read(sound, name, size, place)
        if not is_read:
            return samples, False
        is_whole = size is None or len(samples) <= size
        if is_path and not (is_whole and spares_whole):
            self._room.keep(name, samples)
        if is_whole:
            return samples, True
        start = crop_start(len(samples), size, place)
        return samples[start : start + size], False

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


class LogMelCache:
    """Keeps log-mel of whole clips, at full resolution.

    Args:
        frontend: `Frontend`.
        num_frames: int T.
        room: `Room`.

    Attributes:
        mel_bins: int.
    """

    def __init__(self, frontend, num_frames, room):
        self._frontend = frontend
        self._num_frames = num_frames
        self._room = room
        self._arrays = {}
        self.mel_bins = frontend.num_mel_bins

    @property
    def has_room(self):
        """bool, for one clip more."""
        return self._room.fits(4 * self._num_frames * self.mel_bins)

    def get(self, sound):
        """float32 `(num_frames, mel_bins)`, a copy; `None` if not kept."""
        mels = self._room.get(self._name(sound))
        return None if mels is None else mels.copy()

    def add(self, sounds, index, samples):
        """Keeps log-mel of a clip, if there is room; inside a graph.

        Args:
            sounds: sequence of paths, arrays and `Record`s.
            index: int32 scalar tensor, which of them.
            samples: float32 `(samples,)` tensor, all of it, at least one.

        Returns:
            float32 `(num_frames, mel_bins)`, not normalised.
        """

        def keep(index, mels):
            self._room.keep(self._name(sounds[index]), mels.copy())
            return mels

        mels = features.log_mel(
            samples, self._frontend, self._num_frames, normalize=False
        )
        return tf.numpy_function(keep, [index, mels], tf.float32)

    def _name(self, sound):
        """What tells a sound from all others in the room."""
        if not isinstance(sound, (str, os.PathLike, Record)):
            self._arrays[id(sound)] = sound  # or another might have its id
            sound = id(sound)
        return "log-mel", sound
