from typing import Any

import keras
import numpy as np
from keras import ops

from keras_c2f.layers.attention import SelfAttention
from keras_c2f.layers.resizing import resize_axes
from keras_c2f.utils.annotations import Shape, Tensor

OTHER_REGION = -100.0  # added to a score: its weight is 0 in float32


@keras.saving.register_keras_serializable("keras_c2f")
class WindowAttention(SelfAttention):
    """Self-attention inside the windows of a grid, with position bias.

    Tokens see those of their own window alone, which makes the cost linear
    in the number of tokens. With `shift` the windows are moved, so that two
    blocks in a row connect neighbours; the grid is rolled for that, and
    tokens that meet only because of the roll do not see each other. Each
    head adds a learned number to a score, by how far two tokens are apart.

    Args:
        num_heads: int; must divide the width of the tokens.
        grid_size: pair `(time, freq)` of tokens.
        window_size: pair `(time, freq)` of tokens; must divide `grid_size`.
        shift: pair `(time, freq)`, tokens that the windows are moved by.
        dropout: float, dropout on the attention weights and on the output.

    Call arguments:
        tokens: `(batch, time * freq, width)`, time-major.

    Returns:
        The shape of `tokens`.

    Raises:
        ValueError: if `window_size` does not divide `grid_size`, or `shift`
            is not smaller than the window.

    Reference:
        Liu et al., "Swin Transformer", section 3.2, equation 4.
    """

    def __init__(
        self,
        num_heads: int,
        grid_size: tuple[int, int],
        window_size: tuple[int, int],
        shift: tuple[int, int] = (0, 0),
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(num_heads, dropout, **kwargs)
        self.grid_size = tuple(grid_size)
        self.window_size = tuple(window_size)
        self.shift = tuple(shift)
        sides = zip(self.grid_size, self.window_size, self.shift, strict=True)
        if any(g % w or not 0 <= s < w for g, w, s in sides):
            raise ValueError(
                "A window divides its grid, and a shift is smaller than the "
                f"window. Received: grid_size={self.grid_size}, window_size="
                f"{self.window_size}, shift={self.shift}, each (time, freq)."
            )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        time, freq = self.window_size
        self.position_bias = self.add_weight(
            name="position_bias",
            shape=(2 * time - 1, 2 * freq - 1, self.num_heads),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )
        self._distances = window_distances(self.window_size)
        self._mask = None
        if any(self.shift):
            self._mask = region_mask(
                self.grid_size, self.window_size, self.shift
            )

    def call(self, tokens: Tensor, training: bool | None = None) -> Tensor:
        mixed = super().call(self._cut(tokens), self._bias(), training)
        return self._join(mixed)

    def _bias(self):
        """`(1 or windows, heads, n, n)`, to add to scores within a window."""
        num_tokens = self.window_size[0] * self.window_size[1]
        table = ops.reshape(self.position_bias, (-1, self.num_heads))
        bias = ops.take(table, self._distances, axis=0)
        bias = ops.reshape(bias, (num_tokens, num_tokens, self.num_heads))
        bias = ops.transpose(bias, (2, 0, 1))[None]
        if self._mask is None:
            return bias
        return bias + ops.cast(self._mask[:, None], bias.dtype)

    def _cut(self, tokens):
        """`(b, t*f, d)` -> `(b*windows, n, d)`."""
        (time, freq), width = self.window_size, tokens.shape[-1]
        rows, columns = self.grid_size[0] // time, self.grid_size[1] // freq
        if any(self.shift):
            tokens = ops.reshape(tokens, (-1, *self.grid_size, width))
            back = [-step for step in self.shift]
            tokens = ops.roll(tokens, back, axis=(1, 2))
        tokens = ops.reshape(tokens, (-1, rows, time, columns, freq, width))
        tokens = ops.transpose(tokens, (0, 1, 3, 2, 4, 5))
        return ops.reshape(tokens, (-1, time * freq, width))

    def _join(self, tokens):
        """`(b*windows, n, d)` -> `(b, t*f, d)`."""
        (time, freq), width = self.window_size, tokens.shape[-1]
        rows, columns = self.grid_size[0] // time, self.grid_size[1] // freq
        tokens = ops.reshape(tokens, (-1, rows, columns, time, freq, width))
        tokens = ops.transpose(tokens, (0, 1, 3, 2, 4, 5))
        if any(self.shift):
            tokens = ops.reshape(tokens, (-1, *self.grid_size, width))
            tokens = ops.roll(tokens, self.shift, axis=(1, 2))
        num_tokens = self.grid_size[0] * self.grid_size[1]
        return ops.reshape(tokens, (-1, num_tokens, width))

    def resize_weight(
        self,
        value: np.ndarray,
        new_shape: tuple[int, ...],
        positive: bool = False,
    ) -> np.ndarray:
        """Carries the position bias over to another window: see `transplant`.

        The table of `2 * window - 1` distances is resized bilinearly, its
        ends held. Ours: the originals never change their windows.
        """
        del positive  # interpolation keeps non-negative values so
        return resize_axes(value, new_shape[:2])

    def _num_seen(self, num_tokens):
        return self.window_size[0] * self.window_size[1]


def window_distances(window_size):
    """Where each pair of tokens of a window looks into the position bias.

    Args:
        window_size: pair `(time, freq)`.

    Returns:
        int32 `((time * freq) ** 2,)`, rows of the table with its first two
        axes made one; the distance of the second token from the first.
    """
    time, freq = window_size
    positions = np.indices(window_size).reshape(2, -1)  # (2, n)
    apart = positions[:, :, None] - positions[:, None, :]
    rows = (apart[0] + time - 1) * (2 * freq - 1) + apart[1] + freq - 1
    return rows.reshape(-1).astype("int32")


def region_mask(grid_size, window_size, shift):
    """What is added to scores so that rolled-in tokens are not seen.

    Args:
        grid_size, window_size, shift: pairs `(time, freq)`.

    Returns:
        float32 `(windows, n, n)`: 0 where both tokens were neighbours before
        the grid was rolled by `shift`, else -100.
    """
    sides = []
    for size, window, step in zip(grid_size, window_size, shift, strict=True):
        rolled_in = np.arange(size) >= size - step
        sides.append(rolled_in.reshape(-1, window))
    time, freq = sides
    regions = 2 * time[:, None, :, None] + freq[None, :, None, :]
    regions = regions.reshape(-1, window_size[0] * window_size[1])
    apart = regions[:, :, None] != regions[:, None, :]
    return np.where(apart, OTHER_REGION, 0.0).astype("float32")
