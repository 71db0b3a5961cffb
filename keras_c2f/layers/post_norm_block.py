import keras

from keras_c2f.layers.attention import SelfAttention
from keras_c2f.layers.encoder_block import EncoderBlock
from keras_c2f.utils.annotations import Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class PostNormBlock(EncoderBlock):
    """Post-norm transformer block: the norms follow the residual sums.

    `norm(x + attention(x))`, then `norm(x + mlp(x))`. Queries, keys and
    values have no bias, and GELU is the approximation by tanh. Arguments,
    weights and shapes are those of `EncoderBlock`, less that bias.

    Call arguments:
        tokens: `(batch, num_tokens, width)`.

    Returns:
        `(batch, num_tokens, width)`.

    Reference:
        Berg, O'Connor, Cruz, "Keyword Transformer", Interspeech 2021,
        section 2.1, and its code in TensorFlow.
    """

    approximate_gelu = True

    def _make_attention(self, **options):
        return SelfAttention(
            self.num_heads, self.dropout, qkv_bias=False, **options
        )

    def call(self, tokens: Tensor, training: bool | None = None) -> Tensor:
        branch = self.attention(tokens, training=training)
        branch = self.branch_drop(branch, training=training)
        tokens = self.attention_norm(tokens + branch)
        branch = self._perceptron(tokens, training=training)
        branch = self.branch_drop(branch, training=training)
        return self.mlp_norm(tokens + branch)
