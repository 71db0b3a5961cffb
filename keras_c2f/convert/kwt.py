"""KWT-1: the Keyword Transformer's weights and its MFCC, as matrices."""

import dataclasses

import numpy as np

from keras_c2f.convert.rules import Plan, Rule
from keras_c2f.convert.vit import unchanged
from keras_c2f.models import KWT, AudioClassifier


@dataclasses.dataclass(frozen=True)
class Mfcc:
    """Cepstral coefficients as the checkpoint's own matrices make them.

    Attributes:
        window: `(frame_length,)`.
        dft_re, dft_im: `(frame_length, bins)`.
        mel: `(bins, mel_bins)`.
        floor: `()`, least mel magnitude before the logarithm.
        dct: `(mel_bins, coefficients)`.
        mean: `()` or `(coefficients,)`.
        inv_std: `(coefficients,)`, one over the deviation.
    """

    window: np.ndarray
    dft_re: np.ndarray
    dft_im: np.ndarray
    mel: np.ndarray
    floor: np.ndarray
    dct: np.ndarray
    mean: np.ndarray
    inv_std: np.ndarray

    sample_rate = 16000
    frame_shift = 160  # samples

    def __call__(self, recordings):
        """MFCC of recordings, frames without edge padding.

        Args:
            recordings: `(batch, samples)` in [-1, 1], 16 kHz.

        Returns:
            float32 `(batch, frames, coefficients)`.
        """
        frames = np.lib.stride_tricks.sliding_window_view(
            np.asarray(recordings, "float32"), len(self.window), axis=1
        )[:, :: self.frame_shift]
        frames = frames * self.window
        magnitude = np.hypot(frames @ self.dft_re, frames @ self.dft_im)
        log_mel = np.log(np.maximum(magnitude @ self.mel, self.floor))
        return (log_mel @ self.dct - self.mean) * self.inv_std

    @classmethod
    def from_tensors(cls, tensors):
        """`Mfcc` of a checkpoint's `frontend/*` arrays."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: tensors[f"frontend/{name}"] for name in names})


def kwt_plan(checkpoint, trained):
    """`Plan` of a Keyword Transformer in Keras' order, with its head.

    Args:
        checkpoint: `Checkpoint` of an `.npz`.
        trained: dict; `num_heads` if a head is not 64 wide.
    """
    tensors = checkpoint.tensors
    for key in (
        "patch_embed/kernel",
        "pos_embed",
        "block0/mlp1/kernel",
        "head/bias",
        *(f"frontend/{field.name}" for field in dataclasses.fields(Mfcc)),
    ):
        if key not in tensors:
            raise ValueError(f"{checkpoint.path} lacks the key {key!r}.")
    coefficients, width = tensors["patch_embed/kernel"].shape
    blocks = [key for key in tensors if key.endswith("/mlp1/kernel")]
    config = {
        "num_frames": tensors["pos_embed"].shape[1] - 1,
        "num_mel_bins": coefficients,
        "patch_size": (1, coefficients),
        "width": width,
        "depth": len(blocks),
        "num_heads": max(width // 64, 1),
        "mlp_ratio": tensors["block0/mlp1/kernel"].shape[1] / width,
        "num_prefix_tokens": 1,
    }
    backbone = KWT(**{**config, **trained})
    network = AudioClassifier(
        backbone, len(tensors["head/bias"]), head_epsilon=None
    )
    matrices = tuple(key for key in tensors if key.startswith("frontend/"))
    return Plan(network, RULES, metadata=matrices)  # `Mfcc` has them


def _kernel(array):
    return array[None, :, None, :]  # (freq, width) -> (1, freq, 1, width)


def _prefix(token, positions):
    return token[0] + positions[0, :1]


def _grid(positions):
    return positions[0, 1:, None]  # (1, 1 + t, d) -> (t, 1, d)


def _side_by_side(*kernels):
    return np.concatenate(kernels, axis=1)


RULES = [
    Rule("patch_embedding/kernel", ("patch_embed/kernel",), _kernel),
    Rule("patch_embedding/bias", ("patch_embed/bias",), unchanged),
    Rule("prefix/tokens", ("cls_token", "pos_embed"), _prefix),
    Rule("positions/grid", ("pos_embed",), _grid),
    Rule(
        "block_{i}/attention/qkv/kernel",
        tuple(f"block{{i}}/{part}/kernel" for part in "qkv"),
        _side_by_side,
    ),
    *(
        Rule(f"{path}/{weight}", (f"{key}/{weight}",), unchanged)
        for path, key, weights in (
            (
                "block_{i}/attention/output_projection",
                "block{i}/proj",
                ("kernel", "bias"),
            ),
            ("block_{i}/attention_norm", "block{i}/ln1", ("gamma", "beta")),
            ("block_{i}/mlp_in", "block{i}/mlp1", ("kernel", "bias")),
            ("block_{i}/mlp_out", "block{i}/mlp2", ("kernel", "bias")),
            ("block_{i}/mlp_norm", "block{i}/ln2", ("gamma", "beta")),
            ("head", "head", ("kernel", "bias")),
        )
        for weight in weights
    ),
]
