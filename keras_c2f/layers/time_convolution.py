from typing import Any

import keras
import numpy as np
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.layers.patch_embedding import KERNEL_RESIZES
from keras_c2f.layers.resizing import kernel_matrix, resize_kernel
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class TimeConvolution(ConfiguredLayer):
    """Convolution along time, then exact GELU: a half of Whisper's stem.

    With `time_factor=C` kernel, stride and padding are C times longer: C times
    fewer steps from the same input. No masking.

    Args:
        width: int, channels of the output.
        kernel_size: int, odd, steps at factor 1; half of it, rounded down, is
            padded with zeros on each side.
        stride: int, steps at factor 1.
        time_factor: int, factor on kernel, stride and padding.
        kernel_resize: `"pi"`, `"bilinear"` or `"base"`: how the kernel
            follows a change of `time_factor`, see `PatchEmbedding`.

    Call arguments:
        steps: `(batch, time, channels)`.

    Returns:
        `(batch, new_time, width)`; at factor 1 and with a kernel of 3
        `new_time` is `time / stride`, rounded up.

    Raises:
        ValueError: if the input with its padding is shorter than the kernel,
            or `kernel_resize` is unknown.

    Example:
        >>> layer = TimeConvolution(8, stride=2)
        >>> tuple(layer(ops.zeros((1, 101, 4))).shape)
        (1, 51, 8)

    Reference:
        Radford et al., "Robust Speech Recognition via Large-Scale Weak
        Supervision", 2022, section 2.2. `time_factor` is ours.
    """

    def __init__(
        self,
        width: int,
        kernel_size: int = 3,
        stride: int = 1,
        time_factor: int = 1,
        kernel_resize: str = "pi",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        KERNEL_RESIZES.check("kernel_resize", kernel_resize)
        self.width = width
        self.kernel_size = kernel_size
        self.stride = stride
        self.time_factor = time_factor
        self.kernel_resize = kernel_resize

    @property
    def current_size(self) -> int:
        """int, steps of the kernel at the current factor."""
        return self.kernel_size * self.time_factor

    def build(self, input_shape: Shape) -> None:
        grows = self.kernel_resize == "base" and self.time_factor > 1
        self.growth = None
        if grows:
            self.growth = kernel_matrix(
                self.kernel_size, self.current_size, "pi"
            )
        size = self.kernel_size if grows else self.current_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, input_shape[-1], self.width),
            initializer="lecun_normal",
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.width,), initializer="zeros"
        )

    def call(self, steps: Tensor) -> Tensor:
        kernel = ops.convert_to_tensor(self.kernel)
        if self.growth is not None:
            growth = ops.cast(self.growth, kernel.dtype)
            kernel = ops.tensordot(growth, kernel, axes=1)
        padding = self._padding
        steps = ops.pad(steps, [[0, 0], [padding, padding], [0, 0]])
        steps = ops.conv(
            steps,
            kernel,
            self.stride * self.time_factor,
            "valid",
            data_format="channels_last",
        )
        return ops.gelu(steps + self.bias, approximate=False)

    @property
    def _padding(self):
        return self.kernel_size // 2 * self.time_factor

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, time, _ = input_shape
        needed = self.current_size - 2 * self._padding
        if time < needed:
            raise ValueError(
                f"{time} frames are too few for a convolution over "
                f"{self.current_size}. Use longer clips, or a smaller factor."
            )
        padded = time + 2 * self._padding - self.current_size
        return (
            batch,
            padded // (self.stride * self.time_factor) + 1,
            self.width,
        )

    def count_macs(self, input_shape: Shape) -> int:
        _, time, width = self.compute_output_shape(input_shape)
        return time * width * self.current_size * input_shape[-1]

    def resize_weight(
        self,
        value: np.ndarray,
        new_shape: tuple[int, ...],
        positive: bool = False,
    ) -> np.ndarray:
        """Resizes a kernel `(time, channels, width)`: see `transplant`.

        Raises:
            ValueError: if channels are more or fewer.
        """
        if tuple(value.shape[1:]) != tuple(new_shape[1:]):
            raise ValueError(
                f"A convolution over {value.shape[1]} channels, such as mel "
                f"bins, is not resized to {new_shape[1]}. Use as many as it "
                "was trained with."
            )
        method = "pi" if self.kernel_resize == "pi" else "bilinear"
        # (t, c, d) -> (t, 1, c, d): there is no second axis to resize
        size = (new_shape[0], 1)
        return resize_kernel(value[:, None], size, method, positive)[:, 0]
