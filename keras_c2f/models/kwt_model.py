import keras

from keras_c2f.layers import PostNormBlock
from keras_c2f.models.ast_model import AST


@keras.saving.register_keras_serializable("keras_c2f")
class KWT(AST):
    """Keyword Transformer: `AST` of post-norm blocks, without a last norm.

    Its tokens are single frames of MFCC over all coefficients. Arguments,
    shapes and names of weights are those of `AST`, so that it can be made
    coarser in the same ways.

    Example:
        >>> backbone = KWT(98, 40, (1, 40), width=64, depth=12, num_heads=1,
        ...                num_prefix_tokens=1, resolution="patch:2")
        >>> backbone.grid_size, backbone.output_shape
        ((49, 1), (None, 50, 64))

    Reference:
        Berg, O'Connor, Cruz, "Keyword Transformer: A Self-Attention Model
        for Keyword Spotting", Interspeech 2021, section 2.1 (KWT-1 to KWT-3:
        width 64, 128, 192 and a head per 64).
    """

    block = PostNormBlock
    final_norm = False
