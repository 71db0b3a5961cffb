from __future__ import annotations

from functools import partial
from typing import Any, Self

import keras

from keras_c2f.layers import (
    EncoderBlock,
    Patchout,
    SinePositions,
    TimeConvolution,
)
from keras_c2f.models.adapters import add_adapters
from keras_c2f.models.encoder import (
    check_encoder,
    encode,
    freeze_blocks,
    pool_tokens,
)
from keras_c2f.models.phase_network import Backbone
from keras_c2f.models.presets import WHISPER_PRESETS, size_config
from keras_c2f.resolution import Resolution


@keras.saving.register_keras_serializable("keras_c2f")
class WhisperEncoder(Backbone):
    """The encoder of Whisper: log-mel in, tokens out.

    Two convolutions over all mel bins, the second with a stride of 2 frames,
    fixed sine positions, and pre-norm blocks. A clip may have any length:
    nothing is padded to Whisper's 30 s.

    `shift` and `pool` shorten what the convolutions see, `patch` makes the
    second one longer and its stride with it, and `token` pools what they give,
    which suits trained weights best.

    Args:
        num_frames: int, frames of a clip at full resolution, 10 ms each.
        num_mel_bins: int, 80, or 128 in large-v3.
        width: int, size of a token.
        depth: int, encoder blocks. Trained ones can be the first of a deeper
            encoder: for recordings other than speech those are the better ones.
        num_heads: int.
        mlp_ratio, dropout, drop_path, patchout, token_merging: as in `AST`.
        frozen_blocks, lora_rank: as in `AST`.
        final_norm: bool, whether a layer norm follows the last block, as in
            Whisper. `False` gives the block's own output, for the first blocks
            of a deeper encoder, whose norm was trained on another one.
        epsilon, kernel_resize, resolution: as in `AST`.

    Input shape:
        `(batch, resolution.num_frames(num_frames), num_mel_bins)`, the
        compressed log-mel, as `Frontend` of the style `"whisper"` makes it.

    Output shape:
        `(batch, num_tokens, width)`: a token for each 2 frames at full
        resolution, the last one for a single frame if they are odd. In
        training with `patchout`, those that are left; with `token_merging` the
        fewer that are left, in another order.

    Raises:
        ValueError: if the resolution leaves no token, `kernel_resize` is
            unknown, more than half of the tokens are to be merged, or blocks
            are frozen that are not there.

    Example:
        >>> backbone = WhisperEncoder.from_size("tiny",
        ...                                       num_frames=500)
        >>> backbone.num_tokens, backbone.output_shape
        (250, (None, 250, 384))

    Reference:
        Radford et al., "Robust Speech Recognition via Large-Scale Weak
        Supervision", 2022, section 2.2. Whisper's keys have no bias; here they
        have one that begins at zero, and softmax takes no notice of it.
    """

    num_prefix_tokens = 0

    def __init__(
        self,
        num_frames: int = 3000,
        num_mel_bins: int = 80,
        width: int = 512,
        depth: int = 6,
        num_heads: int = 8,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        patchout: float = 0.0,
        token_merging: float = 0.0,
        frozen_blocks: int = 0,
        lora_rank: int = 0,
        final_norm: bool = True,
        epsilon: float = 1e-5,
        kernel_resize: str = "pi",
        resolution: Resolution | str = "full",
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs: Any,
    ):
        check_encoder(depth, frozen_blocks, token_merging)
        resolution = Resolution.parse(resolution)
        inputs = keras.Input(
            (resolution.num_frames(num_frames), num_mel_bins), name="log_mel"
        )
        tokens = TimeConvolution(width, name="convolution_0", dtype=dtype)(
            inputs
        )
        tokens = TimeConvolution(
            width,
            stride=2,
            time_factor=resolution.patch,
            kernel_resize=kernel_resize,
            name="convolution_1",
            dtype=dtype,
        )(tokens)
        tokens = SinePositions(
            -(-num_frames // 2),
            resolution.shift * resolution.pool * resolution.patch,
            name="positions",
            dtype=dtype,
        )(tokens)
        tokens = pool_tokens(tokens, resolution.token, dtype)
        num_tokens = tokens.shape[1]
        if patchout:
            tokens = Patchout(patchout, name="patchout", dtype=dtype)(tokens)
        tokens = keras.layers.Dropout(dropout, name="dropout", dtype=dtype)(
            tokens
        )
        tokens = encode(
            tokens,
            partial(
                EncoderBlock, num_heads, mlp_ratio, dropout, epsilon=epsilon
            ),
            depth,
            drop_path,
            token_merging,
            norm_epsilon=epsilon if final_norm else None,
            dtype=dtype,
        )
        super().__init__(inputs=inputs, outputs=tokens, dtype=dtype, **kwargs)
        freeze_blocks(self, frozen_blocks)
        add_adapters(self, lora_rank)

        self.num_frames = num_frames
        self.num_mel_bins = num_mel_bins
        self.width = width
        self.depth = depth
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.drop_path = drop_path
        self.patchout = patchout
        self.token_merging = token_merging
        self.frozen_blocks = frozen_blocks
        self.lora_rank = lora_rank
        self.final_norm = final_norm
        self.epsilon = epsilon
        self.kernel_resize = kernel_resize
        self.resolution = resolution
        self.num_tokens = num_tokens  # of one clip
        self.grid_size = (num_tokens, 1)

    @property
    def patch_size(self) -> tuple[int, int]:
        """Pair `(time, freq)`: what a token stands for at full resolution."""
        return (2, self.num_mel_bins)

    def with_arguments(self, **arguments: Any) -> WhisperEncoder:
        """A new, randomly initialised copy with other arguments.

        Fewer blocks come without the last norm, which was trained on the last
        of them, unless `final_norm` is given.
        """
        return super().with_arguments(**_of_fewer_blocks(arguments, self.depth))

    @classmethod
    def from_size(cls, size: str, **overrides: Any) -> Self:
        """A randomly initialised model of a size in `models/presets.py`.

        Args:
            size: str, such as `"base"`.
            overrides: any argument of `WhisperEncoder`. A smaller `depth`
                leaves out the last norm, unless `final_norm` is given.

        Raises:
            ValueError: if `size` is unknown; near ones are suggested.
        """
        config = size_config(size, WHISPER_PRESETS, "whisper_")
        overrides = _of_fewer_blocks(overrides, config["depth"])
        return cls(**{**config, **overrides})


def _of_fewer_blocks(arguments, depth):
    """`arguments`, with no last norm if they ask for fewer blocks."""
    if arguments.get("depth", depth) < depth:
        return {"final_norm": False, **arguments}
    return arguments
