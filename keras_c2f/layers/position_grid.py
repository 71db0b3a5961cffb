import keras

from keras_c2f.resample import resize_axes


@keras.saving.register_keras_serializable("keras_c2f")
class PositionGrid(keras.layers.Layer):
    """Adds a learned position embedding to every patch of a grid.

    The table keeps its `(time, freq)` shape; nothing guesses a square. When
    a phase begins, `transplant` resizes it bilinearly to the new grid. Class
    tokens carry their own position: see `PrefixTokens`. No masking.

    Call arguments:
        patches: `(batch, time, freq, width)`.

    Returns:
        The shape of `patches`.

    Reference:
        Feng et al., "From Coarse to Fine": bilinear resize at each phase
        change. Half-pixel centres, no antialiasing: ours, as PyTorch's
        `interpolate`.
    """

    def build(self, input_shape):
        self.grid = self.add_weight(
            name="grid",
            shape=input_shape[1:],
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )

    def call(self, patches):
        return patches + self.grid

    def count_macs(self, input_shape):
        return 0

    def compute_output_shape(self, input_shape):
        return input_shape

    def resize_weight(self, value, new_shape, positive=False):
        """Carries a grid (or its optimizer slot) over to `new_shape`.

        Args:
            value: `(time, freq, width)` of another resolution.
            new_shape: shape wanted here.
            positive: accepted for all resizable layers; interpolation keeps
                non-negative values so in any case.
        """
        del positive
        return resize_axes(value, new_shape[:2])
