from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class DropPath(ConfiguredLayer):
    """Drops a residual branch for a random share of the clips in a batch.

    The branches that stay are divided by `1 - rate`, so that the expected
    value is unchanged. Does nothing outside training. No masking.

    Args:
        rate: float in [0, 1), share of clips whose branch is set to zero.
        seed: int, optional.

    Call arguments:
        inputs: `(batch, ...)`, the output of a residual branch.

    Returns:
        The shape of `inputs`.

    Raises:
        ValueError: if `rate` is outside [0, 1).

    Reference:
        Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016,
        section 3; per clip, as timm's `drop_path`.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(
                "`rate` is the share of clips whose branch is dropped, at "
                f"least 0 and below 1. Received: rate={rate}."
            )
        self.rate = rate
        self.seed = seed
        if rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        kept = keras.random.uniform(shape, seed=self.seed_generator)
        scale = ops.cast(kept >= self.rate, inputs.dtype) / (1 - self.rate)
        return inputs * scale

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
