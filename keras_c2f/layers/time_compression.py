from typing import Any

import keras
from keras import ops

from keras_c2f.resolution import Resolution
from keras_c2f.utils.annotations import Shape, Tensor


@keras.saving.register_keras_serializable("keras_c2f")
class TimeCompression(keras.layers.Layer):
    """Compresses full-resolution log-mel inside the model.

    Gives the numbers that a pipeline gives when it compresses, for data that
    cannot change shape between phases (arrays, generators). No weights, no
    masking.

    Args:
        resolution: `Resolution` or its text form, such as `"pool:4:max"`.

    Call arguments:
        log_mel: `(batch, frames, mel_bins)`, padded to the full length, which
            is known.

    Returns:
        `(batch, resolution.num_frames(frames), mel_bins)`.

    Raises:
        ValueError: if no frame would be left, or their number is unknown.

    Example:
        >>> tuple(TimeCompression("pool:4")(ops.ones((2, 1024, 128))).shape)
        (2, 256, 128)
    """

    def __init__(self, resolution: Resolution | str, **kwargs: Any):
        super().__init__(**kwargs)
        self.resolution = Resolution.parse(resolution)

    def call(self, log_mel: Tensor) -> Tensor:
        return self.resolution.compress(log_mel, ops)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, frames, mel_bins = input_shape
        if frames is None:
            raise ValueError(
                "The number of frames has to be known, as the network behind "
                f"is built for it. Received: shape {tuple(input_shape)}."
            )
        return (batch, self.resolution.num_frames(frames), mel_bins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "resolution": str(self.resolution)}
