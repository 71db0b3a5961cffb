import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_c2f.layers import (
    PatchEmbedding,
    PatchMerging,
    TimeStretch,
    WindowBlock,
)
from keras_c2f.models.adapters import add_adapters
from keras_c2f.models.encoder import pool_tokens, to_sequence
from keras_c2f.models.phase_network import Backbone
from keras_c2f.models.presets import HTS_AT_PRESETS, size_config
from keras_c2f.resolution import Resolution


@keras.saving.register_keras_serializable("keras_c2f")
class HTSAT(Backbone):
    """Hierarchical Token-Semantic Audio Transformer: log-mel in, tokens out.

    The log-mel is cut in time into `num_folds` parts, laid one above the
    other on the frequency side of an image: 1024 frames x 64 mel bins become
    256 x 256. Patches of it pass through stages of window attention; between
    stages each 2 x 2 tokens become one. `resolution` makes the time side of
    image, maps and, where a map gets smaller than a window, windows smaller,
    so that coarse phases really cost less.

    Any number of frames works. They are filled with zeros, the mean of a mel
    bin, up to what patches, merging and windows need: at full size a multiple
    of 128 frames times the patch factor. Each window is the largest that
    divides its map and is not above `window_size`.

    Args:
        num_frames: int, frames of a clip at full resolution.
        num_mel_bins: int; a multiple of the patch times 2 per merging (32).
        num_folds: int, parts that a clip is cut into.
        stretch_to: int, optional; frames at full resolution that a clip is
            stretched to, before it is filled up: 1024 for the same numbers as
            the original, whose 10 s clips have 1001.
        patch_size: pair `(time, freq)`; patches do not overlap.
        window_size: pair `(time, freq)`, tokens of a window.
        width: int, size of a token in the first stage; doubles with each.
        depths: blocks of each stage.
        num_heads: attention heads in each stage.
        mlp_ratio, dropout, drop_path, lora_rank: as in `AST`.
        epsilon: float, of all norms.
        kernel_resize, resolution: as in `AST`.

    Input shape:
        `(batch, resolution.num_frames(num_frames), num_mel_bins)`, the
        compressed log-mel. Its scale does not matter in training: the first
        layer is a batch norm of each mel bin.

    Output shape:
        `(batch, grid_size[0] * grid_size[1], width of the last stage)`:
        tokens after the last norm, unfolded, time-major. `(32, 2)` at full
        size, where a token covers 32 frames x 32 mel bins.

    Raises:
        ValueError: if patches and mergings do not divide `num_mel_bins`, or
            `depths` and `num_heads` differ in length.

    Example:
        >>> backbone = HTSAT(resolution="pool:2", depths=(1, 1, 1, 1))
        >>> backbone.num_tokens, backbone.grid_size, backbone.output_shape
        (2048, (16, 2), (None, 32, 768))

    Reference:
        Chen et al., "HTS-AT", ICASSP 2022, section 2.1, and its repository
        RetroCirce/HTS-Audio-Transformer. Ours: windows need not be square;
        initial weights are Keras'.
    """

    num_prefix_tokens = 0

    def __init__(
        self,
        num_frames: int = 1024,
        num_mel_bins: int = 64,
        num_folds: int = 4,
        stretch_to: int | None = None,
        patch_size: tuple[int, int] = (4, 4),
        window_size: tuple[int, int] = (8, 8),
        width: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (4, 8, 16, 32),
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        drop_path: float = 0.1,
        lora_rank: int = 0,
        epsilon: float = 1e-5,
        kernel_resize: str = "pi",
        resolution: Resolution | str = "full",
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs: Any,
    ):
        resolution = Resolution.parse(resolution)
        _check_stages(depths, num_heads, num_mel_bins, patch_size[1])
        inputs = keras.Input(
            (resolution.num_frames(num_frames), num_mel_bins), name="log_mel"
        )
        image = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=epsilon, name="mel_norm", dtype=dtype
        )(inputs)
        if stretch_to is not None:
            image = TimeStretch(
                resolution.num_frames(stretch_to), name="stretch", dtype=dtype
            )(image)
        # frames of a token in the first stage, times the parts
        column = num_folds * patch_size[0] * resolution.patch * resolution.token
        columns = fitting_columns(
            -(-image.shape[1] // column), 2 ** (len(depths) - 1), window_size[0]
        )
        image = fold(image, columns * column, num_folds)
        embed = PatchEmbedding(
            width,
            patch_size,
            None,
            resolution.patch,
            kernel_resize,
            bias_range=math.prod(patch_size) ** -0.5,  # as PyTorch
            name="patch_embedding",
            dtype=dtype,
        )
        patches = embed(image)
        patches = pool_tokens(patches, resolution.token, dtype)
        first_grid = patches.shape[1:3]
        tokens = to_sequence(patches, dtype)
        tokens = keras.layers.LayerNormalization(
            epsilon=epsilon, name="patch_norm", dtype=dtype
        )(tokens)
        tokens = keras.layers.Dropout(dropout, name="dropout", dtype=dtype)(
            tokens
        )
        make_block = partial(
            WindowBlock,
            mlp_ratio=mlp_ratio,
            dropout=dropout,
            epsilon=epsilon,
            dtype=dtype,
        )
        tokens, grid_size = encode_stages(
            tokens,
            make_block,
            depths,
            num_heads,
            first_grid,
            window_size,
            drop_path,
            epsilon,
            dtype,
        )
        outputs = unfold(tokens, grid_size, num_folds)
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, **kwargs)
        add_adapters(self, lora_rank)

        self.num_frames = num_frames
        self.num_mel_bins = num_mel_bins
        self.num_folds = num_folds
        self.stretch_to = stretch_to
        self.patch_size = embed.patch_size
        self.window_size = tuple(window_size)
        self.width = width
        self.depths = tuple(depths)
        self.num_heads = tuple(num_heads)
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.drop_path = drop_path
        self.lora_rank = lora_rank
        self.epsilon = epsilon
        self.kernel_resize = kernel_resize
        self.resolution = resolution
        self.num_tokens = math.prod(first_grid)  # patches of one clip
        self.grid_size = (
            grid_size[0] * num_folds,
            grid_size[1] // num_folds,
        )

    @classmethod
    def from_size(cls, size: str, **overrides: Any) -> Self:
        """A randomly initialised model of a size in `models/presets.py`.

        Args:
            size: str, such as `"tiny"`.
            overrides: any argument of `HTSAT`.

        Raises:
            ValueError: if `size` is unknown; near ones are suggested.
        """
        return cls(
            **{**size_config(size, HTS_AT_PRESETS, "hts_at_"), **overrides}
        )


def _check_stages(depths, num_heads, num_mel_bins, patch_bins):
    """Refuses stages of unequal number, or mel bins that do not fit them."""
    if len(depths) != len(num_heads):
        raise ValueError(
            "`depths` and `num_heads` have one number a stage. "
            f"Received: depths={depths}, num_heads={num_heads}."
        )
    side = patch_bins * 2 ** (len(depths) - 1)
    if num_mel_bins % side:
        raise ValueError(
            f"{num_mel_bins} mel bins are no whole number of patches of "
            f"{patch_bins} bins, merged {len(depths) - 1} times. Use a "
            f"multiple of {side}."
        )


def encode_stages(
    tokens,
    make_block,
    depths,
    num_heads,
    grid_size,
    window_size,
    drop_path,
    epsilon,
    dtype=None,
):
    """Tokens through stages of blocks, and a last norm.

    Args:
        tokens: symbolic tensor `(batch, time * freq, width)` on `grid_size`.
        make_block: function of the other arguments of `WindowBlock`.
        depths, num_heads, window_size, drop_path, epsilon: as in `HTSAT`.
        grid_size: pair `(time, freq)`, tokens of the first stage.
        dtype: dtype policy of the other layers.

    Returns:
        Symbolic tensor, and its `grid_size`.
    """
    rates = iter(np.linspace(0, drop_path, sum(depths)).tolist())
    for stage, depth in enumerate(depths):
        if stage > 0:
            tokens = PatchMerging(
                grid_size, epsilon, name=f"merging_{stage}", dtype=dtype
            )(tokens)
            grid_size = (grid_size[0] // 2, grid_size[1] // 2)
        window, half = windows(grid_size, window_size)
        for index in range(depth):
            tokens = make_block(
                num_heads[stage],
                grid_size,
                window,
                half if index % 2 else (0, 0),
                drop_path=next(rates),
                name=f"stage_{stage}_block_{index}",
            )(tokens)
    norm = keras.layers.LayerNormalization(
        epsilon=epsilon, name="norm", dtype=dtype
    )
    return norm(tokens), grid_size


def fitting_columns(columns, merged, window):
    """Tokens in time of the first map, rounded up to what all stages need.

    Args:
        columns: int, tokens in time that hold the clip, at least 1.
        merged: int, tokens of the first map that become one in the last.
        window: int, tokens of a window in time.

    Returns:
        int, such that the last map is cut into equal windows, as few as
        possible, none longer than `window`.

    Example:
        >>> [fitting_columns(n, 8, 8) for n in (1, 33, 64, 65)]
        [8, 40, 64, 80]
    """
    last = -(-columns // merged)
    num_windows = -(-last // window)
    return -(-last // num_windows) * num_windows * merged


def windows(grid_size, window_size):
    """Window and shift `(time, freq)` for a map of tokens.

    Returns:
        `(window, shift)`: the largest window that divides `grid_size` and is
        not above `window_size`; half of it, or 0 along a side that a single
        window fills.
    """
    window = tuple(
        max(n for n in range(1, most + 1) if side % n == 0)
        for side, most in zip(grid_size, window_size, strict=True)
    )
    shift = tuple(
        size // 2 if side > size else 0
        for side, size in zip(grid_size, window, strict=True)
    )
    return window, shift


def fold(log_mel, num_frames, num_folds):
    """Fills up with zeros to `num_frames`, then lays parts above each other.

    Returns:
        `(batch, num_frames / num_folds, num_folds * mel_bins)`.
    """
    missing = num_frames - log_mel.shape[1]
    log_mel = ops.pad(log_mel, [[0, 0], [0, missing], [0, 0]])
    length, mel_bins = num_frames // num_folds, log_mel.shape[2]
    # (b, k*t, f) -> (b, k, t, f) -> (b, t, k*f)
    parts = ops.reshape(log_mel, (-1, num_folds, length, mel_bins))
    parts = ops.transpose(parts, (0, 2, 1, 3))
    return ops.reshape(parts, (-1, length, num_folds * mel_bins))


def unfold(tokens, grid_size, num_folds):
    """Brings tokens of a folded map back into their order in time.

    Args:
        tokens: `(batch, time * freq, width)` on `grid_size`, folded.

    Returns:
        `(batch, time * freq, width)`, time-major on the grid
        `(num_folds * time, freq / num_folds)`.
    """
    (time, freq), width = grid_size, tokens.shape[-1]
    # (b, t*k*f, d) -> (b, t, k, f*d) -> (b, k*t*f, d)
    parts = ops.reshape(
        tokens, (-1, time, num_folds, freq // num_folds * width)
    )
    parts = ops.transpose(parts, (0, 2, 1, 3))
    return ops.reshape(parts, (-1, time * freq, width))
