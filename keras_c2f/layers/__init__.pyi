from keras_c2f.layers.attention import SelfAttention as SelfAttention
from keras_c2f.layers.conv_stem import ConvStem as ConvStem
from keras_c2f.layers.drop_path import DropPath as DropPath
from keras_c2f.layers.encoder_block import EncoderBlock as EncoderBlock
from keras_c2f.layers.fused import (
    enable_fused_training as enable_fused_training,
)
from keras_c2f.layers.log_mel import Frontend as Frontend
from keras_c2f.layers.log_mel import LogMel as LogMel
from keras_c2f.layers.mask_embedding import MaskEmbedding as MaskEmbedding
from keras_c2f.layers.patch_comparison import PatchComparison as PatchComparison
from keras_c2f.layers.patch_embedding import PatchEmbedding as PatchEmbedding
from keras_c2f.layers.patch_mask import PatchMask as PatchMask
from keras_c2f.layers.patch_merging import PatchMerging as PatchMerging
from keras_c2f.layers.patch_prediction import PatchPrediction as PatchPrediction
from keras_c2f.layers.patchify import Patchify as Patchify
from keras_c2f.layers.patchout import Patchout as Patchout
from keras_c2f.layers.position_grid import PositionGrid as PositionGrid
from keras_c2f.layers.post_norm_block import PostNormBlock as PostNormBlock
from keras_c2f.layers.prefix_tokens import PrefixTokens as PrefixTokens
from keras_c2f.layers.sine_positions import SinePositions as SinePositions
from keras_c2f.layers.time_compression import TimeCompression as TimeCompression
from keras_c2f.layers.time_convolution import TimeConvolution as TimeConvolution
from keras_c2f.layers.time_stretch import TimeStretch as TimeStretch
from keras_c2f.layers.token_merging import TokenMerging as TokenMerging
from keras_c2f.layers.token_pooling import TokenPooling as TokenPooling
from keras_c2f.layers.token_statistics import TokenStatistics as TokenStatistics
from keras_c2f.layers.window_attention import WindowAttention as WindowAttention
from keras_c2f.layers.window_block import WindowBlock as WindowBlock
