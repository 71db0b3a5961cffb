"""Waveform to log-mel spectrogram, exactly as AST's checkpoints expect it.

`Frontend` is the one description of the maths: sizes, window, mel matrix,
floor, statistics. `LogMel` runs it inside a model with `keras.ops`;
`keras_c2f.data.features` runs it inside `tf.data`.

The features are those of `torchaudio.compliance.kaldi.fbank` as AST calls it
(htk_compat, no energy, Hann, no dither). Per clip: remove the mean; cut frames
without edge padding. Per frame: remove the mean, pre-emphasise (the first
sample by itself), window, power spectrum, mel, natural log with a floor. Then
pad with zeros or cut to a fixed number of frames, and only then normalise, so
that padding has the value `-mean / (2 std)`.

Reference: Gong, Chung, Glass, "AST: Audio Spectrogram Transformer", 2021, and
its repository YuanGongND/ast, `src/dataloader.py`.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_c2f.resolution import Resolution

LOG_FLOOR = 1.1920929e-07  # float32 epsilon, as in Kaldi


def hz_to_mel(hz):
    """Kaldi's mel scale, `1127 ln(1 + f / 700)`: HTK's, natural log."""
    return 1127.0 * np.log1p(np.asarray(hz) / 700.0)


@dataclasses.dataclass(frozen=True)
class Frontend:
    """Sizes and constants of the log-mel spectrogram.

    Args:
        sample_rate: int, Hz.
        num_mel_bins: int.
        frame_length_ms, frame_shift_ms: float, window and hop; whole samples,
            rounded down.
        low_hz, high_hz: float, edges of the mel bank; `high_hz=None` is half
            the sample rate.
        preemphasis: float, 0 switches it off.
        mean, std: float, statistics of the data set; the output is
            `(x - mean) / (2 std)`. Defaults: AudioSet's, from AST.

    Raises:
        ValueError: if no spectrogram could come of the settings.

    Example:
        >>> Frontend().num_frames(160000)  # 10 s
        998
        >>> Frontend().num_samples(998)
        159920
        >>> Frontend(high_hz=9000)
        Traceback (most recent call last):
        ValueError: The mel bank runs from low_hz=20.0 to high_hz=9000 and has
        to stay between 0 and 8000.0 Hz, half the sample rate.
    """

    sample_rate: int = 16000
    num_mel_bins: int = 128
    frame_length_ms: float = 25.0
    frame_shift_ms: float = 10.0
    low_hz: float = 20.0
    high_hz: float | None = None
    preemphasis: float = 0.97
    mean: float = -4.2677393
    std: float = 4.5689974

    def __post_init__(self):
        nyquist = self.sample_rate / 2
        if not 0 <= self.low_hz < (self.high_hz or nyquist) <= nyquist:
            raise ValueError(
                f"The mel bank runs from low_hz={self.low_hz} to "
                f"high_hz={self.high_hz} and has to stay between 0 and "
                f"{nyquist} Hz, half the sample rate."
            )
        if self.frame_shift < 1 or self.frame_length < 2:
            raise ValueError(
                "A frame has at least 2 samples, and a frame shift 1. "
                f"Received: frame_length_ms={self.frame_length_ms}, "
                f"frame_shift_ms={self.frame_shift_ms} at "
                f"sample_rate={self.sample_rate}."
            )
        if not 1 <= self.num_mel_bins <= self.fft_length // 2:
            raise ValueError(
                f"`num_mel_bins` is from 1 to {self.fft_length // 2}, the "
                f"bins of a {self.fft_length}-point spectrum. "
                f"Received: num_mel_bins={self.num_mel_bins}."
            )
        if not 0 <= self.preemphasis <= 1 or not self.std > 0:
            raise ValueError(
                "`preemphasis` is from 0 to 1 and `std` above 0. Received: "
                f"preemphasis={self.preemphasis}, std={self.std}."
            )

    @property
    def frame_length(self):
        """int, samples in a frame."""
        return int(self.sample_rate * self.frame_length_ms / 1000)

    @property
    def frame_shift(self):
        """int, samples from one frame to the next at full resolution."""
        return int(self.sample_rate * self.frame_shift_ms / 1000)

    @property
    def fft_length(self):
        """int, the next power of two from `frame_length`."""
        return 1 << (self.frame_length - 1).bit_length()

    @property
    def pad_value(self):
        """float, what a padded frame holds after normalisation."""
        return float(self.normalize(0.0))

    def num_frames(self, num_samples):
        """Full-resolution frames that fit into `num_samples`; may be 0."""
        if num_samples < self.frame_length:
            return 0
        return 1 + (num_samples - self.frame_length) // self.frame_shift

    def num_samples(self, num_frames):
        """Fewest samples that hold `num_frames` full-resolution frames."""
        return (num_frames - 1) * self.frame_shift + self.frame_length

    def normalize(self, log_mel):
        """`(x - mean) / (2 std)`: AST halves the usual scale."""
        return (log_mel - self.mean) / (2 * self.std)

    def window(self):
        """float64 `(frame_length,)`: symmetric Hann."""
        return np.hanning(self.frame_length)

    def mel_matrix(self):
        """float64 `(fft_length // 2 + 1, num_mel_bins)`.

        Triangles on the mel axis, neither normalised nor rounded to bins. The
        Nyquist row is zero, as Kaldi leaves that bin out. Narrow triangles
        may miss every bin: with the defaults mel bin 3 is always at the floor.
        """
        hz = np.arange(self.fft_length // 2 + 1)
        hz = hz * self.sample_rate / self.fft_length
        high_hz = self.high_hz or self.sample_rate / 2
        edges = np.linspace(
            hz_to_mel(self.low_hz), hz_to_mel(high_hz), self.num_mel_bins + 2
        )
        left, centre, right = edges[:-2], edges[1:-1], edges[2:]
        mel = hz_to_mel(hz)[:, None]
        rising = (mel - left) / (centre - left)
        falling = (right - mel) / (right - centre)
        matrix = np.maximum(0.0, np.minimum(rising, falling))
        matrix[-1] = 0.0
        return matrix

    def folded_matrix(self):
        """Mean removal, pre-emphasis, window and DFT of a frame as one matrix.

        Returns:
            float64 `(frame_length, fft_length + 2)`: real part, then
            imaginary part.
        """
        length = self.frame_length
        remove_mean = np.eye(length) - 1 / length
        emphasise = np.eye(length) - self.preemphasis * np.eye(length, k=1)
        emphasise[0, 0] -= self.preemphasis  # formal: the window is 0 there
        dft = np.fft.rfft(np.eye(length), self.fft_length)
        dft = np.concatenate([dft.real, dft.imag], axis=1)
        return remove_mean @ emphasise @ (self.window()[:, None] * dft)

    def get_config(self):
        """dict of the constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """`Frontend` of a dict made by `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable("keras_c2f")
class LogMel(keras.layers.Layer):
    """Log-mel spectrogram as the first layer of a model.

    Computes in float32 whatever the global precision: half precision keeps
    too few digits for the logarithm of quiet bins. No weights.

    Args:
        frontend: `Frontend`.
        num_frames: int, frames at full resolution that clips are padded or
            cut to.
        shift: int, factor on the frame shift. The frames are every
            `shift`-th of the full-resolution ones; the others are never
            computed. From 3 on (default sizes) frames do not overlap.
        normalize: bool, `False` returns the plain logarithm, padded with 0.

    Call arguments:
        waveform: float `(batch, samples)` in [-1, 1], of any length. Padding
            of the samples themselves is sound to this layer, and becomes
            frames at the floor.

    Returns:
        float32 `(batch, num_frames // shift, num_mel_bins)`. A clip shorter
        than a window is padding throughout.

    Raises:
        ValueError: if `shift` leaves no frame.

    Example:
        >>> waveform = np.zeros((2, 16000), "float32")
        >>> tuple(LogMel(Frontend(), 128, shift=2)(waveform).shape)
        (2, 64, 128)
    """

    def __init__(self, frontend, num_frames, shift=1, normalize=True, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.frontend = frontend
        self.num_frames = num_frames
        self.shift = shift
        self.normalize = normalize
        self._kept_frames = Resolution(shift=shift).num_frames(num_frames)
        self._mel = frontend.mel_matrix().astype("float32")
        self._window = frontend.window().astype("float32")
        self._folded = frontend.folded_matrix().astype("float32")

    def call(self, waveform):
        waveform = waveform - ops.mean(waveform, axis=1, keepdims=True)
        waveform = waveform[:, : self.frontend.num_samples(self.num_frames)]
        frames = self._frames(waveform)
        if keras.backend.backend() == "tensorflow":
            real, imag = self._rfft(frames)
        else:  # the matrix is faster than their rfft on a CPU
            real, imag = ops.split(ops.matmul(frames, self._folded), 2, axis=-1)
        power = ops.square(real) + ops.square(imag)
        log_mel = ops.log(ops.maximum(ops.matmul(power, self._mel), LOG_FLOOR))
        kept = self._kept_frames
        log_mel = ops.pad(log_mel, [[0, 0], [0, kept], [0, 0]])[:, :kept]
        return self.frontend.normalize(log_mel) if self.normalize else log_mel

    def _frames(self, waveform):
        """`(batch, samples)` -> `(batch, frames, frame_length)`."""
        length = self.frontend.frame_length
        if waveform.shape[1] is not None and waveform.shape[1] < length:
            # Only TensorFlow cuts a short clip into no frames by itself.
            return ops.zeros((ops.shape(waveform)[0], 0, length))
        stride = self.frontend.frame_shift * self.shift
        return ops.extract_sequences(waveform, length, stride)

    def _rfft(self, frames):
        frames = frames - ops.mean(frames, axis=-1, keepdims=True)
        before = ops.concatenate([frames[..., :1], frames[..., :-1]], axis=-1)
        frames = (frames - self.frontend.preemphasis * before) * self._window
        missing = self.frontend.fft_length - self.frontend.frame_length
        # Padded here: TensorFlow's rfft does not pad a clip without frames.
        frames = ops.pad(frames, [[0, 0], [0, 0], [0, missing]])
        return ops.rfft(frames, self.frontend.fft_length)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self._kept_frames, self.frontend.num_mel_bins)

    def get_config(self):
        return {
            **super().get_config(),
            "frontend": self.frontend.get_config(),
            "num_frames": self.num_frames,
            "shift": self.shift,
            "normalize": self.normalize,
        }

    @classmethod
    def from_config(cls, config):
        frontend = Frontend.from_config(config["frontend"])
        return cls(**{**config, "frontend": frontend})
