from typing import Any

import keras
import numpy as np

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.layers.resizing import GRID_METHODS, resize_axes
from keras_c2f.utils.annotations import Shape, Tensor
from keras_c2f.utils.values import Choice

POSITION_RESIZES = (*GRID_METHODS, "random")


@keras.saving.register_keras_serializable("keras_c2f")
class PositionGrid(ConfiguredLayer):
    """Adds a learned position embedding to every patch of a grid.

    The table keeps its `(time, freq)` shape; nothing guesses a square. When
    a phase begins, `transplant` resizes it to the new grid. Class tokens carry
    their own position: see `PrefixTokens`. No masking.

    Args:
        resize: how the table follows a change of grid: `"bilinear"`,
            `"bicubic"` or `"nearest"`, with half-pixel centres and without
            antialiasing, as PyTorch's `interpolate`. Or `"random"`: it does
            not, and the new grid begins with random values, the same ones for
            the same grid; a control, which shows what the transfer is worth.

    Call arguments:
        patches: `(batch, time, freq, width)`.

    Returns:
        The shape of `patches`.

    Raises:
        ValueError: if `resize` is unknown.

    Reference:
        Feng et al., "From Coarse to Fine": bilinear resize at each phase
        change. Half-pixel centres and all other ways are ours.
    """

    def __init__(self, resize: str = "bilinear", **kwargs: Any):
        super().__init__(**kwargs)
        Choice(POSITION_RESIZES).check("resize", resize)
        self.resize = resize

    def build(self, input_shape: Shape) -> None:
        _, time, freq, _ = input_shape
        # a run that goes on after a kill shall find the values it had
        seed = 1000 * time + freq if self.resize == "random" else None
        self.grid = self.add_weight(
            name="grid",
            shape=input_shape[1:],
            initializer=keras.initializers.TruncatedNormal(0.0, 0.02, seed),
        )

    def call(self, patches: Tensor) -> Tensor:
        return patches + self.grid

    def count_macs(self, input_shape: Shape) -> int:
        return 0

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def resize_weight(
        self,
        value: np.ndarray,
        new_shape: tuple[int, ...],
        positive: bool = False,
    ) -> np.ndarray | None:
        """Resizes a grid `(time, freq, width)`: see `transplant`.

        Second moments are resized bilinearly whatever the method.
        """
        if self.resize == "random":
            return None
        method = "bilinear" if positive else self.resize
        return resize_axes(value, new_shape[:2], GRID_METHODS[method])
