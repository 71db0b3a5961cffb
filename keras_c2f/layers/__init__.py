"""Building blocks of spectrogram transformers, in `keras.ops` only."""

from keras_c2f.utils.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        ".attention": ["SelfAttention"],
        ".conv_stem": ["ConvStem"],
        ".drop_path": ["DropPath"],
        ".encoder_block": ["EncoderBlock"],
        ".log_mel": ["Frontend", "LogMel"],
        ".mask_embedding": ["MaskEmbedding"],
        ".patch_comparison": ["PatchComparison"],
        ".patch_embedding": ["PatchEmbedding"],
        ".patch_mask": ["PatchMask"],
        ".patch_merging": ["PatchMerging"],
        ".patch_prediction": ["PatchPrediction"],
        ".patchify": ["Patchify"],
        ".patchout": ["Patchout"],
        ".position_grid": ["PositionGrid"],
        ".post_norm_block": ["PostNormBlock"],
        ".prefix_tokens": ["PrefixTokens"],
        ".sine_positions": ["SinePositions"],
        ".time_compression": ["TimeCompression"],
        ".time_convolution": ["TimeConvolution"],
        ".time_stretch": ["TimeStretch"],
        ".token_merging": ["TokenMerging"],
        ".token_pooling": ["TokenPooling"],
        ".token_statistics": ["TokenStatistics"],
        ".window_attention": ["WindowAttention"],
        ".window_block": ["WindowBlock"],
    },
)
