from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.layers.resizing import cubic_matrix
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class TimeStretch(ConfiguredLayer):
    """Stretches a log-mel in time to a given number of frames, bicubically.

    The first and last frame stay what they are. No weights, no masking.

    Args:
        num_frames: int, frames of the output.

    Call arguments:
        log_mel: `(batch, frames, mel_bins)` with known frames.

    Returns:
        `(batch, num_frames, mel_bins)`.

    Reference:
        Chen et al., "HTS-AT": 10 s clips of 1001 frames become 1024, by
        PyTorch's `interpolate(mode="bicubic", align_corners=True)`.
    """

    def __init__(self, num_frames: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_frames = num_frames

    def call(self, log_mel: Tensor) -> Tensor:
        matrix = cubic_matrix(log_mel.shape[1], self.num_frames)
        return ops.matmul(ops.cast(matrix, log_mel.dtype), log_mel)

    def count_macs(self, input_shape: Shape) -> int:
        _, frames, mel_bins = input_shape
        return self.num_frames * frames * mel_bins

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_frames, input_shape[2])
