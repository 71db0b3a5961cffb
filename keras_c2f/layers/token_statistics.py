import keras
from keras import ops

from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class TokenStatistics(keras.layers.Layer):
    """Mean and standard deviation of all tokens of a clip, side by side.

    Computed in float32 whatever the precision. Equal tokens have a deviation
    of 0.001, the root of what keeps its gradient finite. No weights, no
    masking.

    Call arguments:
        tokens: `(batch, num_tokens, width)`.

    Returns:
        `(batch, 2 * width)`: the means, then the deviations.
    """

    def call(self, tokens: Tensor) -> Tensor:
        exact = ops.cast(tokens, "float32")
        mean = ops.mean(exact, axis=1, keepdims=True)
        variance = ops.mean(ops.square(exact - mean), axis=1)
        deviation = ops.sqrt(variance + 1e-6)
        both = ops.concatenate([mean[:, 0], deviation], axis=-1)
        return ops.cast(both, tokens.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, _, width = input_shape
        return (batch, 2 * width)
