"""What a network is fed, at the resolution of an epoch."""

from typing import NamedTuple

from keras_c2f.data import features
from keras_c2f.utils.optional import tf


class Compression(NamedTuple):
    """`Resolution` of one epoch as scalar tensors: int32, int32, bool."""

    shift: object
    pool: object
    use_max: object

    @property
    def factor(self):
        """How many frames become one."""
        return self.shift * self.pool


class Features:
    """What a network is fed in one epoch: log-mel, or the waveform.

    Args:
        frontend: `Frontend`.
        num_frames: int, frames at full resolution.
        compression: `Compression`.
        waveform_size: int, samples of a clip where these are wanted, padded
            with zeros; else `None`.
        keep_all: bool, an unreadable recording is silence, not nothing.
    """

    def __init__(
        self,
        frontend,
        num_frames,
        compression,
        waveform_size=None,
        keep_all=False,
    ):
        self.compression = compression
        self._keep_all = keep_all
        self._frontend = frontend
        self._num_frames = num_frames
        self._waveform_size = waveform_size

    def of_clip(self, audio, kept):
        """`(samples,)` -> `(frames, mel_bins)` or `(samples,)`.

        Prepared log-mel, `(frames, mel_bins)`, is padded, normalised and
        compressed; so is `kept` log-mel in place of a recording, if it has
        frames. Nothing, `(0, ...)`, of an unreadable recording, unless
        silence is wanted.
        """
        length = tf.shape(audio)[0]
        if self._waveform_size is not None:
            size = self._waveform_size
            padded = tf.pad(audio, [[0, size - length]])
            return self._kept(padded, length)
        if kept is None:
            mels = self.log_mel(audio)
        else:
            num_kept = tf.shape(kept)[0]
            length = tf.maximum(length, num_kept)
            mels = tf.cond(
                num_kept > 0,
                lambda: self.log_mel(kept),
                lambda: self.log_mel(audio),
            )
        mels = self._kept(mels, length)
        mels.set_shape([None, self._frontend.num_mel_bins])
        return mels

    def _kept(self, features, length):
        """Features of a recording of that length; nothing of one of 0."""
        if self._keep_all:
            return features
        return features[: tf.where(length > 0, tf.shape(features)[0], 0)]

    def log_mel(self, audio):
        """Normalised, compressed log-mel.

        Args:
            audio: `(samples,)`, or log-mel `(..., frames, mel_bins)`.

        Returns:
            `(..., frames, mel_bins)`.
        """
        log_mel = features.stored_log_mel
        if audio.shape.rank == 1:
            log_mel = features.log_mel
            # an unreadable one: there is no reflecting about no sample
            missing = tf.cast(tf.shape(audio)[0] == 0, tf.int32)
            audio = tf.pad(audio, [[0, missing]])
        shift, pool, use_max = self.compression
        mels = log_mel(audio, self._frontend, self._num_frames, shift)
        return features.pool(mels, pool, use_max)
