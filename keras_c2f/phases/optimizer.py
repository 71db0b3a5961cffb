"""The optimizer of the next phase: rebuilt, its state carried or reset."""

import re
from collections import Counter

import keras
import numpy as np
from keras.optimizers.schedules import LearningRateSchedule

from keras_c2f.phases import keras_private
from keras_c2f.phases.learning_rate import FromStep, rescaled
from keras_c2f.phases.transplant import resized_by, weights_by_path


def renew_optimizer(optimizer, compiled, phase, old, new, rate_scale=1.0):
    """An optimizer for network `new`, as `phase` wants it.

    Args:
        optimizer: that of network `old`.
        compiled: `unbuilt_copy` of it, made when the model was compiled;
            what `phase.optimizer == "reset"` returns to.
        phase: `Phase`.
        old, new: networks before and after; may be the same.
        rate_scale: float, factor of the learning rate, unless the phase has
            one of its own.

    Returns:
        A built optimizer of the same class and name.
    """
    reset = phase.optimizer == "reset"
    changes = {}
    if rate_scale != 1:
        rate = keras_private.learning_rate(compiled if reset else optimizer)
        changes["learning_rate"] = rescaled(rate, rate_scale)
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
        # Keras begins with 0: right at step 0 only. A copy: JAX gives the
        # buffers of all variables away, and each but once.
        average.assign(keras.ops.copy(variable))
    _carry_exclusions(optimizer, renewed, old, new)
    if optimizer.built and not reset:
        carry_state(optimizer, renewed, old, new)
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


def carry_state(source, target, old, new):
    """Copies iterations and slots from one built optimizer to another.

    Slots are matched by name, which holds the path of their weight. Those of
    resized weights are resized by the layer that resizes the weight; where
    no value is negative (second moments), none is afterwards.

    Args:
        source: optimizer of network `old`.
        target: optimizer of network `new`; its learning rate is left alone.
        old, new: networks.

    Raises:
        ValueError: if a slot must be resized and does not say its weight.
    """
    before = _state_by_key(source, old)
    layers = weights_by_path(new)
    for key, slot in _state_by_key(target, new).items():
        path, name, _ = key
        if key not in before or name == "learning_rate":
            continue
        value = keras.ops.convert_to_numpy(before[key])
        if tuple(value.shape) != tuple(slot.shape):
            if path is None:
                _refuse_anonymous(name)
            positive = name != "average" and bool(np.all(value >= 0))
            value = resized_by(
                layers[path][1], path, value, tuple(slot.shape), positive
            )
            if value is None:  # the weight itself was left fresh
                continue
        slot.assign(value)


def refuse_unnamed_state(optimizer):
    """Refuses an optimizer whose state does not say its weight.

    Args:
        optimizer: built or not; stays as it is.

    Raises:
        ValueError: naming the state.
    """
    weight = keras.Variable(np.zeros((2, 3), "float32"), name="weight")
    trial = unbuilt_copy(optimizer)
    trial.build([weight])
    for variable in trial.variables:
        named = variable.name.startswith("weight_")
        if len(variable.shape) and (
            not named or tuple(variable.shape) != (2, 3)
        ):
            _refuse_anonymous(variable.name, type(optimizer).__name__)


def _refuse_anonymous(name, optimizer="The optimizer"):
    raise ValueError(
        f"{optimizer} has state {name!r} that does not begin with the path of "
        "its weight, or has another shape, so it cannot be resized with the "
        "weight. Write `reset` in each phase after the first, or use another "
        "optimizer, such as AdamW."
    )


def _state_by_key(optimizer, network):
    """`{(path of its weight, kind, occurrence): variable}` of a state.

    What belongs to no weight has `None` for a path; wrappers repeat
    `iteration`.
    """
    known = {
        id(variable): path
        for path, (variable, _) in weights_by_path(network).items()
    }
    paths = {}
    for variable in keras_private.variables_of(optimizer):
        if id(variable) in known:  # not of a subclass of PhasedModel
            prefix = variable.path.replace("/", "_") + "_"
            paths.setdefault(prefix, []).append(known[id(variable)])
    prefixes = sorted(paths, key=len, reverse=True)
    seen, named = Counter(), {}
    for variable in optimizer.variables:
        # without a name (Nadam has one such), Keras numbers through
        name = re.sub(r"^variable_\d+$", "variable", variable.name)
        prefix = next((p for p in prefixes if name.startswith(p)), "")
        kind = name[len(prefix) :]
        index = seen[prefix, kind]
        seen[prefix, kind] += 1
        sharing = paths.get(prefix, [None])  # made by `__init__` of layers
        if prefix and len(sharing) > index:
            named[sharing[index], kind, 0] = variable
        else:
            named[None, name, index] = variable
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
