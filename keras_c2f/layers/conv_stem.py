import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_c2f.layers.configured import ConfiguredLayer
from keras_c2f.layers.fused import BatchNormalization
from keras_c2f.layers.patch_embedding import KERNEL_RESIZES, PatchEmbedding
from keras_c2f.resolution import patch_grid
from keras_c2f.utils.annotations import Shape, Tensor

KERNEL = 3  # frames and mel bins of each convolution
MOMENTUM = 0.9  # of batch norm; Keras' 0.99 is slower than a short phase


@keras.saving.register_keras_serializable("keras_c2f")
class ConvStem(ConfiguredLayer):
    """Embeds patches of a spectrogram through a stack of convolutions.

    Makes the grid of tokens that `PatchEmbedding` makes, and learns more from
    few clips. A first convolution halves the mel axis. Then come two for each
    of `channels`, the first of which halves both axes. An axis is halved as
    often as the patch size can be; what is left of a patch then becomes one
    token, by a linear layer. All kernels are 3 x 3, followed by ReLU, and
    behind the first by batch norm before it.

    With `time_factor=C` the first convolution is C times longer, and so is its
    stride: C times fewer steps for all that follow. No masking.

    The moving averages of batch norm are those of the resolution that was
    trained last: behind a switch they follow within some tens of steps.
    Layer norm, which has none, learned far more slowly on ESC-50.

    Args:
        width: int, size of a token.
        patch_size: pair `(time, freq)`, frames and mel bins of a token at
            factor 1. Tokens see beyond it: patches overlap in effect.
        channels: ints, channels of each stage.
        time_factor: int, factor on the time side of the patch.
        kernel_resize: `"pi"`, `"bilinear"` or `"base"`: how the first kernel
            follows a change of `time_factor`, see `PatchEmbedding`.

    Call arguments:
        log_mel: `(batch, frames, mel_bins)` with known frames.

    Returns:
        `(batch, time_patches, freq_patches, width)`. Frames and mel bins
        that fill no whole patch are dropped.

    Raises:
        ValueError: if the input is smaller than one patch, there are no
            channels, or `kernel_resize` is unknown.

    Example:
        >>> layer = ConvStem(8, (8, 128), (4, 4), time_factor=2)
        >>> tuple(layer(ops.zeros((1, 500, 128))).shape)
        (1, 31, 1, 8)

    Reference:
        Xiao et al., "Early Convolutions Help Transformers See Better",
        NeurIPS 2021, section 4, has fewer convolutions. `time_factor` is ours.
    """

    def __init__(
        self,
        width: int,
        patch_size: tuple[int, int] = (8, 128),
        channels: Sequence[int] = (32, 64, 128),
        time_factor: int = 1,
        kernel_resize: str = "pi",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not channels:
            raise ValueError(
                "`channels` has the channels of each stage, such as "
                f"(32, 64, 128). Received: channels={channels}."
            )
        KERNEL_RESIZES.check("kernel_resize", kernel_resize)
        self.width = width
        self.patch_size = tuple(patch_size)
        self.channels = tuple(channels)
        self.time_factor = time_factor
        self.kernel_resize = kernel_resize

    @property
    def patch_stride(self) -> tuple[int, int]:
        """Pair `(time, freq)`: the patch size."""
        return self.patch_size

    @property
    def current_size(self) -> tuple[int, int]:
        """Pair `(time, freq)`: the patch at the current factor."""
        return (self.patch_size[0] * self.time_factor, self.patch_size[1])

    def build(self, input_shape: Shape) -> None:
        options = {"dtype": self.dtype_policy}
        (_, first_stride), *strides, rest = self._strides()
        self.first = PatchEmbedding(
            self.channels[0],
            (KERNEL, KERNEL),
            (1, first_stride),
            self.time_factor,
            self.kernel_resize,
            name="first",
            **options,
        )
        self.norms = [
            BatchNormalization(
                momentum=MOMENTUM, name=f"norm_{index}", **options
            )
            for index, _ in enumerate(strides)
        ]
        options["data_format"] = "channels_last"
        self.convolutions = [
            keras.layers.Conv2D(
                self.channels[index // 2],
                KERNEL,
                stride,
                "same",
                use_bias=False,  # the norm has one
                kernel_initializer="he_normal",
                name=f"convolution_{index}",
                **options,
            )
            for index, stride in enumerate(strides)
        ]
        self.projection = Projection(
            self.width, rest, rest, name="projection", **options
        )
        for layer, shape in self._layer_shapes(input_shape):
            layer.build(shape)
        for norm, convolution in zip(
            self.norms, self.convolutions, strict=True
        ):
            norm.build((None, None, None, convolution.filters))

    def _strides(self):
        """list of pairs `(time, freq)`: the stride of each convolution, then
        what is left of a patch behind them."""
        time, freq = self.patch_size
        strides = [(1, math.gcd(freq, 2))]
        freq //= strides[0][1]
        for _ in self.channels:
            halved = (math.gcd(time, 2), math.gcd(freq, 2))
            time, freq = time // halved[0], freq // halved[1]
            strides += [halved, (1, 1)]
        return [*strides, (time, freq)]

    def _layer_shapes(self, input_shape):
        """Pairs of a layer and the shape of its input."""
        batch, time, freq, _ = self.compute_output_shape(input_shape)
        size = self.current_size
        padded = (time * size[0] + 2 * self.time_factor, freq * size[1] + 2)
        shape = (batch, *padded)
        pairs = []
        for layer in (self.first, *self.convolutions, self.projection):
            pairs.append((layer, shape))
            shape = layer.compute_output_shape(shape)
        return pairs

    def call(self, log_mel: Tensor, training: bool | None = None) -> Tensor:
        _, time, freq, _ = self.compute_output_shape(log_mel.shape)
        size = self.current_size
        log_mel = log_mel[:, : time * size[0], : freq * size[1]]
        padding = [[0, 0], [self.time_factor] * 2, [1, 1]]
        maps = ops.relu(self.first(ops.pad(log_mel, padding)))
        for convolution, norm in zip(
            self.convolutions, self.norms, strict=True
        ):
            maps = ops.relu(norm(convolution(maps), training=training))
        return self.projection(maps)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, frames, mel_bins = input_shape
        size = self.current_size
        grid = patch_grid(frames, mel_bins, size, size)
        return (batch, *grid, self.width)

    def count_macs(self, input_shape: Shape) -> int:
        first, *others = self._layer_shapes(input_shape)
        macs = first[0].count_macs(first[1])
        for layer, shape in others:
            _, time, freq, _ = layer.compute_output_shape(shape)
            macs += time * freq * math.prod(layer.kernel.shape)
        return macs


class Projection(keras.layers.Conv2D):
    """Convolution whose stride is its kernel, as the matrix product it is.

    TensorFlow computes its gradient faster so. Maps are whole multiples of
    the kernel.
    """

    def call(self, maps: Tensor) -> Tensor:
        _, time, freq, _ = self.compute_output_shape(maps.shape)
        kernel = ops.convert_to_tensor(self.kernel)
        *size, channels, width = kernel.shape
        maps = ops.reshape(maps, (-1, time, size[0], freq, size[1], channels))
        # (b, t, time, f, freq, c) -> (b, t, f, time, freq, c)
        maps = ops.transpose(maps, (0, 1, 3, 2, 4, 5))
        patches = ops.reshape(maps, (-1, math.prod(size) * channels))
        tokens = ops.matmul(patches, ops.reshape(kernel, (-1, width)))
        return ops.reshape(tokens + self.bias, (-1, time, freq, width))
