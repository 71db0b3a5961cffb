"""The graph of a step on TensorFlow: shorter, and never half executed.

TensorFlow traces, optimizes and first runs a new graph whenever a phase
begins, and the time this takes grows with the number of its nodes. Most of
them say the same thing again: twelve encoder blocks, and Adam's arithmetic
for each of some 150 weights. Here every kind of block is traced once, as a
function that its siblings call, and Adam's step is one op per weight. AST-tiny
then has 2400 nodes rather than 12400; results are equal up to rounding. Blocks
of different numbers of tokens (`TokenMerging`) are traced one by one.

At the end of data of unknown length Keras tries one step more. It has no
batch, but what needs none is executed: the optimizer counts a step and
dropout moves its seeds, once per epoch. Here a step waits for its batch.
"""

import contextlib
import itertools
from functools import partial

import keras

from keras_c2f.phases import keras_private

NO_PART = "A device has no part of the batch."


def short_graph(model):
    """Context in which to trace a step of `model`.

    Does nothing on other backends and under a distribution strategy.
    """
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    if tf.distribute.has_strategy() or model.run_eagerly:
        return contextlib.nullcontext()
    context = contextlib.ExitStack()
    for siblings in _siblings(model.networks):
        call_once_traced = _traced_once(siblings[0])
        for layer in siblings:
            call = partial(_call_shared, layer, call_once_traced)
            context.enter_context(keras_private.replaced(layer, call=call))
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    float32 = all(v.dtype == "float32" for v in model.trainable_variables)
    if float32 and keras_private.is_plain_adam(optimizer):
        methods = keras_private.adam_methods(*_fused_adam(optimizer))
        context.enter_context(keras_private.replaced(optimizer, **methods))
    return context


def after_batch(batch):
    """Context in which every op waits for `batch`, a nest of tensors.

    Where several devices share a batch, a device without a part of it raises
    an error that has `NO_PART` in its message: Keras would go on, up to where
    an op cannot be without samples. Does nothing on other backends.
    """
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    parts = [part for part in tf.nest.flatten(batch) if tf.is_tensor(part)]
    if tf.distribute.has_strategy():
        parts = [
            tf.debugging.assert_positive(tf.shape(part)[0], NO_PART)
            for part in parts
            if part.shape.rank
        ]
    return tf.control_dependencies(parts)


def mean_over_devices(value):
    """A mean over a device's part of a batch -> that over the whole batch.

    The value as it is on other backends, where a batch is one tensor.
    """
    if keras.backend.backend() != "tensorflow":
        return value
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        return value
    replica = tf.distribute.get_replica_context()
    return replica.all_reduce(tf.distribute.ReduceOp.MEAN, value)


def clip_whole_gradients(model):
    """Lets the optimizer clip the gradient of a whole batch.

    Where several devices share a batch, Keras clips the part of each before it
    adds them up. Nothing changes on other backends, nor with gradient
    accumulation or loss scaling, which put the clipping into a condition.
    """
    strategy = getattr(model, "distribute_strategy", None)
    optimizer = getattr(model, "optimizer", None)
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return
    limits = ("clipnorm", "global_clipnorm", "clipvalue")
    clips = any(getattr(optimizer, name, None) for name in limits)
    if clips and not getattr(optimizer, "gradient_accumulation_steps", None):
        keras_private.wrap_clipping(optimizer, _clip_sums)


def _clip_sums(clip):
    """`clip`, a function of gradients, of their sums over devices."""
    import tensorflow as tf

    def clip_gradients(gradients):
        replica = tf.distribute.get_replica_context()
        found = [g for g in gradients if g is not None]
        sums = iter(clip(replica.all_reduce(tf.distribute.ReduceOp.SUM, found)))
        number = replica.num_replicas_in_sync  # they are added up once more
        return [None if g is None else next(sums) / number for g in gradients]

    return clip_gradients


def of_known_shape(inputs, network):
    """`inputs`, known to have the shape that `network` was built for.

    A `tf.data` set that changes with the phase cannot provide it, and layers
    that count patches need it. Does nothing on other backends, and where
    there are several inputs.
    """
    if keras.backend.backend() != "tensorflow":
        return inputs
    import tensorflow as tf

    shape = getattr(network, "input_shape", None)
    if not isinstance(shape, tuple) or not tf.is_tensor(inputs):
        return inputs
    if len(shape) != inputs.shape.rank:
        return inputs  # what Keras makes of it
    return tf.ensure_shape(inputs, shape)


def _siblings(networks):
    """Lists of at least two layers that differ in name and weights alone."""
    groups = {}
    for layer in itertools.chain(*map(keras_private.flatten_layers, networks)):
        if getattr(layer, "traced_once", False):
            config = {**layer.get_config(), "name": None}
            weights = [(v.shape, v.dtype, v.trainable) for v in layer.variables]
            groups.setdefault(str((type(layer), config, weights)), []).append(
                layer
            )
    return [layers for layers in groups.values() if len(layers) > 1]


def _traced_once(layer):
    """`layer.stateless_call` as a function that TensorFlow keeps whole."""
    import tensorflow as tf

    original = layer.call

    def call(weights, state, inputs, training):
        with keras_private.replaced(layer, call=original):
            return layer.stateless_call(
                weights, state, inputs, training=training
            )

    return tf.function(
        call, autograph=False, experimental_attributes={"_noinline": True}
    )


def _call_shared(layer, call_once_traced, inputs, training=None):
    """Calls the function of all siblings with the weights of `layer`."""
    import tensorflow as tf

    outputs, state = call_once_traced(
        [tf.convert_to_tensor(v.value) for v in layer.trainable_variables],
        [tf.convert_to_tensor(v.value) for v in layer.non_trainable_variables],
        inputs,
        bool(training),
    )
    weights = {id(variable) for variable in layer.weights}
    for variable, value in zip(
        layer.non_trainable_variables, state, strict=True
    ):
        if id(variable) not in weights:  # frozen, and rounded if mixed
            variable.assign(value)
    return outputs


def _fused_adam(optimizer):
    """Adam's `update_step` and weight decay, the same formulas in fewer ops."""
    import tensorflow as tf

    scalars = {}  # by graph: a step with loss scaling has a graph in a graph

    def adam_scalars():
        graph = tf.compat.v1.get_default_graph()
        if graph not in scalars:
            step = tf.cast(optimizer.iterations + 1, tf.float32)
            beta_1 = tf.constant(optimizer.beta_1, tf.float32)
            beta_2 = tf.constant(optimizer.beta_2, tf.float32)
            scalars[graph] = {
                "beta1": beta_1,
                "beta2": beta_2,
                "beta1_power": beta_1**step,
                "beta2_power": beta_2**step,
                "epsilon": tf.constant(optimizer.epsilon, tf.float32),
            }
        return scalars[graph]

    def update_step(gradient, variable, learning_rate):
        momentum, velocity = keras_private.adam_slots(optimizer, variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            lr=learning_rate,
            grad=tf.convert_to_tensor(gradient),
            **adam_scalars(),
        )

    def apply_weight_decay(variables):
        if optimizer.weight_decay is None:
            return
        share = optimizer.weight_decay * optimizer.learning_rate
        excluded = keras_private.without_weight_decay(optimizer, variables)
        excluded = {id(variable) for variable in excluded}
        for variable in variables:
            if id(variable) not in excluded:
                variable.value.assign_sub(variable.value * share)

    return update_step, apply_weight_decay
