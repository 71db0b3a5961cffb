"""What cannot follow the phases is refused before training, in a sentence."""

import contextlib
import inspect

import keras
from keras.optimizers import MultiOptimizer
from keras.optimizers.schedules import LearningRateSchedule

from keras_c2f.phases import keras_private
from keras_c2f.phases.optimizer import refuse_unnamed_state
from keras_c2f.phases.tensorflow_graph import NO_PART

SETS_LEARNING_RATE = (
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
)


def check_fit(model, schedule, shapes, data, arguments, adapts=False):
    """Refuses a `fit` that would fail, or train wrongly, at a later phase.

    Args:
        model: compiled `PhasedModel`.
        schedule: `PhaseSchedule`.
        shapes: input shape of the network of each phase.
        data: what `PhaseScheduler(data=...)` was given.
        arguments: dict, arguments of `fit` by name.
        adapts: bool, whether phases may end early.

    Raises:
        ValueError: saying what does not go together and what would.
    """
    if getattr(model, "optimizer", None) is None:
        raise ValueError("Compile the model with an optimizer before `fit`.")
    _check_distribution(model)
    _check_batches(keras_private.num_devices(model), arguments)
    _check_callbacks(model, schedule, arguments["callbacks"], adapts)
    same_shape = len(set(map(str, shapes))) == 1
    varies = any(phase.batch_size for phase in schedule)
    if varies:
        _check_batch_sizes(data, arguments.get("x"))
    elif same_shape and (data is None or None not in shapes[0][1:]):
        return
    if data is None:
        raise ValueError(
            f"The network's input changes from {shapes[0]} to {shapes[-1]} "
            "between phases, and the data do not follow. Give an AudioPipeline "
            "with PhaseScheduler(schedule, data=pipeline), or let the network "
            "compress: AudioClassifier(input_kind='log_mel')."
        )
    validation = arguments.get("validation_data")
    if isinstance(validation, (tuple, list)):
        validation = validation[0]
    for source, steps in (
        (arguments.get("x"), "steps_per_epoch"),
        (validation, "validation_steps"),
    ):
        if source is None or same_shape and _is_array(source):
            continue
        _check_source(source, shapes, steps, arguments.get(steps))


def _check_batch_sizes(data, source):
    """Refuses data whose batch size cannot follow the phases."""
    follow = getattr(data, "set_phase", None)
    parameters = inspect.signature(follow).parameters if follow else ()
    follows = "batch_size" in parameters and hasattr(data, "batch_size")
    if not follows or _is_array(source):
        raise ValueError(
            "Phases have a `batch_size`, and the data do not follow. Train on "
            "the tf.data set of an AudioPipeline and give that with "
            "PhaseScheduler(schedule, data=pipeline), or any data with an "
            "attribute `batch_size` and a method `set_phase(resolution, "
            "epoch, batch_size)`. Received: "
            f"data={type(data).__name__}, x={type(source).__name__}."
        )


def check_state(model, schedule, reports):
    """Refuses an optimizer whose state cannot follow its weights.

    Args:
        model: compiled `PhasedModel`.
        schedule: `PhaseSchedule`.
        reports: of each phase, what `transplant` would do; `None` for nothing.

    Raises:
        ValueError: naming the state.
    """
    pairs = list(zip(schedule, reports, strict=True))
    if not model.optimizer.built:  # the first phase has nothing to carry
        pairs = pairs[1:]
    for phase, report in pairs:
        changed = report and (report.resized or report.fresh or report.dropped)
        if changed and phase.optimizer != "reset":
            with keras_private.strategy_scope(model):
                refuse_unnamed_state(model.optimizer)
            return


def check_optimizer(optimizer):
    """Refuses an optimizer that cannot be rebuilt for the next network."""
    if isinstance(optimizer, MultiOptimizer):
        raise ValueError(
            "Phases carry over the state of one optimizer; MultiOptimizer "
            "holds several. Use one, with LearningRateSchedule or "
            "`exclude_from_weight_decay` where groups of weights differ."
        )
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        check_optimizer(inner)
    rate = keras_private.learning_rate(optimizer)
    known = isinstance(rate, (keras.Variable, LearningRateSchedule))
    if callable(rate) and not known:
        raise ValueError(
            "A learning rate given as a plain function cannot be carried "
            "into the next phase's optimizer. Use a float or a "
            "keras.optimizers.schedules.LearningRateSchedule."
        )


def check_own_steps(model, phased_model):
    """Refuses a network whose own way of training would not be called.

    Args:
        model: the `PhasedModel`.
        phased_model: that class.
    """
    for name in ("train_step", "test_step", "compute_loss", "compute_metrics"):
        network = type(model.network)
        own = getattr(network, name) is not getattr(keras.Model, name)
        if own and getattr(type(model), name) is getattr(phased_model, name):
            raise ValueError(
                f"{network.__name__} has a `{name}` of its own, which is never "
                "called: PhasedModel trains, and calls its network. Write "
                f"`{name}` in a subclass of PhasedModel instead, or use "
                "`add_loss` in a layer."
            )


def _check_source(source, shapes, steps_name, steps):
    kind = type(source).__name__
    advice = (
        "Use the tf.data set of an AudioPipeline, or let the network "
        "compress: AudioClassifier(input_kind='log_mel')."
    )
    if _is_array(source):
        raise ValueError(
            f"An array ({kind}) cannot change shape between phases. {advice}"
        )
    if steps is not None:
        raise ValueError(
            f"With `{steps_name}` Keras keeps one iterator over all epochs, "
            "so batches of the old resolution would follow a change of "
            f"phase. Leave `{steps_name}` out and end the data set after "
            "each epoch (no `repeat`)."
        )
    if hasattr(source, "element_spec"):  # a tf.data set
        features = source.element_spec
        if isinstance(features, tuple):
            features = features[0]
        _check_element_spec(features, shapes, advice)
        return
    changes = None in shapes[0][1:] or len(set(map(str, shapes))) > 1
    if changes and keras.backend.backend() == "tensorflow":
        raise ValueError(
            f"On the TensorFlow backend, Keras fixes the shape of what {kind} "
            f"yields for all epochs, so it cannot follow the phases. {advice}"
        )
    if getattr(source, "workers", 1) > 1 or getattr(
        source, "use_multiprocessing", False
    ):
        raise ValueError(
            f"{kind} with several workers prepares batches ahead, so some of "
            "the old resolution would follow a change of phase. Set "
            f"workers=1 and use_multiprocessing=False. {advice}"
        )


def _is_array(source):
    parts = keras.tree.flatten(source)
    return any(hasattr(part, "shape") for part in parts)


def _check_element_spec(features, shapes, advice):
    """An axis that changes between phases is unknown to a tf.data set."""
    fixed = getattr(features, "shape", None)  # of several inputs: Keras says
    if fixed is None or fixed.rank is None:
        return
    for shape in shapes:
        if any(
            known is not None and wanted is not None and known != wanted
            for known, wanted in zip(fixed[1:], shape[1:], strict=False)
        ):
            raise ValueError(
                f"The tf.data set has features of shape {tuple(fixed)}, which "
                f"cannot become {shape}. {advice}"
            )


def _check_callbacks(model, schedule, callbacks, adapts):
    scheduled = isinstance(
        keras_private.learning_rate(model.optimizer), LearningRateSchedule
    ) or any(
        isinstance(phase.learning_rate, LearningRateSchedule)
        for phase in schedule
    )
    averages_in_model = False
    for callback in callbacks:
        if scheduled and isinstance(callback, SETS_LEARNING_RATE):
            raise ValueError(
                f"{type(callback).__name__} sets a learning rate that is a "
                "number, but this one follows a LearningRateSchedule. Use one "
                "of the two."
            )
        if isinstance(callback, keras.callbacks.SwapEMAWeights):
            averages_in_model |= callback.swap_on_epoch
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            if adapts:
                raise ValueError(
                    "BackupAndRestore does not keep the logs that say when "
                    "a phase ended early. Keep the model with "
                    "ModelCheckpoint and the logs with CSVLogger, and go on "
                    "with `initial_epoch` and CarryOver(logs=...)."
                )
            if callback.save_freq != "epoch":
                raise ValueError(
                    "A backup within an epoch does not say which phase it "
                    "belongs to. Use BackupAndRestore(save_freq='epoch')."
                )
            if averages_in_model:
                raise ValueError(
                    "BackupAndRestore would save averages in place of "
                    "weights. Put it before SwapEMAWeights in `callbacks`."
                )


def _check_distribution(model):
    strategy = getattr(model, "distribute_strategy", None)
    name = type(strategy).__name__
    if "MultiWorker" in name or "ParameterServer" in name:
        raise ValueError(
            f"{name} does not work with `fit` in this Keras. Use "
            "MirroredStrategy on one machine, or the JAX backend with "
            "keras.distribution."
        )
    if keras.backend.backend() == "torch":
        from torch import distributed

        if (
            distributed.is_available()
            and distributed.is_initialized()
            and distributed.get_world_size() > 1
        ):
            raise ValueError(
                "Keras does not synchronise `fit` between torch processes. "
                "Train in one process, or use the JAX backend with "
                "keras.distribution."
            )
    if keras_private.is_one_of_many(model):
        raise ValueError(
            "Several JAX processes run, and no distribution is set: each "
            "would train weights of its own. Call keras.distribution."
            "set_distribution(DataParallel(auto_shard_dataset=False)) before "
            "the model is made, or start one process."
        )


def _check_batches(num_devices, arguments):
    """Refuses arrays and data sets of which a batch cannot be divided."""
    if num_devices == 1:
        return
    validation = arguments.get("validation_data")
    if isinstance(validation, (tuple, list)):
        validation = validation[0]
    size = arguments.get("batch_size") or 32
    split = 0.0
    if validation is None:
        split = arguments.get("validation_split") or 0.0
    validation_size = arguments.get("validation_batch_size") or size
    for what, source, batch_size, shares in (
        ("", arguments.get("x"), size, (1 - split, split)),
        ("validation ", validation, validation_size, (1,)),
    ):
        for batch in _batch_sizes(source, batch_size, shares):
            if not _can_share(batch, num_devices):
                _refuse_batch(f"{what}batch of size {batch}", num_devices)


def _refuse_batch(batch, num_devices):
    raise ValueError(
        f"A {batch} cannot be divided among {num_devices} devices. Choose a "
        f"batch size, and a number of clips, that {num_devices} divides, or "
        "leave the last batch out (`drop_remainder` of tf.data)."
    )


@contextlib.contextmanager
def refusing_uneven_batches(num_devices):
    """Context that says so where a batch of unknown size was uneven.

    Raises:
        ValueError: with what the backend said as its cause.
    """
    try:
        yield
    except Exception as error:
        # JAX has had two sentences for it, and now has an error of its own
        said = f"{type(error).__name__} {error}"
        if num_devices > 1 and ("divisible" in said or NO_PART in said):
            _refuse_batch("batch of the data", num_devices)
        raise


def _can_share(batch, num_devices):
    """TensorFlow's devices may have unequal parts, but none that is empty."""
    if keras.backend.backend() != "tensorflow":
        return batch % num_devices == 0
    share = -(-batch // num_devices)
    return share * (num_devices - 1) < batch


def _batch_sizes(source, size, shares):
    """Sizes of batches, as far as they can be known before."""
    if hasattr(source, "element_spec"):  # a tf.data set
        spec = keras.tree.flatten(source.element_spec)[0]
        batch = spec.shape.rank and spec.shape[0]
        return [batch] if batch else []
    if source is None or not _is_array(source):
        return []
    count = len(keras.tree.flatten(source)[0])
    first = int(count * shares[0])  # as Keras splits
    counts = [first, count - first] if len(shares) > 1 else [count]
    sizes = {min(count, size) for count in counts}
    sizes |= {count % size for count in counts}
    return sorted(sizes - {0})
