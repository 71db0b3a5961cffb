from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.utils.annotations import Shape, Tensor

EVALUATION_SEED = 1


@keras.saving.register_keras_serializable("keras_c2f")
class PatchMask(ConfiguredLayer):
    """Draws which patches of each clip are masked, always equally many.

    Squares of patches are drawn at random places, one after the other, until
    enough patches are covered; of the last square only as many patches are
    taken as are still missing. Squares may hang over the edges of the grid,
    so that every patch is as likely as another. Each clip has a random side
    length of its own.

    In training the draw is new in every call. Elsewhere it is the same for
    the same number of clips, so that epochs can be compared.

    Args:
        mask_ratio: float above 0 and at most 1, share of the patches; the
            number is rounded, and at least 1.
        cluster_sizes: sequence of int, side lengths in patches that are drawn
            from; `(1,)` masks single patches. `None`: 3, 4 and 5, or 1 where
            patches span all mel bins (clusters of frames hurt, says SSAST).
        seed: int or `None`, of the draws in training.

    Call arguments:
        patches: `(batch, time, freq, ...)`; only its shape is looked at.

    Returns:
        int32 `(batch, num_masked)`, places on the grid counted time-major.

    Raises:
        ValueError: if the ratio or a size is outside its range.

    Example:
        >>> tuple(PatchMask(0.75)(ops.zeros((2, 64, 8, 1))).shape)
        (2, 384)

    Reference:
        Gong et al., "SSAST", section 2.2 and Algorithm 1. The original draws
        squares that hang over two edges only and never masks patch 0.
    """

    def __init__(
        self,
        mask_ratio: float = 400 / 512,
        cluster_sizes: Sequence[int] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not 0 < mask_ratio <= 1:
            raise ValueError(
                "`mask_ratio` is the share of patches that is masked, above "
                f"0 and at most 1. Received: mask_ratio={mask_ratio}."
            )
        if cluster_sizes is not None:
            cluster_sizes = tuple(cluster_sizes)
            if not cluster_sizes or min(cluster_sizes) < 1:
                raise ValueError(
                    "`cluster_sizes` are side lengths of at least one patch, "
                    "such as (3, 4, 5). "
                    f"Received: cluster_sizes={cluster_sizes}."
                )
        self.mask_ratio = mask_ratio
        self.cluster_sizes = cluster_sizes
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def num_masked(self, grid_size: tuple[int, int]) -> int:
        """int, masked patches of a grid `(time, freq)`."""
        return max(round(self.mask_ratio * grid_size[0] * grid_size[1]), 1)

    def call(self, patches: Tensor, training: bool | None = None) -> Tensor:
        batch, grid_size = ops.shape(patches)[0], patches.shape[1:3]
        sizes = self.cluster_sizes
        if sizes is None:
            sizes = (1,) if grid_size[1] == 1 else (3, 4, 5)
        seeds = [self.seed_generator] * 2
        if not training:
            seeds = [EVALUATION_SEED, EVALUATION_SEED + 1]
        # one square may end at each place; a small number is an early turn
        positions = [side + max(sizes) - 1 for side in grid_size]
        turns = keras.random.uniform(
            (batch, *positions, 1), dtype="float32", seed=seeds[0]
        )
        # (b, sizes, t*f) -> (b, 1, t*f)
        turns = ops.stack(
            [_first_turn(turns, size, grid_size) for size in sizes], axis=1
        )
        drawn = keras.random.randint(
            (batch, 1, 1), 0, len(sizes), dtype="int32", seed=seeds[1]
        )
        turns = ops.take_along_axis(turns, drawn, axis=1)
        order = ops.argsort(ops.squeeze(turns, axis=1), axis=-1)
        return ops.cast(order[:, : self.num_masked(grid_size)], "int32")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_masked(input_shape[1:3]))

    def compute_output_spec(
        self, patches: keras.KerasTensor, training: bool | None = None
    ) -> keras.KerasTensor:
        shape = self.compute_output_shape(patches.shape)
        return keras.KerasTensor(shape, dtype="int32")


def _first_turn(turns, size, grid_size):
    """Turn of the first square of side `size` that covers each patch.

    Drawing squares in the order of their turns, patches are covered in the
    order of what is returned: `(batch, time, freq)`, flat behind the batch.
    """
    time, freq = (side + size - 1 for side in grid_size)
    first = -ops.max_pool(
        -turns[:, :time, :freq], size, 1, "valid", "channels_last"
    )
    return ops.reshape(first, (-1, grid_size[0] * grid_size[1]))
