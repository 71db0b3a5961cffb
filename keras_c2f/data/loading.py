"""Clips of one set, loaded inside a `tf.data` graph."""

import numpy as np

from keras_c2f.audio.decode import AudioError
from keras_c2f.utils.optional import tf

# Of an epoch's clips: more that have to be loaded are so one by one, as many
# at a time as there are cores. A batch that has all loads its few in turn.
FEW = 1 / 8


class ClipLoader:
    """Loads crops of clips; log-mel in their place, where it is kept.

    Args:
        clips: `Clips`.
        recordings: `AudioCache` or `CorruptedAudio`.
        size: int, length of a crop: samples, or frames of prepared log-mel.
        empty: array `(0, ...)` of a crop's type; stands for a bad recording.
        crops: int, windows a clip.
        log_mels: `LogMelCache`, or `None` where samples are needed.
        raises: bool, a bad recording ends the set with TensorFlow's error.
    """

    def __init__(self, clips, recordings, size, empty, crops, log_mels, raises):
        self._clips = clips
        self._audio = recordings
        self._size = size
        self._nothing = np.stack([empty] * crops)
        self._log_mels = log_mels
        self._raises = raises
        self._bad = set()  # numbers of clips that could not be loaded

    @property
    def may_keep(self):
        """bool, whether log-mel is kept, as far as there is room."""
        return self._log_mels is not None

    def __call__(self, index, position):
        """One clip.

        Args:
            index: int32 scalar tensor, its number; -1 is no clip, which is
                like a bad recording.
            position: float32 scalar tensor, where a single crop begins, see
                `crop_start`; several are spread evenly.

        Returns:
            crops, `(crops, samples)` float32 or, of prepared log-mel,
            `(crops, frames, mel_bins)` float16: all of a recording that is
            shorter, nothing of a bad one, or of one whose log-mel is kept.
            log-mel, as `LogMelCache` has it; no frame if it has none, `None`
            without a cache.
            target, `(num_classes,)`.
        """
        samples, mels, is_new, target, problem = tf.numpy_function(
            self._load,
            [index, position],
            [self._nothing.dtype, tf.float32, tf.bool, tf.float32, tf.string],
        )
        crops, _, *bins = self._nothing.shape
        samples.set_shape([crops, None, *bins])
        target.set_shape([self._clips.num_classes])
        if self._raises:
            with tf.control_dependencies(
                [tf.debugging.Assert(problem == "", [problem])]
            ):
                samples = tf.identity(samples)
        if not self._log_mels:
            return samples, None, target
        add, recordings = self._log_mels.add, self._clips.audio
        mels = tf.cond(
            is_new, lambda: add(recordings, index, samples[0]), lambda: mels
        )
        mels.set_shape([None, self._log_mels.mel_bins])
        return samples, mels, target

    def keeps_most(self, indices):
        """Whether `batch` has all of these clips but a few that may be loaded.

        None of the few is known to be bad: batches would be odd sizes.

        Args:
            indices: int32 `(n,)` tensor, their numbers.

        Returns:
            bool scalar tensor.
        """

        def most_kept(indices):
            indices = indices[indices >= 0]
            others = indices[self._not_kept(indices)].tolist()
            if len(others) > FEW * len(indices):
                return False
            recordings = [self._clips.audio[index] for index in others]
            usable = self._audio.usable(recordings)
            return bool(usable.all()) and self._bad.isdisjoint(others)

        return tf.ensure_shape(
            tf.numpy_function(most_kept, [indices], tf.bool), []
        )

    def batch(self, indices):
        """Log-mel of clips, as far as it is kept, all in one call.

        Args:
            indices: int32 `(batch,)` tensor, their numbers.

        Returns:
            float32 `(batch, num_frames, mel_bins)`, log-mel as `LogMelCache`
            stacks it; targets `(batch, num_classes)`; and the rows whose
            log-mel is not kept, int32 `(n,)`.
        """

        def load(indices):
            recordings = [self._clips.audio[i] for i in indices]
            targets = [self._clips.target(i) for i in indices]
            missing = self._not_kept(indices)
            return self._log_mels.stack(recordings), np.stack(targets), missing

        mels, targets, missing = tf.numpy_function(
            load, [indices], [tf.float32, tf.float32, tf.int32]
        )
        mels.set_shape([None, None, self._log_mels.mel_bins])
        targets.set_shape([None, self._clips.num_classes])
        missing.set_shape([None])
        return mels, targets, missing

    def _not_kept(self, indices):
        """int32, places in `indices` of clips whose log-mel is not kept."""
        has, recordings = self._log_mels.has, self._clips.audio
        return np.flatnonzero(
            [index < 0 or not has(recordings[index]) for index in indices]
        ).astype("int32")

    def _load(self, index, position):
        """Crops, log-mel, whether to keep that of the crop, target, problem."""
        audio, target = self._clips.audio[index], self._clips.target(index)
        kept, has_room, no_mels = None, False, np.zeros((0, 0), "float32")
        if self._log_mels:
            no_mels = np.zeros((0, self._log_mels.mel_bins), "float32")
        if index < 0:
            return self._nothing, no_mels, False, np.zeros_like(target), ""
        if self._log_mels:
            kept, has_room = self._log_mels.get(audio), self._log_mels.has_room
        if kept is not None:
            return self._nothing, kept, False, target, ""
        try:
            found = [
                self._audio.crop(
                    audio, index, self._size, start, keep_whole=not has_room
                )
                for start in self._positions(position)
            ]
        except AudioError as error:
            self._bad.add(int(index))
            return self._nothing, no_mels, False, target, str(error)
        self._bad.discard(int(index))
        # stacked, a copy: TensorFlow may compute in place, upon the caller's
        samples = np.stack([crop for crop, _ in found])
        is_new = has_room and found[0][1]
        return samples, no_mels, is_new, target, ""

    def _positions(self, position):
        """Where crops begin, see `crop_start`."""
        crops = len(self._nothing)
        return [float(position)] if crops == 1 else np.linspace(0, 1, crops)
