from typing import Any

import keras

from keras_c2f.layers.encoder_block import EncoderBlock
from keras_c2f.layers.window_attention import WindowAttention


@keras.saving.register_keras_serializable("keras_c2f")
class WindowBlock(EncoderBlock):
    """`EncoderBlock` whose tokens attend within windows of their grid.

    Args:
        num_heads, mlp_ratio, dropout, drop_path, epsilon: as in `EncoderBlock`.
        grid_size, window_size, shift: as in `WindowAttention`.

    Call arguments:
        tokens: `(batch, time * freq, width)`, time-major.

    Returns:
        The shape of `tokens`.

    Reference:
        Liu et al., "Swin Transformer", section 3.2, equation 3.
    """

    def __init__(
        self,
        num_heads: int,
        grid_size: tuple[int, int],
        window_size: tuple[int, int],
        shift: tuple[int, int] = (0, 0),
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ):
        super().__init__(
            num_heads, mlp_ratio, dropout, drop_path, epsilon, **kwargs
        )
        self.grid_size = tuple(grid_size)
        self.window_size = tuple(window_size)
        self.shift = tuple(shift)

    def _make_attention(self, **options):
        return WindowAttention(
            self.num_heads,
            self.grid_size,
            self.window_size,
            self.shift,
            self.dropout,
            **options,
        )
