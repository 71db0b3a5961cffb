"""Building blocks of spectrogram transformers, in `keras.ops` only."""

from keras_c2f.layers.attention import SelfAttention
from keras_c2f.layers.drop_path import DropPath
from keras_c2f.layers.encoder_block import EncoderBlock
from keras_c2f.layers.mask_embedding import MaskEmbedding
from keras_c2f.layers.patch_comparison import PatchComparison
from keras_c2f.layers.patch_embedding import PatchEmbedding
from keras_c2f.layers.patch_mask import PatchMask
from keras_c2f.layers.patch_merging import PatchMerging
from keras_c2f.layers.patch_prediction import PatchPrediction
from keras_c2f.layers.patchify import Patchify
from keras_c2f.layers.patchout import Patchout
from keras_c2f.layers.position_grid import PositionGrid
from keras_c2f.layers.post_norm_block import PostNormBlock
from keras_c2f.layers.prefix_tokens import PrefixTokens
from keras_c2f.layers.sine_positions import SinePositions
from keras_c2f.layers.time_compression import TimeCompression
from keras_c2f.layers.time_convolution import TimeConvolution
from keras_c2f.layers.time_stretch import TimeStretch
from keras_c2f.layers.token_merging import TokenMerging
from keras_c2f.layers.token_pooling import TokenPooling
from keras_c2f.layers.token_statistics import TokenStatistics
from keras_c2f.layers.window_attention import WindowAttention
from keras_c2f.layers.window_block import WindowBlock

__all__ = [
    "DropPath",
    "EncoderBlock",
    "MaskEmbedding",
    "PatchComparison",
    "PatchEmbedding",
    "PatchMerging",
    "PatchMask",
    "PatchPrediction",
    "Patchify",
    "Patchout",
    "PositionGrid",
    "PostNormBlock",
    "PrefixTokens",
    "SelfAttention",
    "SinePositions",
    "TimeCompression",
    "TimeConvolution",
    "TimeStretch",
    "TokenMerging",
    "TokenPooling",
    "TokenStatistics",
    "WindowAttention",
    "WindowBlock",
]
