"""What a network costs: multiply-accumulates, counted from shapes.

A MAC is one multiplication and one addition; "GFLOPs" in the AST and PaSST
papers are these MACs, in most FLOP counters a MAC is two FLOPs. Counted are
matrix products and convolutions of a forward pass over one clip; norms,
activations and additions are left out, as in torch's FlopCounterMode. A
training step costs about three times the forward pass, in each phase, so
ratios between schedules are those of the MACs.
"""

import math
import warnings
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class NetworkCost:
    """Cost of one network.

    Attributes:
        num_tokens: int, patches a clip is cut into (prefix tokens are not
            counted), or `None` where the network does not say.
        num_parameters: int.
        macs: int, multiply-accumulates of one clip, forward.
    """

    num_tokens: int | None
    num_parameters: int
    macs: int

    def __str__(self):
        tokens = f"{self.num_tokens} tokens, " if self.num_tokens else ""
        return f"{tokens}{self.macs / 1e9:.3g} GMACs a clip"


def network_cost(network):
    """`NetworkCost` of a built Keras model."""
    return NetworkCost(
        getattr(network, "num_tokens", None),
        network.count_params(),
        count_macs(network),
    )


def count_macs(layer, input_shape=None):
    """Multiply-accumulates of one clip through a layer or functional model.

    A layer may say so itself, by a method `count_macs(input_shape)`; dense,
    convolution and attention layers of Keras are known; layers without
    weights count as 0.

    Args:
        layer: built layer or model.
        input_shape: shape of its input with the batch axis; not needed for
            functional and sequential models.

    Returns:
        int. A layer with weights that is not known counts as 0, with a
        warning that names it.

    Example:
        >>> model = keras.Sequential([keras.Input((50, 8)),
        ...                           keras.layers.Dense(4)])
        >>> count_macs(model)  # 50 x 8 x 4
        1600
    """
    if isinstance(layer, keras.Model):
        return sum(
            count_macs(inner, _input_shape(inner)) for inner in layer.layers
        )
    if hasattr(layer, "count_macs"):
        return layer.count_macs(input_shape)
    if not layer.weights or isinstance(layer, NO_MACS):
        return 0
    known = input_shape is not None
    if known and isinstance(layer, keras.layers.Dense):
        return math.prod(input_shape[1:]) * layer.units
    if known and hasattr(layer, "kernel") and hasattr(layer, "strides"):
        kernel = math.prod(layer.kernel.shape)
        outputs = layer.compute_output_shape(input_shape)
        channels = -1 if layer.data_format == "channels_last" else 1
        positions = math.prod(outputs[1:]) // outputs[channels]
        return positions * kernel
    warnings.warn(
        f"The cost of {type(layer).__name__} {layer.name!r} is not known and "
        "counts as 0. Give the layer a method `count_macs(input_shape)`.",
        stacklevel=2,
    )
    return 0


NO_MACS = (
    keras.layers.LayerNormalization,
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.Normalization,
    keras.layers.Embedding,
    keras.layers.Dropout,
)


def _input_shape(layer):
    try:
        return layer.input.shape
    except (AttributeError, ValueError):  # several inputs, or not functional
        return None


def schedule_cost(schedule, costs):
    """MACs a clip causes over a schedule, and their share of the baseline's.

    Args:
        schedule: `PhaseSchedule`.
        costs: `NetworkCost` of each phase, then of the baseline network,
            which trains the same number of epochs throughout.

    Returns:
        `(macs, share)`: forward MACs of one clip summed over all epochs, and
        their ratio to `schedule.epochs` epochs of the baseline.
    """
    *phases, baseline = costs
    macs = sum(
        phase.epochs * cost.macs
        for phase, cost in zip(schedule, phases, strict=True)
    )
    return macs, macs / (schedule.epochs * baseline.macs)
