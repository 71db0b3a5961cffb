from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.resolution import patch_grid
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class Patchify(ConfiguredLayer):
    """Cuts a spectrogram into the values of its patches, without overlap.

    The patches are those that `PatchEmbedding` embeds. No weights.

    Args:
        patch_size: pair `(time, freq)`, in frames and mel bins.

    Call arguments:
        log_mel: `(batch, frames, mel_bins)` with known frames.

    Returns:
        `(batch, time_patches * freq_patches, time * freq)`, patches and
        values time-major. What fills no whole patch is dropped.

    Raises:
        ValueError: if the input is smaller than one patch.

    Example:
        >>> tuple(Patchify((16, 16))(ops.zeros((2, 100, 128))).shape)
        (2, 48, 256)
    """

    def __init__(self, patch_size: tuple[int, int], **kwargs: Any):
        super().__init__(**kwargs)
        self.patch_size = tuple(patch_size)

    def call(self, log_mel: Tensor) -> Tensor:
        frames, mel_bins = log_mel.shape[1:]
        size = self.patch_size
        grid = patch_grid(frames, mel_bins, size, size)
        log_mel = log_mel[:, : grid[0] * size[0], : grid[1] * size[1]]
        patches = ops.reshape(log_mel, (-1, grid[0], size[0], grid[1], size[1]))
        # (b, t, time, f, freq) -> (b, t, f, time, freq)
        patches = ops.transpose(patches, (0, 1, 3, 2, 4))
        return ops.reshape(patches, (-1, grid[0] * grid[1], size[0] * size[1]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, frames, mel_bins = input_shape
        size = self.patch_size
        grid = patch_grid(frames, mel_bins, size, size)
        return (batch, grid[0] * grid[1], size[0] * size[1])
