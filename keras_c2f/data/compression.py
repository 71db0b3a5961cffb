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


class PhaseVariables:
    """What `AudioPipeline.set_phase` sets, for graphs to read each epoch.

    Attributes:
        epoch: int32 variable.
        batch_size: int64 variable.
    """

    def __init__(self):
        with tf.device("CPU"):
            self._compression = Compression(
                tf.Variable(1), tf.Variable(1), tf.Variable(False)
            )
            self.epoch = tf.Variable(0)
            self.batch_size = tf.Variable(1, dtype=tf.int64)

    def assign(self, resolution, epoch, batch_size):
        """Sets all: a `Resolution` and two ints."""
        shift, pool, use_max = self._compression
        shift.assign(resolution.shift)
        pool.assign(resolution.pool)
        use_max.assign(resolution.pool_type == "max")
        self.epoch.assign(epoch)
        self.batch_size.assign(batch_size)

    def compression(self):
        """`Compression` of the moment."""
        return Compression(*(each.read_value() for each in self._compression))


class Features:
    """What a network is fed in one epoch: log-mel, or the waveform.

    Args:
        frontend: `Frontend`.
        num_frames: int, frames at full resolution.
        compression: `Compression`.
        waveform_size: int, samples of a clip where these are wanted, padded
            with zeros; else `None`.
    """

    def __init__(self, frontend, num_frames, compression, waveform_size=None):
        self.compression = compression
        self._frontend = frontend
        self._num_frames = num_frames
        self._waveform_size = waveform_size

    def of_clip(self, audio, kept):
        """`(samples,)` -> `(frames, mel_bins)` or `(samples,)`.

        Prepared log-mel, `(frames, mel_bins)`, is padded, normalised and
        compressed; so is `kept` log-mel in place of a recording, if it has
        frames. An unreadable recording, `(0, ...)`, is silence.
        """
        if self._waveform_size is not None:
            missing = self._waveform_size - tf.shape(audio)[0]
            return tf.pad(audio, [[0, missing]])
        if kept is None:
            mels = self.log_mel(audio)
        else:
            mels = tf.cond(
                tf.shape(kept)[0] > 0,
                lambda: self.log_mel(kept),
                lambda: self.log_mel(audio),
            )
        mels.set_shape([None, self._frontend.num_mel_bins])
        return mels

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
