from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_c2f.layers.adaptable_dense import (
    AdaptableDense,
    frozen_macs,
    lora_macs,
)
from keras_c2f.layers.attention import SelfAttention
from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.layers.drop_path import DropPath
from keras_c2f.layers.fused import LayerNormalization, gelu
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class EncoderBlock(ConfiguredLayer):
    """Pre-norm transformer block: attention, then a two-layer perceptron.

    `x + attention(norm(x))`, then `x + mlp(norm(x))`. No masking. Made in a
    `keras.RematScope` that names it, a block keeps nothing but its input for
    the backward pass, which computes it again: see `remat_scope`.

    Args:
        num_heads: int, attention heads.
        mlp_ratio: float, hidden width of the perceptron over the token width.
        dropout: float, dropout on attention weights and both branches.
        drop_path: float, share of clips whose branches are dropped.
        epsilon: float, added to the variance in both layer norms.

    Call arguments:
        tokens: `(batch, num_tokens, width)`.

    Returns:
        `(batch, num_tokens, width)`.

    Reference:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", section 3.1,
        equations 2 and 3; exact (erf) GELU.
    """

    approximate_gelu = False  # `PostNormBlock` has the approximation

    def __init__(
        self,
        num_heads: int,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        epsilon: float = 1e-6,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.drop_path = drop_path
        self.epsilon = epsilon
        self._is_inside = False

    @property
    def traced_once(self) -> bool:
        """bool, whether one trace serves all blocks of a network.

        It may: `call` reads tokens and weights alone. See
        `phases/tensorflow_graph.py`.
        """
        return not self.is_recomputed

    @property
    def is_recomputed(self) -> bool:
        """bool, whether it was made in a `keras.RematScope` for it."""
        scope = self._remat_mode
        if scope is None or scope.mode == "list_of_layers":
            return bool(scope) and self.name in scope.layer_names
        return scope.mode in ("full", "larger_than")

    def rematerialized_call(
        self, layer_call: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Callable[..., Tensor]:
        """What Keras calls in place of `call` in a `keras.RematScope`.

        Its own takes no `training` on JAX, and draws other random numbers
        when it computes a layer again.
        """
        if self._is_inside or not self.is_recomputed:
            return layer_call
        return self._recomputed if kwargs.get("training") else layer_call

    def _recomputed(self, tokens, training=None):
        """`call` as a function of weights and seeds, that keeps its input."""

        def block(weights, state, tokens):
            self._is_inside = True  # `stateless_call` would come back here
            try:
                return self.stateless_call(
                    weights, state, tokens, training=training
                )
            finally:
                self._is_inside = False

        own = {id(variable) for variable in self.weights}
        # seeds are assigned below, before the block is computed again
        state = [
            ops.convert_to_tensor(v) if id(v) in own else ops.copy(v)
            for v in self.non_trainable_variables
        ]
        weights = list(map(ops.convert_to_tensor, self.trainable_variables))
        tokens, state = keras.remat(block)(weights, state, tokens)
        for variable, value in zip(
            self.non_trainable_variables, state, strict=True
        ):
            if id(variable) not in own:
                variable.assign(value)
        return tokens

    def build(self, input_shape: Shape) -> None:
        width = input_shape[-1]
        hidden = int(width * self.mlp_ratio)
        options = {"dtype": self.dtype_policy}
        self.attention_norm = LayerNormalization(
            epsilon=self.epsilon, name="attention_norm", **options
        )
        self.attention = self._make_attention(name="attention", **options)
        self.mlp_norm = LayerNormalization(
            epsilon=self.epsilon, name="mlp_norm", **options
        )
        self.mlp_in = AdaptableDense(hidden, name="mlp_in", **options)
        self.mlp_out = AdaptableDense(width, name="mlp_out", **options)
        self.mlp_dropout = keras.layers.Dropout(self.dropout, **options)
        self.branch_drop = DropPath(self.drop_path, name="drop", **options)
        for layer in (
            self.attention_norm,
            self.attention,
            self.mlp_norm,
            self.mlp_in,
        ):
            layer.build(input_shape)
        self.mlp_out.build((*input_shape[:-1], hidden))

    def _make_attention(self, **options):
        return SelfAttention(self.num_heads, self.dropout, **options)

    def call(self, tokens: Tensor, training: bool | None = None) -> Tensor:
        branch = self.attention(self.attention_norm(tokens), training=training)
        tokens = tokens + self.branch_drop(branch, training=training)
        branch = self._perceptron(self.mlp_norm(tokens), training=training)
        return tokens + self.branch_drop(branch, training=training)

    def _perceptron(self, tokens, training=None):
        """The two dense layers; `(batch, num_tokens, width)` as it came."""
        num_tokens, width = ops.shape(tokens)[1], tokens.shape[-1]
        # (b, n, d) -> (b*n, d): one plain matrix product on every backend
        hidden = self.mlp_in(ops.reshape(tokens, (-1, width)))
        hidden = gelu(hidden, self.approximate_gelu, training)
        hidden = self.mlp_dropout(hidden, training=training)
        branch = self.mlp_dropout(self.mlp_out(hidden), training=training)
        return ops.reshape(branch, (-1, num_tokens, width))

    @property
    def dense_layers(self) -> list:
        """list of the `AdaptableDense` layers, which may have adapters."""
        return [*self.attention.dense_layers, self.mlp_in, self.mlp_out]

    def count_macs(self, input_shape: Shape) -> int:
        _, num_tokens, width = input_shape
        perceptron = 2 * num_tokens * width * int(width * self.mlp_ratio)
        adapters = lora_macs(self.mlp_in, num_tokens)
        adapters += lora_macs(self.mlp_out, num_tokens)
        return self.attention.count_macs(input_shape) + perceptron + adapters

    def count_frozen_macs(self, input_shape: Shape) -> int:
        """Of `count_macs`, those of kernels that adapters stand beside."""
        num_tokens = input_shape[1]
        return sum(frozen_macs(x, num_tokens) for x in self.dense_layers)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
