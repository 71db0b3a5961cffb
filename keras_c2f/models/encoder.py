"""The stack of blocks that backbones of one sequence of tokens share."""

import keras
import numpy as np

from keras_c2f.layers import TokenMerging, TokenPooling

MOST_BLOCKS = 100  # of a stage


def pool_tokens(tokens, factor, dtype=None):
    """`(batch, time, ..., width)`, every `factor` tokens in time averaged."""
    if factor == 1:
        return tokens
    return TokenPooling(factor, name="token_pooling", dtype=dtype)(tokens)


def to_sequence(patches, dtype=None):
    """`(batch, time, freq, width)` -> `(batch, time * freq, width)`."""
    _, time, freq, width = patches.shape
    return keras.layers.Reshape(
        (time * freq, width), name="tokens", dtype=dtype
    )(patches)


def encode(
    tokens,
    make_block,
    depth,
    drop_path=0.0,
    token_merging=0.0,
    num_prefix_tokens=0,
    norm_epsilon=None,
    dtype=None,
):
    """Tokens through blocks named `block_0` on, and a last norm.

    Args:
        tokens: symbolic tensor `(batch, num_tokens, width)`.
        make_block: function of `drop_path`, `name` and `dtype` -> layer.
        depth: int.
        drop_path: float, stochastic depth of the last block; grows linearly
            from 0 at the first.
        token_merging: float, see `TokenMerging`; behind each block but the
            last.
        num_prefix_tokens: int, tokens in front that are not merged.
        norm_epsilon: float of a last norm, or `None`: there is none.
        dtype: dtype policy of the layers.

    Returns:
        Symbolic tensor `(batch, num_left, width)`.
    """
    for index, rate in enumerate(np.linspace(0, drop_path, depth)):
        tokens = make_block(
            drop_path=float(rate), name=f"block_{index}", dtype=dtype
        )(tokens)
        if token_merging and index < depth - 1:
            tokens = TokenMerging(
                token_merging,
                num_prefix_tokens,
                name=f"merging_{index}",
                dtype=dtype,
            )(tokens)
    if norm_epsilon is not None:
        tokens = keras.layers.LayerNormalization(
            epsilon=norm_epsilon, name="norm", dtype=dtype
        )(tokens)
    return tokens


def remat_scope() -> keras.RematScope:
    """Scope in which encoder blocks are made that save memory in training.

    Of each block nothing is kept for the backward pass but its input, and the
    block is computed again there: a third more compute, and memory for one
    block's activations in place of all. Losses and weights stay the same.
    `PhasedModel` keeps the scope when it builds its next network; a model that
    is loaded from a file has it if it is loaded in the scope.

    Returns:
        `keras.RematScope` that names the blocks of all backbones here.

    Example:
        >>> from keras_c2f.models import AST
        >>> with remat_scope():
        ...     backbone = AST.from_size("micro")
        >>> backbone.get_layer("block_0").is_recomputed
        True

    Reference:
        Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
    """
    names = [f"block_{index}" for index in range(MOST_BLOCKS)]
    stages = [f"stage_{stage}_{name}" for stage in range(4) for name in names]
    return keras.RematScope("list_of_layers", layer_names=names + stages)


def check_encoder(depth, frozen_blocks, token_merging):
    """Refuses numbers that no encoder can have.

    Raises:
        ValueError: if more blocks are frozen than there are, or more than
            half of the patches merged.
    """
    if not 0 <= frozen_blocks <= depth:
        raise ValueError(
            f"`frozen_blocks` is between 0 and the {depth} blocks of the "
            f"network. Received: {frozen_blocks}."
        )
    if not 0 <= token_merging <= 0.5:
        raise ValueError(
            "`token_merging` is a share of the patches, between 0 and 0.5: "
            f"every other one can go. Received: {token_merging}."
        )


def freeze_blocks(network, frozen_blocks):
    """Freezes the first blocks of a network, and all in front of them."""
    if frozen_blocks:
        last = network.get_layer(f"block_{frozen_blocks - 1}")
        for layer in network.layers[: network.layers.index(last) + 1]:
            layer.trainable = False
