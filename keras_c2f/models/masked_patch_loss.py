"""Loss and metrics of masked patches, for `compile`.

Each reads the output of `MaskedPatchModel` alone and ignores the targets of
the data, whatever they are.
"""

from typing import Any

import keras
from keras import ops

from keras_c2f.utils.annotations import Tensor

register = keras.saving.register_keras_serializable("keras_c2f")


@register
def discriminative_loss(y_true, y_pred):
    """`(batch,)`, mean contrastive loss of a clip's masked patches."""
    return ops.mean(y_pred[..., 0], axis=-1)


@register
def generative_loss(y_true, y_pred):
    """`(batch,)`, mean squared error of a clip's masked patches."""
    return ops.mean(y_pred[..., 1], axis=-1)


@register
def matching_accuracy(y_true, y_pred):
    """`(batch,)`, share of a clip's masked patches that were recognised."""
    return ops.mean(y_pred[..., 2], axis=-1)


@register
class MaskedPatchLoss(keras.losses.Loss):
    """Discriminative loss plus weighted generative loss.

    Args:
        generative_weight: float, factor on the squared error; the paper's
            lambda, 10.

    Call arguments:
        y_true: ignored, but there must be something, such as zeros.
        y_pred: output of `MaskedPatchModel`.

    Reference:
        Gong et al., "SSAST", section 2.3, equation 3.
    """

    def __init__(
        self,
        generative_weight: float = 10.0,
        name: str = "masked_patch_loss",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.generative_weight = generative_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        generative = self.generative_weight * generative_loss(y_true, y_pred)
        return discriminative_loss(y_true, y_pred) + generative

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "generative_weight": self.generative_weight,
        }


def masked_patch_metrics() -> list[keras.metrics.Metric]:
    """New metrics `accuracy`, `discriminative_loss` and `generative_loss`.

    They go to Keras' logs, and with `val_` before them for validation data.
    """
    return [
        keras.metrics.MeanMetricWrapper(function, name)
        for function, name in (
            (matching_accuracy, "accuracy"),
            (discriminative_loss, "discriminative_loss"),
            (generative_loss, "generative_loss"),
        )
    ]
