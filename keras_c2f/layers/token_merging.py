from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class TokenMerging(ConfiguredLayer):
    """Merges patches that are alike, in training and in use.

    Every other patch picks the one most like it, by the angle between them,
    among the rest. Of these pairs the closest are merged: a patch that was
    picked becomes the mean of itself and those that picked it. Which patches
    these are differs from clip to clip, how many does not. Stands between
    blocks, behind the positions, which say where a token came from; patches
    come out in another order. No masking.

    ToMe merges the same number in every block, between attention and
    perceptron, by the angle between keys, and weighs a token by the number of
    patches that it stands for. Here blocks stay as they are, a share is
    merged, and means are plain ones.

    Args:
        rate: float in [0, 0.5], share of the patches that are merged into
            others, rounded down.
        num_prefix_tokens: int, tokens in front that are left alone.

    Call arguments:
        tokens: `(batch, num_prefix_tokens + num_patches, width)` with known
            `num_patches`.

    Returns:
        `(batch, num_prefix_tokens + num_left, width)`, `num_left` being
        `num_patches - num_merged(num_patches)`.

    Raises:
        ValueError: if `rate` is outside [0, 0.5].

    Example:
        >>> tuple(TokenMerging(0.3)(ops.ones((2, 64, 8))).shape)
        (2, 45, 8)

    Reference:
        Bolya, Fu, Dai, Zhang, Feichtenhofer, Hoffman, "Token Merging: Your ViT
        But Faster", ICLR 2023, section 3.
    """

    def __init__(self, rate: float, num_prefix_tokens: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= rate <= 0.5:
            raise ValueError(
                "`rate` is the share of patches that are merged into others, "
                "between 0 and 0.5: every other patch can go. "
                f"Received: rate={rate}."
            )
        self.rate = rate
        self.num_prefix_tokens = num_prefix_tokens

    def num_merged(self, num_patches: int) -> int:
        """int, patches of `num_patches` that are merged into others."""
        return int(self.rate * num_patches)

    def call(self, tokens: Tensor) -> Tensor:
        prefix = tokens[:, : self.num_prefix_tokens]
        patches = tokens[:, self.num_prefix_tokens :]
        num_merged = self.num_merged(patches.shape[1])
        if not num_merged:
            return tokens
        likeness, partner = _most_alike(patches)
        order = ops.argsort(-likeness, axis=1)
        merged, left = order[:, :num_merged], ops.sort(order[:, num_merged:])
        seekers, others = patches[:, ::2], patches[:, 1::2]
        # (b, num_merged, num_others), 1 where one goes into another
        into = ops.one_hot(
            ops.take_along_axis(partner, merged, axis=1),
            others.shape[1],
            dtype=tokens.dtype,
        )
        sums = others + ops.matmul(
            ops.transpose(into, (0, 2, 1)), _take(seekers, merged)
        )
        means = sums / (1 + ops.sum(into, axis=1)[..., None])
        return ops.concatenate([prefix, _take(seekers, left), means], axis=1)

    def count_macs(self, input_shape: Shape) -> int:
        _, num_tokens, width = input_shape
        num_patches = num_tokens - self.num_prefix_tokens
        num_merged = self.num_merged(num_patches)
        if not num_merged:
            return 0
        num_others = num_patches // 2
        num_seekers = num_patches - num_others
        return (num_seekers + num_merged) * num_others * width

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, num_tokens, width = input_shape
        merged = self.num_merged(num_tokens - self.num_prefix_tokens)
        return (batch, num_tokens - merged, width)


def _most_alike(patches):
    """Of every other patch the largest cosine with one of the rest, and which.

    Two tensors `(b, ceil(n / 2))`. In float32: bfloat16 has many ties.
    """
    patches = ops.cast(ops.stop_gradient(patches), "float32")
    directions = ops.normalize(patches, axis=-1)
    cosines = ops.matmul(
        directions[:, ::2], ops.transpose(directions[:, 1::2], (0, 2, 1))
    )
    # ONNX and LiteRT have no argmax as Keras makes it in TensorFlow
    likeness, partner = ops.top_k(cosines, 1)
    return likeness[..., 0], partner[..., 0]


def _take(tokens, positions):
    """`(b, n, width)` at int `(b, m)` -> `(b, m, width)`.

    A row at a time, which is faster than `ops.take_along_axis`.
    """
    batch, num_tokens, width = ops.shape(tokens)
    first = num_tokens * ops.arange(batch, dtype="int32")[:, None]
    rows = ops.reshape(tokens, (-1, width))
    return ops.take(rows, ops.cast(positions, "int32") + first, axis=0)
