"""Weights of one network into another of a different resolution."""

import re
from collections import Counter
from dataclasses import dataclass

import keras

from keras_c2f.phases.keras_private import flatten_layers


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

    copied: tuple
    resized: tuple
    fresh: tuple
    dropped: tuple

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


def transplant(source, target, carry_trainable=True):
    """Carries all weights that fit from one built network to another.

    Weights are matched by `variable.path`, so layers must be named alike in
    both. Where shapes differ, the layer that owns the weight resizes it, if
    it has a method `resize_weight(value, new_shape, positive=False)`, as
    `PositionGrid` and `PatchEmbedding` have; where that returns `None`, the
    weight is left fresh. Runs in NumPy, outside any graph; `source` is not
    changed.

    Args:
        source, target: built `keras.Model`s.
        carry_trainable: bool, whether layers and weights that are frozen in
            `source` are then frozen in `target`, and others are not.

    Returns:
        `TransplantReport`.

    Raises:
        ValueError: if two weights of one network share a path, the networks
            have no path in common, or a weight is missing from `source` in
            a layer that was given no name.
    """
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
            _refuse_automatic_name(path, layer)
            fresh.append(path)
            continue
        value = keras.ops.convert_to_numpy(old[path][0])
        shapes = (tuple(value.shape), tuple(variable.shape))
        if shapes[0] == shapes[1]:
            variable.assign(value)
            copied.append(path)
            continue
        resize = getattr(layer, "resize_weight", lambda *_: None)
        value = resize(value, shapes[1])
        if value is None:
            fresh.append(path)
        else:
            variable.assign(value)
            resized.append((path, *shapes))
    if carry_trainable:
        freeze_alike(source, target)
    dropped = tuple(path for path in old if path not in new)
    return TransplantReport(
        tuple(copied), tuple(resized), tuple(fresh), dropped
    )


def weights_by_path(network):
    """`{path: (variable, layer that owns it)}` of a built network.

    Raises:
        ValueError: if two weights share a path.
    """
    owner = {
        id(variable): layer  # the innermost comes last
        for layer in flatten_layers(network)
        for variable in layer.variables
    }
    weights, seen = {}, Counter()
    for variable in network.variables:
        path = variable.path
        if "seed_generator" in path:  # numbered through the whole process
            path = re.sub(r"seed_generator(_\d+)?", "seed_generator", path)
            seen[path] += 1
            path = f"{path}_{seen[path]}"
        if path in weights:
            raise ValueError(
                f"Two weights share the path {path!r}, so weights cannot be "
                "matched between phases. Give each layer a name of its own."
            )
        weights[path] = (variable, owner[id(variable)])
    return weights


def _refuse_automatic_name(path, layer):
    """Keras numbers such names through the process: they never match."""
    chosen = re.sub(r"_\d+$", "", layer.name).replace("_", "")
    is_seed = "seed_generator" in path  # may well be new: nothing is learned
    if chosen == type(layer).__name__.lower() and not is_seed:
        raise ValueError(
            f"Weight {path!r} is not in the network before. Its layer has the "
            f"name {layer.name!r}, which Keras chose and numbered, so it "
            "cannot be matched between phases. Give every layer a name."
        )


def freeze_alike(source, target):
    """Layers and weights of `target` are frozen if they are in `source`."""
    trainable = {
        layer.path: layer.trainable
        for layer in flatten_layers(source)
        if layer.path
    }
    for layer in flatten_layers(target):  # parents first
        if layer.path in trainable:
            layer.trainable = trainable[layer.path]
    old, new = weights_by_path(source), weights_by_path(target)
    for path in old.keys() & new.keys():
        if new[path][0].trainable != old[path][0].trainable:
            new[path][0].trainable = old[path][0].trainable
