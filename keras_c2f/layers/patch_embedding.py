import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.layers.resizing import kernel_matrix, resize_kernel
from keras_c2f.resolution import patch_grid
from keras_c2f.utils.annotations import Shape, Tensor
from keras_c2f.utils.values import Choice

KERNEL_RESIZES = Choice(("pi", "bilinear", "base"))


@keras.saving.register_keras_serializable("keras_c2f")
class PatchEmbedding(ConfiguredLayer):
    """Cuts a spectrogram into patches, overlapping or not, and embeds them.

    With `time_factor=C` a patch is C times longer, and so is its stride: C
    times fewer tokens from the same spectrogram. No masking.

    Args:
        width: int, size of a token.
        patch_size: pair `(time, freq)`, in frames and mel bins, at factor 1.
        patch_stride: pair `(time, freq)` at factor 1; `patch_size` if `None`.
        time_factor: int, factor on the time side of size and stride.
        kernel_resize: how the kernel follows a change of `time_factor`.
            `"pi"`: pseudo-inverse resize (FlexiViT). `"bilinear"`: as an
            image. Both store a kernel of the current length. `"base"`: the
            kernel is stored at factor 1 and grown by pseudo-inverse in every
            call, so that a change of phase changes no weight.
        bias_range: float, initial biases lie between plus and minus this.
            Where no positions are added it must be above 0: a token of
            zeros, such as padding has, makes each norm multiply gradients
            by 300, and a deep network overflows.

    Call arguments:
        log_mel: `(batch, frames, mel_bins)`.

    Returns:
        `(batch, time_patches, freq_patches, width)`. Frames and mel bins
        that fill no whole patch are dropped.

    Raises:
        ValueError: if the input is smaller than one patch, or
            `kernel_resize` is unknown.

    Example:
        >>> layer = PatchEmbedding(8, (16, 16), (10, 10), time_factor=2)
        >>> tuple(layer(ops.zeros((1, 1024, 128))).shape)
        (1, 50, 12, 8)

    Reference:
        Gong et al., "AST", section 2.1; Feng et al., "From Coarse to Fine"
        (flexible patchification); Beyer et al., "FlexiViT", section 3.3.
    """

    def __init__(
        self,
        width: int,
        patch_size: tuple[int, int] = (16, 16),
        patch_stride: tuple[int, int] | None = None,
        time_factor: int = 1,
        kernel_resize: str = "pi",
        bias_range: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        KERNEL_RESIZES.check("kernel_resize", kernel_resize)
        self.width = width
        self.patch_size = tuple(patch_size)
        self.patch_stride = tuple(patch_stride or patch_size)
        self.time_factor = time_factor
        self.kernel_resize = kernel_resize
        self.bias_range = bias_range

    @property
    def current_size(self) -> tuple[int, int]:
        """Pair `(time, freq)`: the patch at the current factor."""
        return (self.patch_size[0] * self.time_factor, self.patch_size[1])

    @property
    def current_stride(self) -> tuple[int, int]:
        """Pair `(time, freq)`: the stride at the current factor."""
        return (self.patch_stride[0] * self.time_factor, self.patch_stride[1])

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)  # refuses what is too small
        self.grows = self.kernel_resize == "base" and self.time_factor > 1
        size = self.patch_size if self.grows else self.current_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*size, 1, self.width),
            # Glorot would count patches as overlapping: tokens near zero
            initializer="lecun_normal",
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(self.width,),
            initializer=keras.initializers.RandomUniform(
                -self.bias_range, self.bias_range
            )
            if self.bias_range
            else "zeros",
        )

    def call(self, log_mel: Tensor) -> Tensor:
        kernel = ops.convert_to_tensor(self.kernel)
        if self.grows:
            growth = kernel_matrix(
                self.patch_size[0], self.current_size[0], "pi"
            )
            growth = ops.cast(growth, kernel.dtype)
            kernel = ops.tensordot(growth, kernel, axes=1)
        options = {"padding": "valid", "data_format": "channels_last"}
        time_stride, _ = self.current_stride
        if self.compute_output_shape(log_mel.shape)[2] == 1:
            # Bins as channels: on CPUs with AMX, TensorFlow 2.21 computes a
            # bfloat16 convolution 128 bins wide wrongly, without an error.
            log_mel = log_mel[..., : self.patch_size[1]]
            patches = ops.conv(log_mel, kernel[:, :, 0], time_stride, **options)
            patches = patches[:, :, None]
        else:
            patches = ops.conv(
                log_mel[..., None], kernel, self.current_stride, **options
            )
        return patches + self.bias

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, frames, mel_bins = input_shape
        time, freq = patch_grid(
            frames or self.current_size[0],  # unknown: checked when run
            mel_bins,
            self.current_size,
            self.current_stride,
        )
        return (batch, time if frames else None, freq, self.width)

    def count_macs(self, input_shape: Shape) -> int:
        _, time, freq, width = self.compute_output_shape(input_shape)
        return time * freq * width * math.prod(self.current_size)

    def resize_weight(
        self,
        value: np.ndarray,
        new_shape: tuple[int, ...],
        positive: bool = False,
    ) -> np.ndarray:
        """Resizes a kernel `(time, freq, 1, width)`: see `transplant`."""
        method = "pi" if self.kernel_resize == "pi" else "bilinear"
        return resize_kernel(value, new_shape, method, positive)
