"""The only module that touches Keras' private state.

Public Keras offers no way to exchange a sub-model of a built, compiled model
while `fit` runs. Everything here was read in Keras 3.15; `check_keras` says
which of it a later Keras has moved.
"""

import contextlib
import inspect

import keras

_OF_MODEL = (
    *("_tracker", "_layers", "_flatten_layers", "_initial_epoch"),
    "_symbolic_build",
    *("_compile_metrics", "_compile_loss", "_loss_tracker"),
    *("train_function", "test_function", "predict_function"),
)
_OF_BACKEND = {
    "tensorflow": ("_maybe_symbolic_build",),
    "jax": ("jax_state_sync", "_jax_state_synced"),
    "torch": ("_track_variables", "_should_torch_compile"),
}
_OF_LAYER = ("_remat_mode",)
_OF_TRACKER = ("lock", "unlock", "untrack")
_OF_OPTIMIZER = (
    *("_trainable_variables", "_iterations", "_learning_rate"),
    *("_use_weight_decay", "_get_variable_index", "_clip_gradients"),
)


def check_keras(model):
    """Checks that Keras has all that this module uses, before training.

    Args:
        model: `PhasedModel`; Keras itself refuses one that is not compiled.

    Raises:
        RuntimeError: if Keras has moved some of it.
    """
    if not model.compiled:
        return
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    backend = keras.backend.backend()
    missing = [
        f"{type(owner).__name__}.{name}"
        for owner, names in (
            (model, _OF_MODEL + _OF_BACKEND[backend]),
            (getattr(model, "_tracker", None), _OF_TRACKER),
            (optimizer, _OF_OPTIMIZER if optimizer else ()),
            (model.network, _OF_LAYER),
        )
        for name in names
        if owner is not None and not hasattr(owner, name)
    ]
    if "force" not in inspect.signature(model.make_train_function).parameters:
        missing.append("Model.make_train_function(force=...)")
    if missing:
        raise RuntimeError(
            f"Keras {keras.__version__} has no {', '.join(missing)}: private "
            "parts that exchanging a network within `fit` needs. Install a "
            'Keras that keras_c2f is tested with: pip install "keras~=3.15.0".'
        )


def flatten_layers(layer):
    """All layers inside `layer`, itself first, parents before children.

    Keras has it otherwise where a graph uses the layers of a model that is
    itself an attribute.
    """
    return sorted(
        layer._flatten_layers(), key=lambda inner: -len(inner.variables)
    )


def paths_through_models(network):
    """`{id(layer): names from below `network` down to it, as a path}`.

    `layer.path` begins anew in a functional model inside another.
    """
    paths, queue = {}, [(network, "")]
    for layer, path in queue:  # which grows; the shortest path comes first
        if id(layer) not in paths:
            paths[id(layer)] = path
            queue += [
                (inner, f"{path}/{inner.name}".lstrip("/"))
                for inner in layer._layers
            ]
    return paths


def variables_of(optimizer):
    """The weights for which an optimizer was built, in its order."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return inner._trainable_variables


def forget_restored_epoch(model):
    """Undoes what `BackupAndRestore` leaves behind after an earlier fit.

    Otherwise a second `fit` begins at the restored epoch, and may run none.
    """
    model._initial_epoch = None


def iteration_count(optimizer):
    """Updates made so far, unaffected by gradient accumulation."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return int(keras.ops.convert_to_numpy(inner._iterations))


def learning_rate(optimizer):
    """Schedule, variable or function (the property gives its value)."""
    return getattr(optimizer, "inner_optimizer", optimizer)._learning_rate


def without_weight_decay(optimizer, variables):
    """Those of `variables` that `exclude_from_weight_decay` has excluded."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return [v for v in variables if not optimizer._use_weight_decay(v)]


def names_without_weight_decay(optimizer):
    """What `exclude_from_weight_decay(var_names=...)` was given, as a list."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    return [pattern.pattern] if pattern else None


def exclude_from_weight_decay(optimizer, variables, names=None):
    """Also within `LossScaleOptimizer`."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    optimizer.exclude_from_weight_decay(variables, names)


def moving_averages(optimizer):
    """`(variable, average)` pairs of a built optimizer with `use_ema`."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not optimizer.use_ema:
        return []
    averages = optimizer._model_variables_moving_average
    pairs = zip(optimizer._trainable_variables, averages, strict=True)
    return [pair for pair in pairs if pair[1] is not None]


def is_plain_adam(optimizer):
    """True for Keras' own Adam and AdamW, without AMSGrad."""
    cls = type(optimizer)  # on PyTorch a subclass of the same name
    of_keras = cls.__module__.startswith("keras.")
    plain = of_keras and cls.__name__ in ("Adam", "AdamW")
    return plain and not optimizer.amsgrad


def adam_methods(update_step, apply_weight_decay):
    """Methods of Adam by name, to replace its own on TensorFlow."""
    return {
        "update_step": update_step,
        "_apply_weight_decay": apply_weight_decay,
    }


def torch_methods(update_all):
    """The method that updates all weights on PyTorch, by name."""
    return {"_backend_update_step": update_all}


def adam_slots(optimizer, variable):
    """First and second moment of a weight, as the backend's variables."""
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index].value, optimizer._velocities[index].value


@contextlib.contextmanager
def replaced(target, **methods):
    """Methods of one object, replaced while the context lasts."""
    before = {name: vars(target).get(name) for name in methods}
    for name, method in methods.items():
        setattr(target, name, method)
    try:
        yield
    finally:
        for name, method in before.items():
            if method is None:
                delattr(target, name)
            else:
                setattr(target, name, method)


@contextlib.contextmanager
def counting_steps(model):
    """Context of a `fit` in which steps of an epoch can be counted anew.

    Keras counts them when `fit` begins. What counts is a local variable
    there, which is given to one method first.

    Yields:
        Function without arguments, to call between two epochs, that returns
        the steps of the next one; `None` where the data do not know.
    """
    name = "_symbolic_build"
    if keras.backend.backend() == "tensorflow":
        name = "_maybe_symbolic_build"
    build = getattr(model, name)
    iterators = []  # of `fit`, then of each `evaluate` in it

    def noting(iterator=None, data_batch=None):
        iterators.append(iterator)
        return build(iterator=iterator, data_batch=data_batch)

    def count():
        iterators[0].reset()
        return iterators[0].num_batches

    with replaced(model, **{name: noting}):
        yield count


def remat_scope(network):
    """Context in which layers are recomputed that are so in `network`."""
    for layer in flatten_layers(network):
        if layer._remat_mode is not None:
            return keras.RematScope(*layer._remat_mode)
    return contextlib.nullcontext()


def wrap_clipping(optimizer, wrap):
    """Replaces how an optimizer clips gradients by `wrap` of it, once."""
    if "_clip_gradients" not in vars(optimizer):
        optimizer._clip_gradients = wrap(optimizer._clip_gradients)


def strategy_scope(model):
    """Context in which variables are made, for TensorFlow's distribution."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy.scope() if strategy else contextlib.nullcontext()


def replace_sublayer(model, name, new):
    """Exchanges a tracked sub-layer of a built model, between two epochs."""
    old = getattr(model, name)
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
        model._jax_state = None
        model._jax_state_synced = True
    model._tracker.unlock()
    model._tracker.untrack(old)
    setattr(model, name, new)
    model._tracker.lock()
    if keras.backend.backend() == "torch":
        model._track_variables()


def renew_functions(model):
    """Makes the compiled steps anew; the old ones hold the old network."""
    model.train_function = None
    model.test_function = None
    model.predict_function = None
    if keras.backend.backend() != "jax" or _has_metrics(model):
        # else `fit` has not begun and makes it: on JAX a function is made for
        # the variables that are there, among them those of the metrics
        model.make_train_function(force=True)


def _has_metrics(model):
    parts = (model._compile_metrics, model._compile_loss)
    return all(part is None or part.built for part in parts)


def loss_tracker(model):
    """The metric that is an epoch's loss, of a compiled model."""
    return model._loss_tracker


def compiles_on_torch(model):
    """Whether PyTorch's compiler is given the steps of a compiled model."""
    return keras.backend.backend() == "torch" and model._should_torch_compile()


def num_devices(model):
    """Devices of this process among which a batch is divided."""
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None:
        return strategy.num_replicas_in_sync
    if keras.backend.backend() != "jax" or not _distribution():
        return 1
    import jax

    mesh = _distribution().device_mesh
    axis = mesh.axis_names.index(_distribution().batch_dim_name)
    return max(1, mesh.shape[axis] // jax.process_count())


def is_one_of_many(model):
    """Whether other JAX processes train weights of their own at once."""
    if keras.backend.backend() != "jax" or _distribution():
        return False
    import jax

    return jax.process_count() > 1


def _distribution():
    return keras.distribution.distribution()


# What `BackupAndRestore` writes into its folder, and where HDF5 keeps the
# variables that a model itself holds.
BACKUP_WEIGHTS = "latest.weights.h5"
BACKUP_METADATA = "training_metadata.json"
OWN_VARIABLES = "vars"
