from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class PrefixTokens(ConfiguredLayer):
    """Puts learned tokens (class, distillation) before the patch tokens.

    Token and position embedding of the originals are one weight here: only
    their sum is ever used. They have no place on the grid and stay as they
    are when it is resized. No masking.

    Args:
        num_tokens: int; AST has 2, ViT 1.

    Call arguments:
        tokens: `(batch, num_patches, width)`.

    Returns:
        `(batch, num_tokens + num_patches, width)`.

    Reference:
        Gong et al., "AST", section 2.1; Touvron et al., "DeiT", section 4.
    """

    def __init__(self, num_tokens: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_tokens = num_tokens

    def build(self, input_shape: Shape) -> None:
        self.tokens = self.add_weight(
            name="tokens",
            shape=(self.num_tokens, input_shape[-1]),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )

    def call(self, tokens: Tensor) -> Tensor:
        shape = (ops.shape(tokens)[0], self.num_tokens, tokens.shape[-1])
        prefix = ops.broadcast_to(self.tokens, shape)
        return ops.concatenate([prefix, tokens], axis=1)

    def count_macs(self, input_shape: Shape) -> int:
        return 0

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, num_patches, width = input_shape
        return (batch, num_patches + self.num_tokens, width)
