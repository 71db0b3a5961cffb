import inspect
import warnings
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np

from keras_c2f.phases import keras_private
from keras_c2f.phases.elastic import ElasticNetworks
from keras_c2f.phases.fit_checks import (
    check_optimizer,
    check_own_steps,
    refusing_uneven_batches,
)
from keras_c2f.phases.learning_rate import FromStep
from keras_c2f.phases.optimizer import renew_optimizer, unbuilt_copy
from keras_c2f.phases.padded_batches import (
    counting_clips,
    padded_step,
    weights_of_clips,
)
from keras_c2f.phases.schedule import Phase, elastic_text
from keras_c2f.phases.tensorflow_graph import (
    after_batch,
    clip_whole_gradients,
    of_known_shape,
    short_graph,
)
from keras_c2f.phases.torch_optimizer import fused_adam
from keras_c2f.phases.transplant import TransplantReport, transplant
from keras_c2f.resolution import Resolution
from keras_c2f.utils.annotations import PathLike, Shape, Tensor
from keras_c2f.utils.files import atomic_write


@keras.saving.register_keras_serializable("keras_c2f")
class PhasedModel(keras.Model):
    """A model whose network is exchanged when a phase of training begins.

    It calls its `network` and adds nothing. `PhaseScheduler` moves it from
    resolution to resolution inside one `fit`; `model.network` is the plain
    Keras model to keep afterwards.

    Args:
        build_network: a model with a method `at_resolution`, such as
            `AudioClassifier`, which becomes the first network, weights and
            all; or a function from a `Resolution` to a new, built
            `keras.Model`, every layer named. Register the function with
            `keras.saving.register_keras_serializable` if a loaded model
            shall switch again.
        resolution: `Resolution` or its text form, of the first network that
            a function builds.
        network: first network, already built at `resolution`.

    Call arguments:
        inputs: whatever the network takes.

    Raises:
        ValueError: if `build_network` is neither model nor function, or a
            network says no input shape.

    Example:
        >>> from keras_c2f.models import AST, AudioClassifier
        >>> backbone = AST.from_size("micro", num_frames=128)
        >>> model = PhasedModel(AudioClassifier(backbone, 10))
        >>> model.network.input_shape
        (None, 128, 128)

    Reference:
        Feng et al., "From Coarse to Fine", ICASSP 2024: all weights are
        carried into the next phase, the position embedding resized.
    """

    def __init__(
        self,
        build_network: keras.Model | Callable[[Resolution], keras.Model],
        resolution: Resolution | str = "full",
        network: keras.Model | None = None,
        **kwargs: Any,
    ):
        # no autocast: the network may want float32 under mixed precision
        super().__init__(autocast=False, **kwargs)
        if isinstance(build_network, keras.Model):
            network = build_network
            resolution = getattr(network, "resolution", resolution)
            build_network = None
        elif not callable(build_network):
            raise ValueError(
                "`build_network` is a function from a Resolution to a new "
                "Keras model, or a model with `at_resolution`. "
                f"Received: {build_network!r}."
            )
        self.build_network = build_network
        self.resolution = Resolution.parse(resolution)
        self.network = _checked(network or build_network(self.resolution))
        self.dtype_policy = self.network.dtype_policy  # decides loss scaling
        self.built = True
        self.elastic = None  # `ElasticNetworks` of the phase, if it has any
        self.epochs_done = None  # in a `fit` that PhaseScheduler leads
        self.pads_batches = False  # so does its data: see AudioPipeline

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        inputs = of_known_shape(inputs, self.network)
        if training and self.elastic:
            return self.elastic(inputs)
        return self.network(inputs, training=training)

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        if keras_private.compiles_on_torch(self):  # which wants no `with`
            return super().train_step(*args, **kwargs)
        with (
            short_graph(self),
            fused_adam(self),
            after_batch(args),
            padded_step(self, args[-1]),
        ):
            return super().train_step(*args, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        if keras_private.compiles_on_torch(self):
            return super().test_step(*args, **kwargs)
        with short_graph(self), after_batch(args):
            return super().test_step(*args, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        if self.pads_batches and training and sample_weight is not None:
            sample_weight = weights_of_clips(sample_weight)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """PyTorch's: Keras forgets one of two weights that share a path."""
        super().zero_grad(set_to_none)
        for variable in self.trainable_variables:
            variable.value.grad = None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.network.compute_output_shape(input_shape)

    def network_at(self, resolution: Resolution | str) -> keras.Model:
        """A new, randomly initialised network at `resolution`.

        Raises:
            ValueError: if neither a function nor `at_resolution` is there, or
                what it returns has no input shape.
        """
        build = self.build_network or getattr(
            self.network, "at_resolution", None
        )
        if build is None:
            raise ValueError(
                "This model does not know how to build its network at "
                f"resolution {resolution}. Give PhasedModel a function from a "
                "resolution to a network; register it with `keras.saving."
                "register_keras_serializable` so that a saved model keeps it."
            )
        with keras_private.remat_scope(self.network):
            return _checked(build(resolution))

    @property
    def networks(self) -> list[keras.Model]:
        """`network`, or in an elastic phase one for each resolution."""
        return self.elastic.networks if self.elastic else [self.network]

    def elastic_networks(
        self, network: keras.Model, phase: Phase
    ) -> ElasticNetworks | None:
        """`ElasticNetworks` of a phase that has several resolutions.

        Args:
            network: that of the phase's `resolution`.
            phase: `Phase`.
        """
        if not phase.elastic:
            return None
        return ElasticNetworks(network, self.network_at, phase)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        super().compile(*args, **kwargs)
        if self.optimizer is not None:
            check_optimizer(self.optimizer)
            # what a phase with `reset` returns to
            self._compiled_optimizer = unbuilt_copy(self.optimizer)

    def get_compile_config(self) -> dict[str, Any] | None:
        config = super().get_compile_config()
        if config and self.optimizer is not None:
            serialize = keras.saving.serialize_keras_object
            # Keras would save the one of the first phase
            config["optimizer"] = serialize(self.optimizer)
            config["compiled_optimizer"] = serialize(self._compiled_optimizer)
            excluded = keras_private.without_weight_decay(
                self.optimizer, self.trainable_variables
            )
            config["without_weight_decay"] = [v.path for v in excluded]
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        config = keras.saving.deserialize_keras_object(config)
        compiled_optimizer = config.pop("compiled_optimizer", None)
        excluded = config.pop("without_weight_decay", None)
        self.compile(**config)
        if compiled_optimizer is not None:
            self._compiled_optimizer = compiled_optimizer
            self.optimizer.build(self.trainable_variables)
            keras_private.exclude_from_weight_decay(
                self.optimizer,
                [v for v in self.trainable_variables if v.path in excluded],
            )

    # Keras saves no seeds; a resumed run would repeat the dropout of its start.

    def save_own_variables(self, store: Any) -> None:
        for index, seed in enumerate(self._seeds()):
            store[str(index)] = keras.ops.convert_to_numpy(seed)
        resolution = str(self.resolution).encode()
        store["resolution"] = np.frombuffer(resolution, "uint8")
        optimizer = getattr(self, "optimizer", None)  # if it was compiled
        rate = optimizer and keras_private.learning_rate(optimizer)
        if self.epochs_done is not None:
            store["epochs_done"] = np.array(self.epochs_done)
        if isinstance(rate, FromStep):
            store["first_step"] = np.array(rate.first_step)

    def load_own_variables(self, store: Any) -> None:
        names = list(store.keys())
        if "resolution" in names:
            resolution = np.array(store["resolution"], "uint8").tobytes()
            self._loaded_resolution = resolution.decode()
        seeds = self._seeds()
        if len([name for name in names if name.isdigit()]) == len(seeds):
            for index, seed in enumerate(seeds):
                seed.assign(store[str(index)])

    def save_weights(
        self, filepath: PathLike, overwrite: bool = True, **kwargs: Any
    ) -> None:
        """`keras.Model.save_weights`; a kill leaves the file of before."""
        path, save = str(filepath), super().save_weights
        if not overwrite or "://" in path or not path.endswith(".weights.h5"):
            save(filepath, overwrite, **kwargs)
        else:
            atomic_write(path, lambda whole: save(whole, **kwargs))

    def load_weights(
        self, filepath: PathLike, *args: Any, **kwargs: Any
    ) -> None:
        """`keras.Model.load_weights`, of a file of the same resolution.

        Raises:
            ValueError: if weights do not fit.
        """
        self._loaded_resolution = None
        try:
            with warnings.catch_warnings(record=True) as notes:
                warnings.simplefilter("always")
                super().load_weights(filepath, *args, **kwargs)
        except ValueError as error:
            there, here = self._loaded_resolution, str(self.resolution)
            if there in (None, here):
                raise
            raise ValueError(
                f"{filepath} holds weights of resolution {there}, but the "
                f"model is at {here}, and its weights have other shapes. Move "
                f"it there with `model.switch(Phase({there!r}, 1))`, load, "
                f"and come back with `model.switch(Phase({here!r}, 1))`; or "
                "keep whole models, in `.keras` files."
            ) from error
        for note in notes:  # an error says it better than those before it
            warnings.warn(note.message, stacklevel=2)

    def _seeds(self):
        return [v for v in self.network.variables if "seed_generator" in v.path]

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """`keras.Model.fit`, led by the `PhaseScheduler` among the callbacks.

        The scheduler checks that schedule, data and other callbacks go
        together, moves the model to the phase of the first epoch, and is
        called before the other callbacks in whatever order they were given.
        `epochs` may be left out: the schedule knows.
        """
        keras_private.check_keras(self)
        keras_private.forget_restored_epoch(self)
        call = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs)
        arguments = dict(list(call.arguments.items())[1:])  # without self
        callbacks = arguments.get("callbacks") or []
        if isinstance(callbacks, keras.callbacks.CallbackList):
            raise ValueError("Give `fit` a list, not a CallbackList.")
        if not isinstance(callbacks, (list, tuple)):
            callbacks = [callbacks]
        check_own_steps(self, PhasedModel)
        self.epochs_done = None
        leaders = [c for c in callbacks if hasattr(c, "prepare_fit")]
        if len(leaders) > 1:
            raise ValueError("Give `fit` one PhaseScheduler, not several.")
        for leader in leaders:
            others = [c for c in callbacks if c is not leader]
            arguments["callbacks"] = [leader, *others]
            leader.prepare_fit(self, arguments)
        clip_whole_gradients(self)
        num_devices = keras_private.num_devices(self)
        with (
            refusing_uneven_batches(num_devices),
            counting_clips(self),
            keras_private.counting_steps(self) as count_steps,
        ):
            for leader in leaders:
                leader.count_steps = count_steps
            return super().fit(**arguments)

    def switch(
        self, phase: Phase, rate_scale: float = 1.0
    ) -> TransplantReport | None:
        """Moves network and optimizer to `phase`, between two epochs.

        Args:
            phase: `Phase`.
            rate_scale: float, factor of the learning rate, unless the phase
                has one of its own: see `keras_c2f.phases.rate_scale`.

        Returns:
            `TransplantReport`, or `None` where the network could stay.
        """
        report, old = None, self.network
        with keras_private.strategy_scope(self):
            if phase.resolution != self.resolution:
                new = self.network_at(phase.resolution)
                report = transplant(old, new)
                keras_private.replace_sublayer(self, "network", new)
                self.resolution = phase.resolution
            self.elastic = self.elastic_networks(self.network, phase)
            if self.optimizer is not None:
                self.optimizer = renew_optimizer(
                    self.optimizer,
                    self._compiled_optimizer,
                    phase,
                    old,
                    self.network,
                    rate_scale,
                )
                clip_whole_gradients(self)
                keras_private.renew_functions(self)
        return report

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        build = self.build_network
        name = getattr(build, "__name__", "<lambda>")  # a partial has none
        registered = name != "<lambda>" and (
            ">" in keras.saving.get_registered_name(build)
        )
        return {
            "build_network": serialize(build) if registered else None,
            "resolution": str(self.resolution),
            "elastic": elastic_text(self.elastic.phase.elastic)
            if self.elastic
            else "",
            "network": serialize(self.network),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        deserialize = keras.saving.deserialize_keras_object
        config = dict(config)
        network = deserialize(config.pop("network"))
        build = deserialize(config.pop("build_network"))
        elastic = config.pop("elastic", "")  # of an earlier version: none
        model = cls(build or network, network=network, **config)
        phase = Phase(model.resolution, 1, elastic=elastic)
        model.elastic = model.elastic_networks(model.network, phase)
        return model


def _checked(network):
    built = isinstance(network, keras.Model) and network.built
    if not built or getattr(network, "input_shape", None) is None:
        raise ValueError(
            "A network of PhasedModel is a functional model, or a Sequential "
            "one that begins with keras.Input, so that its input shape is "
            f"known before training. Received: {network!r}."
        )
    return network
