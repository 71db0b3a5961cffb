from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import keras

from keras_c2f.layers import (
    ConvStem,
    EncoderBlock,
    PatchEmbedding,
    Patchout,
    PositionGrid,
    PrefixTokens,
)
from keras_c2f.models.adapters import add_adapters
from keras_c2f.models.encoder import (
    check_encoder,
    encode,
    freeze_blocks,
    pool_tokens,
    to_sequence,
)
from keras_c2f.models.phase_network import Backbone
from keras_c2f.models.presets import AST_PRESETS, size_config
from keras_c2f.resolution import Resolution


@keras.saving.register_keras_serializable("keras_c2f")
class AST(Backbone):
    """Audio Spectrogram Transformer: log-mel in, tokens out.

    The backbone alone; `AudioClassifier` puts a head on it. Sizes of the
    clip and the patch are those at full resolution; `resolution` says how
    much coarser this network is, so that one config describes every phase.

    Args:
        num_frames: int, frames of a clip at full resolution.
        num_mel_bins: int.
        patch_size: pair `(time, freq)`.
        patch_stride: pair `(time, freq)`; `patch_size` if `None`. AST's best
            checkpoint has 10 x 10, overlapping patches.
        stem_channels: ints, channels of the stages of a `ConvStem`, which
            then embeds the patches; none: a linear `PatchEmbedding` does, as
            in AST.
        width: int, size of a token.
        depth: int, encoder blocks.
        num_heads: int.
        mlp_ratio: float, hidden width of the perceptrons over `width`.
        num_prefix_tokens: int; 2 are AST's class and distillation tokens, 1
            a class token, 0 leaves mean pooling as the only choice.
        dropout: float, in attention and perceptrons.
        drop_path: float, stochastic depth of the last block; grows linearly
            from 0 at the first.
        patchout: float, share of the patches that training leaves out, other
            ones in every batch: see `Patchout`.
        token_merging: float in [0, 0.5], share of the patches merged into
            others like them after each block but the last, in use too: see
            `TokenMerging`. It compounds: 0.2 leaves half after three blocks.
        frozen_blocks: int, first blocks that are not trained, with all in
            front of them: for a start from weights of another training.
            Their dropout goes on; grid and kernel are still resized.
        lora_rank: int, rank of adapters that are trained in place of all
            weights: see `add_adapters`; 0, none.
        epsilon: float, of the layer norms.
        kernel_resize: `"pi"`, `"bilinear"` or `"base"`: see
            `PatchEmbedding`; matters with `Patch` only.
        position_resize: `"bilinear"`, `"bicubic"`, `"nearest"` or `"random"`:
            how positions are carried to another resolution: see
            `PositionGrid`.
        resolution: `Resolution` or its text form.

    Input shape:
        `(batch, resolution.num_frames(num_frames), num_mel_bins)`, the
        compressed and normalised log-mel.

    Output shape:
        `(batch, num_prefix_tokens + time_patches * freq_patches, width)`,
        prefix first, patches time-major, after the last layer norm. In
        training with `patchout`, those of the patches that are left; with
        `token_merging` the fewer that are left, in another order.

    Raises:
        ValueError: if the resolution leaves less than one patch, a stem is
            to make patches that overlap, a way of resizing is unknown, more
            than half of the patches are to be merged, or blocks are frozen
            that are not there, or whose positions would be drawn anew.

    Example:
        >>> backbone = AST.from_size("tiny", resolution="pool:4")
        >>> backbone.grid_size, backbone.output_shape
        ((16, 8), (None, 130, 192))

    Reference:
        Gong, Chung, Glass, "AST: Audio Spectrogram Transformer", Interspeech
        2021, section 2.1. Initial weights are Keras' (Glorot uniform) rather
        than timm's normal(0.02).
    """

    # What `KWT` has otherwise.
    block = EncoderBlock
    final_norm = True

    def __init__(
        self,
        num_frames: int = 1024,
        num_mel_bins: int = 128,
        patch_size: tuple[int, int] = (16, 16),
        patch_stride: tuple[int, int] | None = None,
        stem_channels: Sequence[int] = (),
        width: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        num_prefix_tokens: int = 2,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        patchout: float = 0.0,
        token_merging: float = 0.0,
        frozen_blocks: int = 0,
        lora_rank: int = 0,
        epsilon: float = 1e-6,
        kernel_resize: str = "pi",
        position_resize: str = "bilinear",
        resolution: Resolution | str = "full",
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs: Any,
    ):
        check_encoder(depth, frozen_blocks, token_merging)
        if frozen_blocks and position_resize == "random":
            raise ValueError(
                "With `position_resize='random'` positions begin anew, and "
                f"frozen_blocks={frozen_blocks} keeps them from being "
                "learned. Choose another `position_resize`, or freeze nothing."
            )
        resolution = Resolution.parse(resolution)
        inputs = keras.Input(
            (resolution.num_frames(num_frames), num_mel_bins), name="log_mel"
        )
        embed = _embedding(
            width,
            patch_size,
            patch_stride,
            stem_channels,
            time_factor=resolution.patch,
            kernel_resize=kernel_resize,
            name="patch_embedding",
            dtype=dtype,
        )
        patches = PositionGrid(position_resize, name="positions", dtype=dtype)(
            embed(inputs)
        )
        patches = pool_tokens(patches, resolution.token, dtype)
        tokens = to_sequence(patches, dtype)
        if patchout:
            tokens = Patchout(patchout, name="patchout", dtype=dtype)(tokens)
        if num_prefix_tokens:
            tokens = PrefixTokens(
                num_prefix_tokens, name="prefix", dtype=dtype
            )(tokens)
        tokens = keras.layers.Dropout(dropout, name="dropout", dtype=dtype)(
            tokens
        )
        tokens = encode(
            tokens,
            partial(self.block, num_heads, mlp_ratio, dropout, epsilon=epsilon),
            depth,
            drop_path,
            token_merging,
            num_prefix_tokens,
            epsilon if self.final_norm else None,
            dtype,
        )
        super().__init__(inputs=inputs, outputs=tokens, dtype=dtype, **kwargs)
        freeze_blocks(self, frozen_blocks)
        add_adapters(self, lora_rank)

        self.num_frames = num_frames
        self.num_mel_bins = num_mel_bins
        self.patch_size = embed.patch_size
        self.patch_stride = embed.patch_stride
        self.stem_channels = tuple(stem_channels)
        self.width = width
        self.depth = depth
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.num_prefix_tokens = num_prefix_tokens
        self.dropout = dropout
        self.drop_path = drop_path
        self.patchout = patchout
        self.token_merging = token_merging
        self.frozen_blocks = frozen_blocks
        self.lora_rank = lora_rank
        self.epsilon = epsilon
        self.kernel_resize = kernel_resize
        self.position_resize = position_resize
        self.resolution = resolution
        self.grid_size = patches.shape[1:3]

    @property
    def num_tokens(self) -> int:
        """int, patches of one clip; prefix tokens not counted."""
        return self.grid_size[0] * self.grid_size[1]

    @classmethod
    def from_size(cls, size: str, **overrides: Any) -> Self:
        """A randomly initialised model of a size in `models/presets.py`.

        Args:
            size: str, such as `"tiny"`.
            overrides: any argument of `AST`.

        Raises:
            ValueError: if `size` is unknown; near ones are suggested.
        """
        return cls(**{**size_config(size, AST_PRESETS, "ast_"), **overrides})


def _embedding(width, size, stride, stem_channels, **options):
    """The layer that makes tokens of a spectrogram."""
    if not stem_channels:
        return PatchEmbedding(width, size, stride, **options)
    if stride and tuple(stride) != tuple(size):
        raise ValueError(
            "Behind a stem patches lie side by side, and see beyond their "
            f"edges all the same. Received: patch_size={size} and "
            f"patch_stride={stride}. Leave `patch_stride` out, or "
            "`stem_channels`."
        )
    return ConvStem(width, size, stem_channels, **options)
