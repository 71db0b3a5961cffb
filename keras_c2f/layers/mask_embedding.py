import keras
from keras import ops

from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class MaskEmbedding(keras.layers.Layer):
    """Puts one learned embedding in the place of every masked patch.

    Call arguments:
        patches: `(batch, time, freq, width)`.
        indices: int `(batch, num_masked)`, places on the grid counted
            time-major, as `PatchMask` draws them.

    Returns:
        The shape of `patches`.

    Reference:
        Gong et al., "SSAST", section 2.3. Positions are added afterwards, so
        that the network knows where it has to guess.
    """

    def build(self, patches_shape: Shape, indices_shape: Shape) -> None:
        del indices_shape
        self.embedding = self.add_weight(
            name="embedding",
            shape=(patches_shape[-1],),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )

    def call(self, patches: Tensor, indices: Tensor) -> Tensor:
        time, freq = patches.shape[1:3]
        positions = ops.arange(time * freq, dtype="int32")
        # (b, m, t*f) -> (b, t*f) -> (b, t, f, 1)
        masked = ops.any(ops.equal(indices[..., None], positions), axis=1)
        masked = ops.reshape(masked, (-1, time, freq, 1))
        embedding = ops.convert_to_tensor(self.embedding)
        return ops.where(masked, embedding, patches)

    def count_macs(self, input_shape: Shape) -> int:
        return 0

    def compute_output_shape(
        self, patches_shape: Shape, indices_shape: Shape
    ) -> Shape:
        del indices_shape
        return patches_shape
