"""Waveform to log-mel spectrogram, exactly as checkpoints expect it.

`Frontend` is the one description of the maths: sizes, window, mel matrix,
floor, statistics. `LogMel` runs it inside a model with `keras.ops`;
`keras_c2f.data.features` runs it inside `tf.data`. The styles are data too, in
`log_mel_styles.py`:

| style        | `"kaldi"`   | `"librosa"`     | `"torchaudio"` | `"passt"`   |
|--------------|-------------|-----------------|----------------|-------------|
| used by      | AST, SSAST  | HTS-AT, CLAP    | CLAP, fused    | PaSST       |
| frames       | within clip | centred on hops, ends of the clip reflected  |||
| frame's mean | removed     | stays           | stays          | stays       |
| pre-emphasis | per frame   | per frame       | per frame      | over clip   |
| Hann window  | symmetric   | periodic        | periodic       | symmetric   |
| mel bank     | Kaldi's     | Slaney's, areas | HTK's          | Kaldi's     |
| logarithm    | ln, floor   | 10 log10, floor | 10 log10, floor| ln(x + 1e-5)|
|              | 1.19e-7     | 1e-10           | 1e-10          |             |
| padded frame | 0           | silence         | silence        | silence     |

`"whisper"` is librosa's with log10 for 10 log10, without the last frame, with
spectra of as many points as a frame, and with no value further than 8 below the
largest of the clip, of all its frames at full resolution.

Removing each frame's mean removes the clip's with it, so that is one step.

Per frame: pre-emphasise (the first sample by itself), window, power spectrum,
mel, logarithm. Then pad or cut to a fixed number of frames, and only then
normalise, so that padding in AST has the value `-mean / (2 std)`.

Reference: Gong, Chung, Glass, "AST: Audio Spectrogram Transformer", 2021, and
its repository YuanGongND/ast, `src/dataloader.py`, which calls
`torchaudio.compliance.kaldi.fbank` (htk_compat, no energy, Hann, no dither).
Chen et al., "HTS-AT", 2022, section 3.1, and its repository
RetroCirce/HTS-Audio-Transformer, which calls torchlibrosa. Koutini et al.,
"PaSST", 2022, and its repository kkoutini/PaSST, `models/preprocess.py`.
Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision",
2022, section 2.2, and its repository openai/whisper, `whisper/audio.py`.
"""

import dataclasses
from types import ModuleType
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_c2f.layers.log_mel_styles import STYLES, Style
from keras_c2f.resolution import Resolution
from keras_c2f.utils.annotations import Shape, Tensor
from keras_c2f.utils.values import Choice


@dataclasses.dataclass(frozen=True)
class Frontend:
    """Sizes and constants of the log-mel spectrogram.

    Args:
        sample_rate: int, Hz.
        num_mel_bins: int.
        frame_length_ms, frame_shift_ms: float, window and hop; whole samples,
            rounded down.
        low_hz, high_hz: float, edges of the mel bank; `high_hz=None` is half
            the sample rate. A librosa bank may reach beyond it, as HTS-AT's
            for Speech Commands does: what lies there is silence.
        preemphasis: float, 0 switches it off.
        mean, std: float, statistics of the data set; the output is
            `(x - mean) / (2 std)`. Defaults: AudioSet's, from AST; 0 and 0.5
            change nothing.
        style: `"kaldi"`, `"librosa"`, `"torchaudio"`, `"passt"` or
            `"whisper"`: see the table of this module.

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
    style: str = "kaldi"

    def __post_init__(self):
        Choice(tuple(STYLES)).check("style", self.style)
        nyquist = self.sample_rate / 2
        most = np.inf if self.style == "librosa" else nyquist
        high_hz = self.high_hz or nyquist
        if not 0 <= self.low_hz < min(high_hz, nyquist) or high_hz > most:
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
    def frame_length(self) -> int:
        """int, samples in a frame."""
        return int(self.sample_rate * self.frame_length_ms / 1000)

    @property
    def frame_shift(self) -> int:
        """int, samples from one frame to the next at full resolution."""
        return int(self.sample_rate * self.frame_shift_ms / 1000)

    @property
    def fft_length(self) -> int:
        """int, points of a spectrum: see `Style.pads_spectrum`."""
        if not self.steps.pads_spectrum:
            return self.frame_length
        return 1 << (self.frame_length - 1).bit_length()

    @property
    def steps(self) -> Style:
        """`Style` of this front end."""
        return STYLES[self.style]

    @property
    def padding(self) -> float:
        """float, log-mel of a padded frame before normalisation."""
        return self.steps.padding

    @property
    def pad_value(self) -> float:
        """float, what a padded frame holds once normalised, at least."""
        return float((self.padding - self.mean) / (2 * self.std))

    @property
    def edge(self) -> int:
        """int, samples that the first frame begins before the clip."""
        return self.frame_length // 2 if self.steps.centred else 0

    @property
    def lead(self) -> int:
        """int, samples of a clip that its pre-emphasis takes away."""
        return int(self.steps.emphasises_clip)

    def num_frames(self, num_samples: int) -> int:
        """Full-resolution frames of `num_samples`; may be 0."""
        if self.steps.drops_last:
            return num_samples // self.frame_shift
        num_samples = num_samples - self.lead
        least = 1 if self.steps.centred else self.frame_length
        if num_samples < least:
            return 0
        inside = num_samples - (0 if self.steps.centred else least)
        return 1 + inside // self.frame_shift

    def num_samples(self, num_frames: int) -> int:
        """Fewest samples that have `num_frames` full-resolution frames."""
        if self.steps.drops_last:
            return num_frames * self.frame_shift
        if not self.steps.centred:
            return self.reach(num_frames)
        return max((num_frames - 1) * self.frame_shift, 1) + self.lead

    def reach(self, num_frames: int) -> int:
        """Samples that `num_frames` full-resolution frames look at.

        Cutting off later ones changes none of these frames.
        """
        last = (num_frames - 1) * self.frame_shift
        return last + self.frame_length - self.edge + self.lead

    def reflect(
        self, positions: Tensor, num_samples: int | Tensor, ops: ModuleType
    ) -> Tensor:
        """Where in a clip to look for samples beyond its ends.

        Args:
            positions: int tensor, places in the clip, from `-edge`.
            num_samples: int or int scalar tensor, samples of the clip.
            ops: the module that `positions` belongs to: `keras.ops`, `numpy` or
                `tensorflow`.

        Returns:
            The shape of `positions`; reflected about the first and the last
            sample. A clip shorter than `edge` is held at its first.
        """
        last = num_samples - 1
        positions = last - ops.abs(last - ops.abs(positions))
        return ops.maximum(positions, 0)

    def normalize(
        self, log_mel: Tensor, ops: ModuleType, largest: Tensor | None = None
    ) -> Tensor:
        """`(x - mean) / (2 std)`: AST halves the usual scale.

        Args:
            log_mel: `(..., frames, mel_bins)`.
            ops: the module that `log_mel` belongs to: `keras.ops`, `numpy` or
                `tensorflow`.
            largest: `(..., 1, 1)`, largest value of each clip, which decides
                on its lowest where the style has `range_below`.
        """
        if self.steps.range_below is not None:
            lowest = largest - self.steps.range_below
            log_mel = ops.maximum(log_mel, lowest)
        return (log_mel - self.mean) / (2 * self.std)

    def window(self) -> np.ndarray:
        """float64 `(frame_length,)`: Hann, symmetric or periodic."""
        if self.steps.symmetric:
            return np.hanning(self.frame_length)
        return np.hanning(self.frame_length + 1)[:-1]

    def mel_matrix(self) -> np.ndarray:
        """float64 `(fft_length // 2 + 1, num_mel_bins)`."""
        hz = np.arange(self.fft_length // 2 + 1)
        hz = hz * self.sample_rate / self.fft_length
        high_hz = self.high_hz or self.sample_rate / 2
        return self.steps.bank(hz, self.num_mel_bins, self.low_hz, high_hz)

    def folded_matrix(self) -> np.ndarray:
        """Pre-emphasis of frames, window and DFT as one matrix.

        The mean of a frame is removed before: as part of the product it
        would leave the rounding errors of an offset in every bin.

        Returns:
            float64 `(frame_length, fft_length + 2)`: real part, then
            imaginary part.
        """
        length = self.frame_length
        strength = 0.0 if self.steps.emphasises_clip else self.preemphasis
        emphasise = np.eye(length) - strength * np.eye(length, k=1)
        emphasise[0, 0] -= strength  # formal: the window is 0 there
        dft = np.fft.rfft(np.eye(length), self.fft_length)
        dft = np.concatenate([dft.real, dft.imag], axis=1)
        return emphasise @ (self.window()[:, None] * dft)

    def get_config(self) -> dict[str, Any]:
        """dict of the constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
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
            computed, or in Whisper's style looked at for their largest value
            alone. From 3 on (default sizes) frames do not overlap.
        normalize: bool, `False` returns the plain logarithm, padded with
            `frontend.padding`.
        use_fft: bool, whether spectra are fast Fourier transforms, or one
            product with `Frontend.folded_matrix`, which every runtime knows;
            `None`, what is faster on a CPU with the backend in use.

    Call arguments:
        waveform: float `(batch, samples)` in [-1, 1], of any length. Padding
            of the samples themselves is audio to this layer, and becomes
            frames at the floor.
        num_samples: int `(batch,)` or `None`: how many of the samples, from
            the first, are the clip; the others are not looked at, and frames
            without them are padding.

    Returns:
        float32 `(batch, num_frames // shift, num_mel_bins)`. A clip shorter
        than a window of Kaldi's style is padding throughout.

    Raises:
        ValueError: if `shift` leaves no frame.

    Example:
        >>> waveform = np.zeros((2, 16000), "float32")
        >>> tuple(LogMel(Frontend(), 128, shift=2)(waveform).shape)
        (2, 64, 128)
    """

    def __init__(
        self,
        frontend: Frontend,
        num_frames: int,
        shift: int = 1,
        normalize: bool = True,
        use_fft: bool | None = None,
        **kwargs: Any,
    ):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.frontend = frontend
        self.num_frames = num_frames
        self.shift = shift
        self.normalize = normalize
        self.use_fft = use_fft
        self._kept_frames = Resolution(shift=shift).num_frames(num_frames)
        # every which frame is computed
        self._stride = 1 if frontend.steps.range_below else shift
        self._mel = frontend.mel_matrix().astype("float32")
        self._window = frontend.window().astype("float32")
        self._folded = frontend.folded_matrix().astype("float32")

    def call(
        self, waveform: Tensor, num_samples: Tensor | None = None
    ) -> Tensor:
        frontend, computed = self.frontend, self.num_frames // self._stride
        if num_samples is not None:
            num_samples = ops.cast(num_samples, "int32")[:, None]
        waveform = waveform[:, : frontend.reach(self.num_frames)]
        if frontend.steps.emphasises_clip:
            before = frontend.preemphasis * waveform[:, :-1]
            waveform = waveform[:, 1:] - before
        frames = self._frames(waveform, num_samples)
        if frontend.steps.removes_mean:
            frames = frames - ops.mean(frames, axis=-1, keepdims=True)
        if self._rather_fft():
            real, imag = self._rfft(frames)
        else:
            real, imag = ops.split(ops.matmul(frames, self._folded), 2, axis=-1)
        mel = ops.matmul(ops.square(real) + ops.square(imag), self._mel)
        steps = frontend.steps
        log_mel = ops.log(ops.maximum(mel, steps.floor) + steps.offset)
        log_mel = steps.log_scale * log_mel
        if steps.drops_last:
            log_mel = log_mel[:, :-1]
        log_mel = ops.pad(
            log_mel,
            [[0, 0], [0, computed], [0, 0]],
            constant_values=frontend.padding,
        )[:, :computed]
        # A graph for samples of a known number has lost count of the frames.
        log_mel = ops.reshape(log_mel, (-1, computed, frontend.num_mel_bins))
        if num_samples is not None:
            needed = [
                frontend.num_samples(1 + frame * self._stride)
                for frame in range(computed)
            ]
            whole = ops.greater_equal(num_samples, np.array(needed, "int32"))
            log_mel = ops.where(whole[..., None], log_mel, frontend.padding)
        largest = None
        if frontend.steps.range_below:
            largest = ops.max(log_mel, axis=(1, 2), keepdims=True)
            log_mel = log_mel[:, :: self.shift][:, : self._kept_frames]
        if not self.normalize:
            return log_mel
        return frontend.normalize(log_mel, ops, largest)

    def _rather_fft(self):
        if self.use_fft is None:  # elsewhere the matrix is faster
            return keras.backend.backend() == "tensorflow"
        return self.use_fft

    def _frames(self, waveform, num_samples):
        """`(batch, samples)` -> `(batch, frames, frame_length)`."""
        length, edge = self.frontend.frame_length, self.frontend.edge
        if edge and waveform.shape[1] != 0:  # else pre-emphasis took it all
            samples = ops.shape(waveform)[1]
            positions = ops.arange(-edge, samples + length - edge)
            if num_samples is None:
                positions = self.frontend.reflect(positions, samples, ops)
                waveform = ops.take(waveform, positions, axis=1)
            else:
                clip = num_samples - self.frontend.lead
                positions = self.frontend.reflect(positions, clip, ops)
                positions = ops.minimum(positions, samples - 1)
                waveform = ops.take_along_axis(waveform, positions, axis=1)
        if waveform.shape[1] is not None and waveform.shape[1] < length:
            # Only TensorFlow cuts a short clip into no frames by itself.
            return ops.zeros((ops.shape(waveform)[0], 0, length))
        stride = self.frontend.frame_shift * self._stride
        return ops.extract_sequences(waveform, length, stride)

    def _rfft(self, frames):
        if not self.frontend.steps.emphasises_clip:
            before = [frames[..., :1], frames[..., :-1]]
            before = ops.concatenate(before, axis=-1)
            frames = frames - self.frontend.preemphasis * before
        frames = ops.multiply(frames, self._window)
        missing = self.frontend.fft_length - self.frontend.frame_length
        # Padded here: TensorFlow's rfft does not pad a clip without frames.
        frames = ops.pad(frames, [[0, 0], [0, 0], [0, missing]])
        return ops.rfft(frames, self.frontend.fft_length)

    def compute_output_shape(
        self, waveform_shape: Shape, num_samples_shape: Shape | None = None
    ) -> Shape:
        mel_bins = self.frontend.num_mel_bins
        return (waveform_shape[0], self._kept_frames, mel_bins)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "frontend": self.frontend.get_config(),
            "num_frames": self.num_frames,
            "shift": self.shift,
            "normalize": self.normalize,
            "use_fft": self.use_fft,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        frontend = Frontend.from_config(config["frontend"])
        return cls(**{**config, "frontend": frontend})
