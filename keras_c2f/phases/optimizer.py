"""The optimizer of the next phase: rebuilt, its state carried or reset."""

import copy
from collections import Counter

import keras
import numpy as np
from keras.optimizers.schedules import LearningRateSchedule

from keras_c2f.phases import keras_private
from keras_c2f.phases.schedule import FromStep
from keras_c2f.phases.transplant import weights_by_path


def renew_optimizer(optimizer, compiled_config, phase, old, new):
    """An optimizer for network `new`, as `phase` wants it.

    Args:
        optimizer: that of network `old`.
        compiled_config: its config when the model was compiled; what
            `phase.optimizer == "reset"` returns to.
        phase: `Phase`.
        old, new: networks before and after; may be the same.

    Returns:
        A built optimizer of the same class and name.
    """
    reset = phase.optimizer == "reset"
    config = copy.deepcopy(compiled_config if reset else optimizer.get_config())
    wrapped = config.get("inner_optimizer")  # by LossScaleOptimizer
    options = wrapped["config"] if wrapped else config
    for name in ("learning_rate", "weight_decay"):
        value = getattr(phase, name)
        if isinstance(value, LearningRateSchedule):
            done = 0 if reset else keras_private.iteration_count(optimizer)
            value = FromStep(value, done)
        if value is not None:
            options[name] = keras.saving.serialize_keras_object(value)
    renewed = type(optimizer).from_config(config)
    renewed.build(new.trainable_variables)
    _carry_exclusions(optimizer, renewed, old, new)
    if optimizer.built and not reset:
        carry_state(optimizer, renewed, new)
    return renewed


def carry_state(source, target, network):
    """Copies iterations and slots from one built optimizer to another.

    Slots are matched by name, which holds the path of their weight. Those of
    resized weights are resized by the layer that resizes the weight; where
    no value is negative (second moments), none is afterwards.

    Args:
        source: optimizer of the old network.
        target: optimizer of `network`; its learning rate is left alone.
        network: the new network.
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
            layer = layers[max(fitting, key=len)]
            if not hasattr(layer, "resize_weight"):
                continue  # the weight itself was left fresh
            positive = bool(np.all(value >= 0))
            value = layer.resize_weight(value, tuple(slot.shape), positive)
        slot.assign(value)


def _by_name(variables):
    """`{(name, occurrence): variable}`; wrappers repeat `iteration`."""
    seen, named = Counter(), {}
    for variable in variables:
        named[variable.name, seen[variable.name]] = variable
        seen[variable.name] += 1
    return named


def _carry_exclusions(optimizer, renewed, old, new):
    excluded = keras_private.without_weight_decay(
        optimizer, old.trainable_variables
    )
    if not excluded:
        return
    ids = {id(variable) for variable in excluded}
    old_weights, new_weights = weights_by_path(old), weights_by_path(new)
    renewed = getattr(renewed, "inner_optimizer", renewed)
    renewed.exclude_from_weight_decay(
        [
            new_weights[path][0]
            for path, (variable, _) in old_weights.items()
            if id(variable) in ids and path in new_weights
        ]
    )
