import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.layers.resizing import KERNEL_METHODS, resize_kernel
from keras_c2f.utils.annotations import Shape, Tensor
from keras_c2f.utils.values import Choice


@keras.saving.register_keras_serializable("keras_c2f")
class PatchPrediction(ConfiguredLayer):
    """Two-layer perceptron from a token to the values of a patch.

    Its last kernel keeps the shape of the patch, so that it can follow when a
    phase has longer patches.

    Args:
        patch_size: pair `(time, freq)` in frames and mel bins.
        resize: what a longer or shorter patch does to the last kernel.
            `"bilinear"`: the prediction is interpolated like an image; for
            patches that are reconstructed. `"pi"`: its product with a patch
            resized alike stays (pseudo-inverse, as for a patch kernel); for
            patches that are recognised by that product.

    Call arguments:
        tokens: `(batch, num_tokens, width)`.

    Returns:
        `(batch, num_tokens, time * freq)`, values time-major.

    Raises:
        ValueError: if `resize` is unknown.

    Reference:
        Gong et al., "SSAST", section 2.3: both heads of its pre-training.
    """

    def __init__(
        self,
        patch_size: tuple[int, int],
        resize: str = "bilinear",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        Choice(KERNEL_METHODS).check("resize", resize)
        self.patch_size = tuple(patch_size)
        self.resize = resize

    def build(self, input_shape: Shape) -> None:
        width = input_shape[-1]
        self.hidden = keras.layers.Dense(
            width, "relu", name="hidden", dtype=self.dtype_policy
        )
        self.hidden.build(input_shape)
        bound = width**-0.5  # that of the original's linear layers
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.patch_size, width),
            initializer=keras.initializers.RandomUniform(-bound, bound),
        )
        self.bias = self.add_weight(
            name="bias", shape=self.patch_size, initializer="zeros"
        )

    def call(self, tokens: Tensor) -> Tensor:
        num_values = math.prod(self.patch_size)
        kernel = ops.reshape(self.kernel, (num_values, -1))
        values = ops.matmul(self.hidden(tokens), ops.transpose(kernel))
        return values + ops.reshape(self.bias, (num_values,))

    def count_macs(self, input_shape: Shape) -> int:
        _, num_tokens, width = input_shape
        return num_tokens * width * (width + math.prod(self.patch_size))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], math.prod(self.patch_size))

    def resize_weight(
        self,
        value: np.ndarray,
        new_shape: tuple[int, ...],
        positive: bool = False,
    ) -> np.ndarray:
        """Resizes `(time, freq, width)` or `(time, freq)`: see `transplant`."""
        return resize_kernel(value, new_shape, self.resize, positive)
