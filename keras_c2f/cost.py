"""What a network costs: multiply-accumulates, counted from shapes.

A MAC is one multiplication and one addition; "GFLOPs" in the AST and PaSST
papers are these MACs, in most FLOP counters a MAC is two FLOPs. Counted are
matrix products and convolutions of a forward pass over one clip; norms,
activations and additions are left out, as in torch's FlopCounterMode. A
training step costs about three times the forward pass, in each phase, so
ratios between schedules are those of the MACs. Frozen layers cost one forward
pass in training, or two where gradients pass through them: they are counted as
a third or two thirds then; two thirds too where low-rank adapters are trained
beside a frozen kernel.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from keras_c2f.phases.schedule import PhaseSchedule
    from keras_c2f.utils.annotations import Shape

# Of a training step, in forward passes: backward costs twice as much.
PASSES = 3


def training_macs(gmacs: float, num_clips: int, epochs: float = 1) -> float:
    """Multiply-accumulates of training on clips, one pass or several.

    Args:
        gmacs: 10^9 multiply-accumulates of a clip, see `NetworkCost.macs`;
            float or array.
        num_clips: int.
        epochs: float.
    """
    return PASSES * 1e9 * gmacs * num_clips * epochs


@dataclass(frozen=True)
class NetworkCost:
    """Cost of one network.

    Attributes:
        num_tokens: int, patches a clip is cut into (prefix tokens are not
            counted), or `None` where the network does not say.
        num_parameters: int.
        num_trained: int, those of them that are trained.
        macs: int, a third of the multiply-accumulates of a training step of
            one clip: the forward pass, without tokens that `Patchout` leaves
            out, and less for frozen layers.
    """

    num_tokens: int | None
    num_parameters: int
    macs: int
    num_trained: int = 0

    def __str__(self):
        tokens = f"{self.num_tokens} tokens, " if self.num_tokens else ""
        return f"{tokens}{self.macs / 1e9:.3g} GMACs a clip"


def network_cost(network: keras.Model) -> NetworkCost:
    """`NetworkCost` of a built Keras model."""
    return NetworkCost(
        getattr(network, "num_tokens", None),
        network.count_params(),
        count_macs(network, training=True),
        sum(math.prod(v.shape) for v in network.trainable_variables),
    )


def mean_cost(costs: Sequence[tuple[NetworkCost, float]]) -> NetworkCost:
    """`NetworkCost` where clips are shared out among several networks.

    Args:
        costs: pairs of `NetworkCost` and share of the clips.

    Returns:
        That of the most expensive network, with the mean `macs` of a clip.
    """
    most = max((cost for cost, _ in costs), key=lambda cost: cost.macs)
    macs = round(sum(share * cost.macs for cost, share in costs))
    return replace(most, macs=macs)


def count_macs(
    layer: keras.layers.Layer,
    input_shape: Shape | list[Shape] | None = None,
    training: bool = False,
) -> int:
    """Multiply-accumulates of one clip through a layer or functional model.

    A layer may say so itself, by a method `count_macs(input_shape)`; dense,
    convolution and multi-head attention layers of Keras are known; layers
    without weights, and bare operations such as `ops.matmul`, count as 0. A
    layer that a model calls several times is counted once.

    Args:
        layer: built layer or model.
        input_shape: shape of its input with the batch axis, a list of them
            where it has several inputs; not needed for functional and
            sequential models.
        training: bool. Tokens that a layer leaves out in training, as
            `Patchout` says by `num_kept(num_tokens)`, are then missing in all
            layers `(batch, num_tokens, width)` of the same model behind it;
            and frozen layers count a third, or two thirds behind what is
            trained.

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
        return _model_macs(layer, training)
    if hasattr(layer, "count_macs") and not _has_unknown_axis(input_shape):
        return layer.count_macs(input_shape)
    if not layer.weights or isinstance(layer, NO_MACS):
        return 0
    if _has_unknown_axis(input_shape):
        return _count_as_nothing(
            layer,
            f"of its input {input_shape} an axis is not known",
            "Give the model's `keras.Input` the number of frames.",
        )
    known = input_shape is not None
    if known and isinstance(layer, keras.layers.Dense):
        points = math.prod(input_shape[1:-1])
        sizes = input_shape[-1], layer.units
        rank = layer.lora_rank if layer.lora_enabled else 0
        return points * (math.prod(sizes) + rank * sum(sizes))
    if known and isinstance(layer, keras.layers.EinsumDense):
        return _einsum_macs(layer, input_shape)
    if known and isinstance(layer, keras.layers.MultiHeadAttention):
        return _attention_macs(layer, input_shape)
    if known and hasattr(layer, "kernel") and hasattr(layer, "strides"):
        kernel = math.prod(layer.kernel.shape)
        grid = input_shape  # each of its points is multiplied by the kernel
        if "Transpose" not in type(layer).__name__:
            grid = layer.compute_output_shape(input_shape)
        channels = -1 if layer.data_format == "channels_last" else 1
        return math.prod(grid[1:]) // grid[channels] * kernel
    return _count_as_nothing(
        layer,
        "layers of this class are not counted",
        "Give the layer a method `count_macs(input_shape)`.",
    )


def _count_as_nothing(layer, why, advice):
    warnings.warn(
        f"The cost of {type(layer).__name__} {layer.name!r} is not known and "
        f"counts as 0: {why}. {advice}",
        stacklevel=3,
    )
    return 0


def _has_unknown_axis(shape):
    """Whether an axis other than that of the batch is `None`."""
    if isinstance(shape, dict):
        shape = list(shape.values())
    if isinstance(shape, list):
        return any(map(_has_unknown_axis, shape))
    return shape is not None and None in shape[1:]


def _model_macs(model, training, learns=False):
    """Layer by layer. `learns` says that something before it is trained."""
    macs = left_out = 0
    for layer in model.layers:
        shape = _input_shape(layer)
        known = shape is not None and not _has_unknown_axis(shape)
        if left_out and known and len(shape) == 3:
            whole, shape = shape, (shape[0], shape[1] - left_out, shape[2])
            # of fewer patches `TokenMerging` merges fewer
            if hasattr(layer, "num_merged"):
                _, left, _ = layer.compute_output_shape(shape)
                left_out = layer.compute_output_shape(whole)[1] - left
        trained = bool(layer.trainable_variables)
        if isinstance(layer, keras.Model):
            own = _model_macs(layer, training, learns)
        else:
            own = count_macs(layer, shape, training)
            if training and layer.weights and not trained:
                own = own * (1 + learns) // PASSES
            elif training:  # a kernel beside adapters has no gradient
                own -= _frozen_macs(layer, shape) // PASSES
        macs += own
        learns = learns or trained
        if training and known and hasattr(layer, "num_kept"):
            left_out += shape[1] - layer.num_kept(shape[1])
    return macs


def _frozen_macs(layer, shape):
    """Multiply-accumulates of frozen kernels with adapters beside them."""
    if hasattr(layer, "count_frozen_macs"):
        return layer.count_frozen_macs(shape)
    is_dense = isinstance(layer, keras.layers.Dense) and shape is not None
    if is_dense and layer.lora_enabled and not _has_unknown_axis(shape):
        return math.prod(shape[1:]) * layer.units
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
        inputs = layer.input
    except (AttributeError, ValueError):  # not part of a graph
        return None
    return keras.tree.map_structure(lambda tensor: tensor.shape, inputs)


def _einsum_macs(layer, input_shape):
    """Every input number meets each kernel axis that the input lacks."""
    inputs, kernel = layer.equation.split("->")[0].split(",")
    new_axes = [
        size
        for axis, size in zip(kernel, layer.kernel.shape, strict=True)
        if axis not in inputs
    ]
    return math.prod(input_shape[1:]) * math.prod(new_axes)


def _attention_macs(layer, input_shape):
    """Projections, then scores and weighted sum for each head.

    `input_shape` is that of query, value and, where given, key.
    """
    query, value, *key = input_shape
    key = key[0] if key else value
    queries, keys = math.prod(query[1:-1]), math.prod(value[1:-1])
    projections = sum(
        _einsum_macs(projection, shape)
        for projection, shape in (
            (layer.query_dense, query),
            (layer.key_dense, key),
            (layer.value_dense, value),
        )
    )
    heads_out = (None, *query[1:-1], layer.num_heads, layer.value_dim)
    projections += _einsum_macs(layer.output_dense, heads_out)
    size = layer.num_heads * (layer.key_dim + layer.value_dim)
    return projections + queries * keys * size


def schedule_cost(
    schedule: PhaseSchedule, costs: Sequence[NetworkCost], baseline: NetworkCost
) -> float:
    """Multiply-accumulates of a schedule, beside those of a baseline.

    Args:
        schedule: `PhaseSchedule`.
        costs: `NetworkCost` of each phase.
        baseline: `NetworkCost` at full resolution, trained for as many
            epochs.

    Returns:
        float, over all epochs, as a share of the baseline's.
    """
    macs = sum(
        phase.epochs * cost.macs
        for phase, cost in zip(schedule, costs, strict=True)
    )
    return macs / (schedule.epochs * baseline.macs)


def cost_table(
    schedule: PhaseSchedule,
    costs: Sequence[NetworkCost],
    baseline: NetworkCost,
    batch_size: int | None = None,
    num_clips: int | None = None,
) -> str:
    """What each phase of a schedule costs, as a text table.

    Args:
        schedule, costs, baseline: as in `schedule_cost`.
        batch_size: int, clips a step of phases without a batch size of their
            own. Clips and steps are shown where some phase has one.
        num_clips: int, clips of an epoch, if known.
    """
    columns = "{:<18}{:>8}{:>12}{:>13}{:>8}{:>18}"
    headings = [
        "phase",
        "tokens",
        "parameters",
        "GMACs a clip",
        "epochs",
        "baseline's cost",
    ]
    varies = any(phase.batch_size for phase in schedule)
    if varies:
        columns += "{:>14}{:>16}"
        headings += ["clips a step", "steps an epoch"]
    lines = [columns.format(*headings).rstrip()]
    for phase, cost in zip(schedule, costs, strict=True):
        share = phase.epochs * cost.macs / (schedule.epochs * baseline.macs)
        size = phase.batch_size or batch_size
        steps = num_clips and size and -(-num_clips // size)
        row = [
            "/".join(str(resolution) for resolution, _ in phase.parts),
            cost.num_tokens or "",
            f"{cost.num_parameters / 1e6:.2f} M",
            f"{cost.macs / 1e9:.3g}",
            phase.epochs,
            f"{share:.1%}",
            *[size or "", steps or ""] * varies,
        ]
        lines.append(columns.format(*row).rstrip())
    share = schedule_cost(schedule, costs, baseline)
    lines.append(
        f"The schedule costs {share:.1%} of {schedule.epochs} epochs at full "
        "resolution."
    )
    last = costs[-1]
    if 0 < last.num_trained < last.num_parameters:
        lines.append(
            f"{last.num_trained:,} of {last.num_parameters:,} weights are "
            "trained."
        )
    return "\n".join(lines)
