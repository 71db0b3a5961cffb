from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class TokenPooling(ConfiguredLayer):
    """Averages neighbouring tokens in time, so that blocks have fewer.

    Stands behind the positions, which are averaged with the tokens: the table
    of positions stays that of full resolution. No weights, no masking.

    Args:
        pool_size: int, tokens averaged into one; 1 returns the input.

    Call arguments:
        tokens: `(batch, time, freq, width)` or `(batch, time, width)`, with
            known `time`.

    Returns:
        `tokens` with `time // pool_size` steps in time. The last
        `time % pool_size` are dropped.

    Raises:
        ValueError: if `pool_size` is below 1, or no token would be left.

    Example:
        >>> tuple(TokenPooling(4)(ops.ones((2, 101, 12, 8))).shape)
        (2, 25, 12, 8)
    """

    def __init__(self, pool_size: int, **kwargs: Any):
        super().__init__(**kwargs)
        if pool_size < 1:
            raise ValueError(
                "`pool_size` is the number of tokens averaged into one, at "
                f"least 1. Received: pool_size={pool_size}."
            )
        self.pool_size = pool_size

    def call(self, tokens: Tensor) -> Tensor:
        if self.pool_size == 1:
            return tokens
        _, kept, *others = self.compute_output_shape(tokens.shape)
        tokens = tokens[:, : kept * self.pool_size]
        # (b, t*c, f, d) -> (b, t, c, f, d)
        windows = (-1, kept, self.pool_size, *others)
        return ops.mean(ops.reshape(tokens, windows), axis=2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, time, *others = input_shape
        if time < self.pool_size:
            raise ValueError(
                f"`token:{self.pool_size}` leaves no token of {time} in time. "
                f"Use a factor of at most {time}, or longer clips."
            )
        return (batch, time // self.pool_size, *others)
