from typing import Any

import keras
from keras import ops

from keras_c2f.layers.adaptable_dense import AdaptableDense, lora_macs
from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.utils.annotations import Shape, Tensor


def _has_fused_kernel():
    """Whether Keras has attention as one kernel here.

    On JAX that is cuDNN's on a GPU, in half precision, unless
    `keras.config.disable_flash_attention` has been called. On TensorFlow
    there is none.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        devices = keras.distribution.list_devices()
        return any(device.startswith("gpu") for device in devices)
    return backend == "torch"


@keras.saving.register_keras_serializable("keras_c2f")
class SelfAttention(ConfiguredLayer):
    """Multi-head self-attention with one fused query-key-value kernel.

    One kernel in place of three gives the optimizer and the graph fewer
    variables; a retrace at a phase change is shorter for it. No masking.

    Args:
        num_heads: int; must divide the width of the tokens.
        dropout: float, dropout on the attention weights and on the output.
        qkv_bias: bool, whether queries, keys and values have a bias.

    Call arguments:
        tokens: `(batch, num_tokens, width)`.
        bias: optional `(count, num_heads, num_tokens, num_tokens)`, added to
            the scores of each `count` neighbours in the batch.

    Returns:
        `(batch, num_tokens, width)`.

    Raises:
        ValueError: if `num_heads` does not divide the width.

    Reference:
        Vaswani et al., "Attention Is All You Need", section 3.2. The kernel
        holds query, key and value side by side, as in timm.
    """

    def __init__(
        self,
        num_heads: int,
        dropout: float = 0.0,
        qkv_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv_bias = qkv_bias

    def build(self, input_shape: Shape) -> None:
        width = input_shape[-1]
        if width % self.num_heads:
            raise ValueError(
                f"{self.num_heads} heads do not divide a width of {width}. "
                "Choose a width that is a multiple of `num_heads`."
            )
        options = {"dtype": self.dtype_policy}
        self.qkv = AdaptableDense(
            3 * width, use_bias=self.qkv_bias, name="qkv", **options
        )
        self.output_projection = AdaptableDense(
            width, name="output_projection", **options
        )
        self.weight_dropout = keras.layers.Dropout(self.dropout, **options)
        self.output_dropout = keras.layers.Dropout(self.dropout, **options)
        self.qkv.build(input_shape)
        self.output_projection.build(input_shape)

    def call(
        self,
        tokens: Tensor,
        bias: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        num_tokens, width = ops.shape(tokens)[1], tokens.shape[-1]
        head_size = width // self.num_heads
        # (b, n, d) -> (b*n, 3*d) -> (b, n, 3, heads, head_size)
        qkv = self.qkv(ops.reshape(tokens, (-1, width)))
        qkv = ops.reshape(qkv, (-1, num_tokens, 3, self.num_heads, head_size))
        if bias is None and not self.dropout and _has_fused_kernel():
            mixed = ops.dot_product_attention(*ops.unstack(qkv, axis=2))
        else:
            mixed = self._attend(qkv, bias, head_size, training)
        # (b, n, heads, head_size) -> (b*n, d)
        mixed = self.output_projection(ops.reshape(mixed, (-1, width)))
        mixed = ops.reshape(mixed, (-1, num_tokens, width))
        return self.output_dropout(mixed, training=training)

    def _attend(self, qkv, bias, head_size, training):
        # 3 x (b, heads, n, head_size)
        query, key, value = ops.unstack(
            ops.transpose(qkv, (2, 0, 3, 1, 4)), axis=0
        )
        scores = ops.matmul(
            query * head_size**-0.5, ops.transpose(key, (0, 1, 3, 2))
        )
        if bias is not None:
            shape = ops.shape(scores)
            scores = ops.reshape(scores, (-1, *bias.shape)) + bias
            scores = ops.reshape(scores, shape)
        weights = self.weight_dropout(
            ops.softmax(scores, axis=-1), training=training
        )
        return ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))

    @property
    def dense_layers(self) -> list:
        """list of the `AdaptableDense` layers."""
        return [self.qkv, self.output_projection]

    def count_macs(self, input_shape: Shape) -> int:
        _, num_tokens, width = input_shape
        projections = 4 * num_tokens * width**2
        adapters = sum(lora_macs(x, num_tokens) for x in self.dense_layers)
        scores = 2 * num_tokens * self._num_seen(num_tokens) * width
        return projections + adapters + scores

    def _num_seen(self, num_tokens):
        """int, tokens that each token attends to."""
        return num_tokens

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
