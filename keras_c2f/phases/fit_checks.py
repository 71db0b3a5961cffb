"""What cannot follow the phases is refused before training, in a sentence."""

import keras
from keras.optimizers.schedules import LearningRateSchedule

from keras_c2f.phases import keras_private


def check_fit(model, schedule, networks, data, arguments):
    """Refuses a `fit` that would fail, or train wrongly, at a later phase.

    Args:
        model: compiled `PhasedModel`.
        schedule: `PhaseSchedule`.
        networks: the network of each phase.
        data: what `PhaseScheduler(data=...)` was given.
        arguments: dict, arguments of `fit` by name.

    Raises:
        ValueError: saying what does not go together and what would.
    """
    _check_optimizer(model)
    _check_strategy(model)
    if data is None and any(phase.batch_size for phase in schedule):
        raise ValueError(
            "A batch size per phase needs a data set that can change it: give "
            "PhaseScheduler(schedule, data=pipeline) an AudioPipeline, or "
            "take the batch sizes out of the schedule."
        )
    shapes = [network.input_shape for network in networks]
    if len(set(map(str, shapes))) == 1:
        return
    if data is None:
        raise ValueError(
            f"The network's input changes from {shapes[0]} to {shapes[-1]} "
            "between phases, and nothing tells the data. Give PhaseScheduler"
            "(schedule, data=pipeline) an AudioPipeline, or let the network "
            "compress: AudioClassifier(input_kind='log_mel')."
        )
    validation = arguments.get("validation_data")
    if isinstance(validation, (tuple, list)):
        validation = validation[0]
    for source, steps in (
        (arguments.get("x"), "steps_per_epoch"),
        (validation, "validation_steps"),
    ):
        _check_source(source, steps, arguments.get(steps))


def _check_source(source, steps_name, steps):
    if source is None:
        return
    kind = type(source).__name__
    advice = (
        "Use the tf.data set of an AudioPipeline, or let the network "
        "compress: AudioClassifier(input_kind='log_mel')."
    )
    if hasattr(source, "shape"):
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
    if type(source).__module__.startswith("tensorflow."):
        return
    if keras.backend.backend() == "tensorflow":
        raise ValueError(
            f"On the TensorFlow backend, Keras fixes the shape of what {kind} "
            f"yields for all epochs, so it cannot follow the phases. {advice}"
        )
    if getattr(source, "workers", 1) > 1:
        raise ValueError(
            f"{kind} with {source.workers} workers prepares batches ahead, so "
            "some of the old resolution would follow a change of phase. Set "
            f"workers=1. {advice}"
        )


def _check_optimizer(model):
    if model.optimizer is None:
        raise ValueError("Compile the model with an optimizer before `fit`.")
    rate = keras_private.learning_rate(model.optimizer)
    is_variable = isinstance(rate, keras.Variable)
    if callable(rate) and not isinstance(rate, LearningRateSchedule):
        if not is_variable:
            raise ValueError(
                "A learning rate given as a plain function cannot be carried "
                "into the next phase's optimizer. Use a float or a "
                "keras.optimizers.schedules.LearningRateSchedule."
            )


def _check_strategy(model):
    strategy = getattr(model, "distribute_strategy", None)
    name = type(strategy).__name__
    if "MultiWorker" in name or "ParameterServer" in name:
        raise ValueError(
            f"{name} does not work with `fit` in this Keras. Use "
            "MirroredStrategy on one machine, or the JAX backend with "
            "keras.distribution."
        )
