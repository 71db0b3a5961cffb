from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class Patchout(ConfiguredLayer):
    """Leaves a random share of the tokens out in training, to train for less.

    The same places for all clips of a batch, other ones in every batch: the
    unstructured patchout of PaSST. What is left keeps its order. Stands behind
    the positions, which say where a token came from, and before `PrefixTokens`,
    of which none is left out. Outside training all tokens pass. No masking.

    Shapes that Keras knows before a call are those outside training: layers
    behind this one must take fewer tokens than they were built with.

    Args:
        rate: float in [0, 1), share of the tokens left out; how many are kept
            is rounded, and at least 1.
        seed: int, optional.

    Call arguments:
        tokens: `(batch, num_tokens, width)` with known `num_tokens`.

    Returns:
        `(batch, num_kept(num_tokens), width)` in training, else `tokens`.

    Raises:
        ValueError: if `rate` is outside [0, 1).

    Example:
        >>> tuple(Patchout(0.4)(ops.zeros((2, 64, 8)), training=True).shape)
        (2, 38, 8)

    Reference:
        Koutini, Schlueter, Eghbal-zadeh, Widmer, "Efficient Training of Audio
        Transformers with Patchout", Interspeech 2022, section 3.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(
                "`rate` is the share of tokens that are left out in training, "
                f"at least 0 and below 1. Received: rate={rate}."
            )
        self.rate = rate
        self.seed = seed
        if rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def num_kept(self, num_tokens: int) -> int:
        """int, tokens of `num_tokens` that training sees."""
        return max(round((1 - self.rate) * num_tokens), 1)

    def call(self, tokens: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return tokens
        num_tokens = tokens.shape[1]
        draws = keras.random.uniform(
            (num_tokens,), dtype="float32", seed=self.seed_generator
        )
        kept = ops.argsort(draws)[: self.num_kept(num_tokens)]
        return ops.take(tokens, ops.sort(kept), axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
