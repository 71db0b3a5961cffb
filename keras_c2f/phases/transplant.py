"""Weights of one network into another of a different resolution."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras

from keras_c2f.phases.keras_private import flatten_layers, paths_through_models
from keras_c2f.phases.layer_state import (
    carry_adapted,
    enable_lora_alike,
    refuse_other_quantization,
)
from keras_c2f.resolution import Resolution

if TYPE_CHECKING:
    from keras_c2f.models.phase_network import PhaseNetwork

# Keras numbers these through the whole process.
NUMBERED = re.compile(r"\b(seed_generator|variable)(_\d+)?(?=/|$)")


@dataclass(frozen=True)
class TransplantReport:
    """What `transplant` did, as lists of weight paths.

    Attributes:
        copied: same path and shape in both.
        resized: `(path, old_shape, new_shape)`, resized by their layer.
        fresh: in the target alone, or of another shape in a layer that
            does not resize; they keep their initial values.
        dropped: in the source alone.
    """

    copied: tuple[str, ...]
    resized: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    fresh: tuple[str, ...]
    dropped: tuple[str, ...]

    def __str__(self):
        parts = [f"copied {len(self.copied)} weights"]
        for path, old, new in self.resized:
            parts.append(f"resized {path} {old} -> {new}")
        for verb, paths in (
            ("left fresh", self.fresh),
            ("dropped", self.dropped),
        ):
            if paths:
                parts.append(f"{verb} {', '.join(paths)}")
        return "; ".join(parts)


def transplant(
    source: keras.Model, target: keras.Model, carry_trainable: bool = True
) -> TransplantReport:
    """Carries all weights that fit from one built network to another.

    Weights are matched by `variable.path`, so layers must be named alike in
    both; weights without a name by their order in the layer. LoRA is enabled
    where it is in `source`, and what `adapt` has learned (`Normalization`,
    `Discretization`, lookups) comes along. Where shapes differ, the layer
    that owns the weight resizes it, if it has a method
    `resize_weight(value, new_shape, positive=False)`, as `PositionGrid` and
    `PatchEmbedding` have; where that returns `None`, the weight is left
    fresh. It resizes optimizer slots too; `positive` keeps values that are
    not negative so (second moments). Runs in NumPy, outside any graph;
    `source` is not changed.

    Args:
        source, target: built `keras.Model`s.
        carry_trainable: bool, whether layers and weights that are frozen in
            `source` are then frozen in `target`, and others are not.

    Returns:
        `TransplantReport`.

    Raises:
        ValueError: if two weights of one network share a path, the networks
            have no path in common, a weight is missing from `source` in
            a layer that was given no name, a layer is quantized in one of
            them alone, or its `resize_weight` does not do what it should.
    """
    layers = _same_layers(source, target)
    for old, new in layers:
        refuse_other_quantization(old, new)
        enable_lora_alike(old, new)
    old, new = weights_by_path(source), weights_by_path(target)
    if not old.keys() & new.keys():
        raise ValueError(
            "No weight path is common to both networks, so nothing can be "
            f"carried over (for example {next(iter(old), None)!r} against "
            f"{next(iter(new), None)!r}). Give every layer a name."
        )
    copied, resized, fresh = [], [], []
    for path, (variable, layer) in new.items():
        if path not in old:
            _refuse_automatic_name(path, target)
            fresh.append(path)
            continue
        value = keras.ops.convert_to_numpy(old[path][0])
        shapes = (tuple(value.shape), tuple(variable.shape))
        if shapes[0] == shapes[1]:
            variable.assign(value)
            copied.append(path)
            continue
        value = resized_by(layer, path, value, shapes[1])
        if value is None:
            fresh.append(path)
        else:
            variable.assign(value)
            resized.append((path, *shapes))
    for pair in layers:
        carry_adapted(*pair)
    if carry_trainable:
        freeze_alike(source, target)
    dropped = tuple(path for path in old if path not in new)
    return TransplantReport(
        tuple(copied), tuple(resized), tuple(fresh), dropped
    )


def at_resolution(
    network: PhaseNetwork, resolution: Resolution | str
) -> PhaseNetwork:
    """A copy of a trained network, its weights resized and not trained on.

    Of a network that an elastic phase has trained at that resolution too, it
    computes what was trained there.

    Args:
        network: `AudioClassifier`, or a backbone.
        resolution: `Resolution` or text.

    Returns:
        The same class of model.
    """
    copy = network.at_resolution(Resolution.parse(resolution))
    transplant(network, copy)
    return copy


def weights_by_path(network):
    """`{path: (variable, layer that owns it)}` of a built network.

    Where weights in several models inside `network` have one path, theirs
    begins with the names of these models.

    Raises:
        ValueError: if two weights share a path.
    """
    owner = {
        id(variable): layer  # the innermost comes last
        for layer in flatten_layers(network)
        for variable in layer.variables
    }
    weights, seen = {}, Counter()
    through_models = paths_through_models(network)
    sharing = Counter(variable.path for variable in network.variables)
    for variable in network.variables:
        layer = owner[id(variable)]
        path = NUMBERED.sub(r"\1", variable.path)
        if NUMBERED.search(variable.path):
            if path == "variable":  # made by the layer's `__init__`
                path = f"{layer.path or layer.name}/{path}"
            seen[path] += 1
            path = f"{path}_{seen[path]}"
        elif sharing[path] > 1:
            path = f"{through_models[id(layer)]}/{variable.name}"
        if path in weights:
            raise ValueError(
                f"Two weights share the path {path!r}, so weights cannot be "
                "matched between phases. Give each layer a name of its own."
            )
        weights[path] = (variable, layer)
    return weights


def resized_by(layer, path, value, new_shape, positive=False):
    """The value of a weight, or of optimizer state, for another shape.

    Args:
        layer: the layer that owns the weight.
        path: str, of the weight.
        value: array.
        new_shape: tuple.
        positive: bool, whether the result must not be negative.

    Returns:
        Array of `new_shape`, or `None` where the layer does not resize it.

    Raises:
        ValueError: if `resize_weight` takes other arguments or returns
            another shape.
    """
    resize = getattr(layer, "resize_weight", None)
    if resize is None:
        return None
    named = f"`resize_weight` of {type(layer).__name__} {layer.name!r}"
    try:
        inspect.signature(resize).bind(value, new_shape, positive)
    except TypeError as error:
        raise ValueError(
            f"{named} takes other arguments than those it is called with: "
            f"{error}. Define it as `resize_weight(self, value, new_shape, "
            "positive=False)`; second moments are resized with positive=True."
        ) from None
    value = resize(value, new_shape, positive)
    shape = new_shape if value is None else tuple(value.shape)
    if shape != tuple(new_shape):
        raise ValueError(
            f"{named} returned the shape {shape} for {path!r}, which is "
            f"{tuple(new_shape)} in the next phase. Return that shape, or "
            "None to leave the weight as it is initialized."
        )
    return value


def _refuse_automatic_name(path, network):
    """Keras numbers such names through the process: they never match."""
    if "seed_generator" in path:  # may well be new: nothing is learned
        return
    for layer in flatten_layers(network):
        chosen = re.sub(r"_\d+$", "", layer.name).replace("_", "")
        inside = layer.name in path.split("/")[:-1]
        if inside and chosen == type(layer).__name__.lower():
            raise ValueError(
                f"Weight {path!r} is not in the network before. It is in the "
                f"layer {layer.name!r}, a name which Keras chose and numbered, "
                "so it cannot be matched between phases. Give every layer a "
                "name."
            )


def _same_layers(source, target):
    """Pairs of layers of one path and class, parents first."""
    old, new = _layers_by_path(source), _layers_by_path(target)
    return [(old[key], new[key]) for key in new if key in old]


def _layers_by_path(network):
    """`{(path, class): layer}`, parents first."""
    through_models = paths_through_models(network)
    layers = {}
    for layer in flatten_layers(network):
        key = (layer.path or layer.name, type(layer).__name__)
        layers.setdefault(key, []).append(layer)
    return {
        (path if len(sharing) == 1 else through_models[id(layer)], cls): layer
        for (path, cls), sharing in layers.items()
        for layer in sharing
    }


def freeze_alike(source, target):
    """Layers and weights of `target` are frozen if they are in `source`."""
    for old, new in _same_layers(source, target):
        new.trainable = old.trainable
    old, new = weights_by_path(source), weights_by_path(target)
    for path in old.keys() & new.keys():
        if new[path][0].trainable != old[path][0].trainable:
            new[path][0].trainable = old[path][0].trainable
