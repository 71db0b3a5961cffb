import keras
from keras import ops

from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class PatchComparison(keras.layers.Layer):
    """What predictions of masked patches are worth, patch by patch.

    The masked patches of a clip are each other's negatives: `scores[i, j]` is
    the product of true patch i and prediction j. No weights.

    Call arguments:
        patches: `(batch, num_masked, values)`, the truth.
        matched: same shape, predictions that recognise their patch.
        reconstructed: same shape, predictions of the values themselves.

    Returns:
        `(batch, num_masked, 3)`: the contrastive loss of a patch (minus log
        softmax over all predictions, InfoNCE), the mean squared error of its
        values, and 1 where no other patch has a higher softmax at its
        prediction, else 0.

    Reference:
        Gong et al., "SSAST", section 2.3. Its equation 1 has the softmax over
        patches; the published code and weights have it over predictions, and
        so have we.
    """

    def call(
        self, patches: Tensor, matched: Tensor, reconstructed: Tensor
    ) -> Tensor:
        # (b, patch, prediction)
        scores = ops.matmul(patches, ops.transpose(matched, (0, 2, 1)))
        log_sums = ops.logsumexp(scores, axis=-1)
        contrast = log_sums - ops.sum(patches * matched, axis=-1)
        error = ops.mean(ops.square(patches - reconstructed), axis=-1)
        best = ops.argmax(scores - log_sums[..., None], axis=1)
        numbers = ops.arange(patches.shape[1], dtype=best.dtype)
        hit = ops.cast(ops.equal(best, numbers), contrast.dtype)
        return ops.stack([contrast, error, hit], axis=-1)

    def count_macs(self, input_shape: Shape) -> int:
        _, num_masked, values = input_shape[0]
        return num_masked**2 * values

    def compute_output_shape(
        self,
        patches_shape: Shape,
        matched_shape: Shape,
        reconstructed_shape: Shape,
    ) -> Shape:
        del matched_shape, reconstructed_shape
        return (*patches_shape[:-1], 3)
