from typing import Any

import keras
import numpy as np
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class SinePositions(ConfiguredLayer):
    """Adds fixed sines and cosines to the tokens of a sequence.

    The table is a weight that is not trained: published files hold one,
    rounded as they store it. It is that of full resolution in every phase; a
    token that stands for several has the mean of their positions. No masking.

    Args:
        num_positions: int, tokens at full resolution.
        time_factor: int, tokens at full resolution that one stands for.

    Call arguments:
        tokens: `(batch, num_tokens, width)` with an even width of at least 4,
            and `(num_tokens - 1) * time_factor < num_positions`.

    Returns:
        The shape of `tokens`.

    Raises:
        ValueError: if there are more tokens than the positions reach, or the
            width is none of these.

    Reference:
        Radford et al., "Robust Speech Recognition via Large-Scale Weak
        Supervision", 2022, section 2.2; its code: wavelengths from 2 pi to
        20000 pi, sines in the first half, cosines in the second. The mean is
        ours.
    """

    def __init__(self, num_positions: int, time_factor: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_positions = num_positions
        self.time_factor = time_factor

    def build(self, input_shape: Shape) -> None:
        _, num_tokens, width = input_shape
        if width < 4 or width % 2:
            raise ValueError(
                "Sine positions need an even width of at least 4. "
                f"Received: width={width}."
            )
        if (num_tokens - 1) * self.time_factor >= self.num_positions:
            raise ValueError(
                f"{num_tokens} tokens, each for {self.time_factor}, reach "
                f"beyond {self.num_positions} positions."
            )
        self.table = self.add_weight(
            name="table",
            shape=(self.num_positions, width),
            initializer=lambda shape, dtype: ops.cast(sines(*shape), dtype),
            trainable=False,
        )
        # row i: the mean of the positions that token i stands for
        token = np.arange(self.num_positions) // self.time_factor
        means = (token == np.arange(num_tokens)[:, None]).astype("float32")
        self.means = means / means.sum(axis=1, keepdims=True)

    def call(self, tokens: Tensor) -> Tensor:
        table = ops.convert_to_tensor(self.table)
        if self.time_factor > 1 or self.num_positions > tokens.shape[1]:
            table = ops.matmul(ops.cast(self.means, table.dtype), table)
        return tokens + table

    def count_macs(self, input_shape: Shape) -> int:
        return 0  # the same for every clip

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def resize_weight(
        self,
        value: np.ndarray,
        new_shape: tuple[int, ...],
        positive: bool = False,
    ) -> np.ndarray:
        """First rows of `(num_positions, width)`, and sines where it ends.

        For clips of another length: see `transplant`. No optimizer has slots
        of this weight.
        """
        table = sines(*new_shape).astype(value.dtype)
        kept = min(len(value), len(table))
        table[:kept] = value[:kept]
        return table


def sines(num_positions, width):
    """float64 `(num_positions, width)`: Whisper's table of positions."""
    half = width // 2
    frequencies = 10000.0 ** (-np.arange(half) / (half - 1))
    angles = np.arange(num_positions)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
