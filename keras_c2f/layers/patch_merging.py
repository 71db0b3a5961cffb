from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class PatchMerging(ConfiguredLayer):
    """Joins each 2 x 2 neighbours of a grid into one token, twice as wide.

    Four tokens side by side, a layer norm, one matrix without bias. No
    masking.

    Args:
        grid_size: pair `(time, freq)` of tokens, both even.
        epsilon: float, added to the variance in the layer norm.

    Call arguments:
        tokens: `(batch, time * freq, width)`, time-major.

    Returns:
        `(batch, time/2 * freq/2, 2 * width)`, time-major.

    Raises:
        ValueError: if a side of the grid is odd.

    Reference:
        Liu et al., "Swin Transformer", section 3.1.
    """

    def __init__(
        self, grid_size: tuple[int, int], epsilon: float = 1e-5, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.grid_size = tuple(grid_size)
        self.epsilon = epsilon
        if any(side % 2 for side in self.grid_size):
            raise ValueError(
                "Only a grid of even sides can be merged two by two. "
                f"Received: grid_size={self.grid_size} (time, freq)."
            )

    def build(self, input_shape: Shape) -> None:
        width = input_shape[-1]
        options = {"dtype": self.dtype_policy}
        self.norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, name="norm", **options
        )
        self.reduction = keras.layers.Dense(
            2 * width, use_bias=False, name="reduction", **options
        )
        self.norm.build((None, 4 * width))
        self.reduction.build((None, 4 * width))

    def call(self, tokens: Tensor) -> Tensor:
        (time, freq), width = self.grid_size, tokens.shape[-1]
        # (b, t*f, d) -> (b, t/2, f/2, 2, 2, d) -> (b*t/2*f/2, 4*d)
        tokens = ops.reshape(tokens, (-1, time // 2, 2, freq // 2, 2, width))
        tokens = ops.transpose(tokens, (0, 1, 3, 2, 4, 5))
        tokens = ops.reshape(tokens, (-1, 4 * width))
        tokens = self.reduction(self.norm(tokens))
        return ops.reshape(tokens, (-1, time * freq // 4, 2 * width))

    def count_macs(self, input_shape: Shape) -> int:
        _, num_tokens, width = input_shape
        return num_tokens // 4 * 4 * width * 2 * width

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, num_tokens, width = input_shape
        return (batch, num_tokens // 4, 2 * width)
