"""The optimizer of the next phase: rebuilt, its state carried or reset."""

import re
from collections import Counter

import keras
import numpy as np
from keras.optimizers.schedules import LearningRateSchedule

from keras_c2f.phases import keras_private
from keras_c2f.phases.learning_rate import FromStep
from keras_c2f.phases.transplant import weights_by_path


def renew_optimizer(optimizer, compiled, phase, old, new):
    """An optimizer for network `new`, as `phase` wants it.

    Args:
        optimizer: that of network `old`.
        compiled: `unbuilt_copy` of it, made when the model was compiled;
            what `phase.optimizer == "reset"` returns to.
        phase: `Phase`.
        old, new: networks before and after; may be the same.

    Returns:
        A built optimizer of the same class and name.
    """
    reset = phase.optimizer == "reset"
    changes = {}
    for name in ("learning_rate", "weight_decay"):
        value = getattr(phase, name)
        if isinstance(value, LearningRateSchedule):
            done = 0 if reset else keras_private.iteration_count(optimizer)
            value = FromStep(value, done)
        if value is not None:
            changes[name] = value
    renewed = unbuilt_copy(compiled if reset else optimizer, changes)
    renewed.build(new.trainable_variables)
    for variable, average in keras_private.moving_averages(renewed):
        average.assign(variable)  # Keras begins with 0: right at step 0 only
    _carry_exclusions(optimizer, renewed, old, new)
    if optimizer.built and not reset:
        carry_state(optimizer, renewed, new)
    return renewed


def unbuilt_copy(optimizer, changes=()):
    """An optimizer of the same class, name and options, not yet built.

    Args:
        optimizer: a Keras optimizer, wrapped in `LossScaleOptimizer` or not.
        changes: dict, options to replace.
    """
    config = optimizer.get_config()
    if "inner_optimizer" in config:
        inner = unbuilt_copy(optimizer.inner_optimizer, changes)
        return type(optimizer)(**{**config, "inner_optimizer": inner})
    rate = keras_private.learning_rate(optimizer)
    if isinstance(rate, LearningRateSchedule):
        config["learning_rate"] = rate  # itself: it may not be registered
    return type(optimizer).from_config({**config, **dict(changes)})


def carry_state(source, target, network):
    """Copies iterations and slots from one built optimizer to another.

    Slots are matched by name, which holds the path of their weight. Those of
    resized weights are resized by the layer that resizes the weight; where
    no value is negative (second moments), none is afterwards.

    Args:
        source: optimizer of the old network.
        target: optimizer of `network`; its learning rate is left alone.
        network: the new network.

    Raises:
        ValueError: if a slot must be resized and does not say its weight.
    """
    old = _by_name(source.variables)
    weights = weights_by_path(network)
    layers = {
        path.replace("/", "_") + "_": layer
        for path, (_, layer) in weights.items()
    }
    for key, slot in _by_name(target.variables).items():
        name = key[0]
        if key not in old or name == "learning_rate":
            continue
        value = keras.ops.convert_to_numpy(old[key])
        if tuple(value.shape) != tuple(slot.shape):
            fitting = [prefix for prefix in layers if name.startswith(prefix)]
            if not fitting:
                raise ValueError(
                    f"The name of optimizer state {name!r} does not begin "
                    "with the path of its weight, so it cannot be resized. "
                    "Write `reset` in each phase, or use another optimizer."
                )
            layer = layers[max(fitting, key=len)]
            if not hasattr(layer, "resize_weight"):
                continue  # the weight itself was left fresh
            positive = not name.endswith("_average") and np.all(value >= 0)
            value = layer.resize_weight(
                value, tuple(slot.shape), bool(positive)
            )
            if value is None:  # likewise
                continue
        slot.assign(value)


def _by_name(variables):
    """`{(name, occurrence): variable}`; wrappers repeat `iteration`."""
    seen, named = Counter(), {}
    for variable in variables:
        # without a name (Nadam has one such), Keras numbers through
        name = re.sub(r"^variable_\d+$", "variable", variable.name)
        named[name, seen[name]] = variable
        seen[name] += 1
    return named


def _carry_exclusions(optimizer, renewed, old, new):
    excluded = keras_private.without_weight_decay(
        optimizer, old.trainable_variables
    )
    ids = {id(variable) for variable in excluded}
    old_weights, new_weights = weights_by_path(old), weights_by_path(new)
    keras_private.exclude_from_weight_decay(
        renewed,
        [
            new_weights[path][0]
            for path, (variable, _) in old_weights.items()
            if id(variable) in ids and path in new_weights
        ],
        keras_private.names_without_weight_decay(optimizer),
    )
