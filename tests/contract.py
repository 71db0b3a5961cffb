"""What every layer and every model of the package owes its users.

A `Case` says how to build one with no argument at its default; the checks
below hold for each of them.
"""

import inspect
import re
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_c2f.phases.keras_private import flatten_layers


@dataclass(frozen=True)
class Case:
    """One class, built so that each argument differs from its default.

    Attributes:
        cls: layer or model class.
        arguments: dict, one value other than the default per constructor
            argument; values may be layers.
        shapes: input shapes without the batch axis. The first is used where
            one is enough, the others lie around boundaries.
        seed_generators: int, how many random streams training has.
        at_default: names of arguments that another case of the class sets.
        bfloat16_error: float, how far mixed precision may be off, as a share
            of the largest output. bfloat16 rounds by 2**-9 = 0.2 %; each
            product, norm and residual in a row adds about as much.
    """

    cls: type
    arguments: dict
    shapes: tuple
    seed_generators: int = 0
    at_default: tuple = ()
    bfloat16_error: float = 0.01

    def __str__(self):
        return self.cls.__name__

    def make(self, **overrides) -> Any:
        """A new layer or model, its arguments copied through their config."""
        arguments = {
            name: value.from_config(value.get_config())
            if isinstance(value, keras.Layer)
            else value
            for name, value in self.arguments.items()
        }
        return self.cls(**{**arguments, **overrides})

    def built(self, **overrides):
        """As `make`, then built, with random weights throughout."""
        keras.utils.set_random_seed(1)  # or drop path drops all, at times
        layer = self.make(**overrides)
        if not layer.built:
            layer.build((None, *self.shapes[0]))
        return randomize(layer)

    def inputs(self, batch=3, shape=None):
        rng = np.random.default_rng(0)
        shape = shape or self.shapes[0]
        return rng.normal(size=(batch, *shape)).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def randomize(layer, seed=0):
    """Moves every weight off its initial value: zeros and ones hide errors."""
    rng = np.random.default_rng(seed)
    layer.set_weights(
        [
            value + rng.normal(0, 0.3, value.shape).astype("float32")
            for value in layer.get_weights()
        ]
    )
    return layer


def functional(layer, shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


def seed_generators(layer):
    paths = [v.path for v in layer.variables]
    return sum("seed_generator_state" in path for path in paths)


def constructor_arguments(cls):
    parameters = inspect.signature(cls.__init__).parameters.values()
    named = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return {p.name: p.default for p in named[1:] if p.name != "dtype"}


def check_shapes(case):
    for shape in case.shapes:
        layer = case.make()
        claimed = layer.compute_output_shape((None, *shape))
        symbolic = layer(keras.Input(shape))
        assert tuple(symbolic.shape) == tuple(claimed), shape
        assert claimed[0] is None
        real = layer(case.inputs(shape=shape))
        assert tuple(real.shape) == (3, *claimed[1:]), shape


def check_arguments(case):
    """Each argument is kept as an attribute, also by way of the config."""
    layer = case.make()
    config = layer.get_config()
    copy = case.cls.from_config(config)
    defaults = constructor_arguments(case.cls)
    assert defaults.keys() == {*case.arguments, *case.at_default}
    for name, given in case.arguments.items():
        default = defaults[name]
        assert given != default, f"{name} is tested at its default"
        assert name in config
        if not isinstance(given, keras.Layer):
            assert str(getattr(layer, name)) == str(given), name
            assert str(getattr(copy, name)) == str(given), name


def check_config(case):
    options = {"name": "other", "dtype": "mixed_bfloat16", "trainable": False}
    layer = case.make(**options)
    copy = case.cls.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy.name == "other"
    assert copy.dtype_policy.name == "mixed_bfloat16"
    assert not copy.trainable


def check_saving(case, tmp_path):
    """`.keras` keeps config, weights and numbers; so does a plain model."""
    layer = case.built(name="other")
    model = layer
    if not isinstance(layer, keras.Model):
        model = functional(layer, case.shapes[0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    copy = loaded
    if not isinstance(layer, keras.Model):
        copy = loaded.get_layer("other")
    assert type(copy) is case.cls
    assert copy.get_config() == layer.get_config()
    paths = [weight.path for weight in layer.weights]
    assert [weight.path for weight in copy.weights] == paths
    inputs = case.inputs()
    np.testing.assert_array_equal(numpy(loaded(inputs)), numpy(model(inputs)))


def check_graph_equals_eager(case):
    layer = case.built()
    model = functional(layer, case.shapes[0])
    inputs = case.inputs()
    graph = model.predict(inputs, verbose=0)
    # float32, fused differently when compiled
    np.testing.assert_allclose(graph, numpy(layer(inputs)), atol=2e-5)


def check_clip_alone(case):
    """A clip's output does not depend on the other clips of its batch."""
    layer = case.built()
    inputs = case.inputs()
    together = numpy(layer(inputs))
    inputs[1:] = 100 * inputs[1:] ** 2  # louder, and of another mean
    np.testing.assert_allclose(numpy(layer(inputs))[0], together[0], atol=2e-5)


def check_fit(case, without_gradient=()):
    """One training step moves every trainable weight, by something finite.

    Moving averages of a batch norm that is trained move as well, and nothing
    else. Weights that a loss does not depend on are moved by rounding alone,
    or not.
    """
    layer = case.built()
    inputs = keras.Input(case.shapes[0])
    outputs = layer(inputs)
    if len(outputs.shape) == 3:  # training may have fewer tokens
        outputs = keras.layers.GlobalAveragePooling1D()(outputs)
    flat = keras.layers.Flatten()(outputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(flat))
    before = layer.get_weights()
    model.compile("sgd", "mse")
    history = model.fit(case.inputs(), np.ones((3, 2)), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    after = layer.get_weights()
    trained = {weight.path for weight in layer.trainable_weights}
    for weight, old, new in zip(layer.weights, before, after, strict=True):
        assert np.isfinite(new).all(), weight.path
        if weight.path in without_gradient:
            continue
        owner = re.sub("moving_.*", "gamma", weight.path)
        moves = weight.path in trained or owner in trained
        assert (old != new).any() == moves, weight.path


def check_mixed_precision(case, float32_names=()):
    """All inside computes in bfloat16 but `float32_names`; weights do not."""
    full, mixed = case.built(), case.built(dtype="mixed_bfloat16")
    mixed.set_weights(full.get_weights())
    for layer in flatten_layers(mixed):
        wanted = layer.name in float32_names
        policy = "float32" if wanted else "mixed_bfloat16"
        if not isinstance(layer, keras.layers.InputLayer):
            assert layer.dtype_policy.name == policy, layer.path
    assert {v.dtype for v in mixed.weights} <= {"float32"}
    inputs = case.inputs()
    output = mixed(inputs)
    if not float32_names:
        for result in (output, mixed(inputs, training=True)):
            dtype = keras.backend.standardize_dtype(result.dtype)
            assert dtype == "bfloat16"
    exact = numpy(full(inputs))
    error = np.abs(numpy(output) - exact).max() / np.abs(exact).max()
    assert error < case.bfloat16_error
    return error


def check_random_streams(case):
    layer = case.built()
    assert seed_generators(layer) == case.seed_generators
    inputs = case.inputs()
    first, second = (numpy(layer(inputs, training=True)) for _ in range(2))
    assert (first != second).any() == (case.seed_generators > 0)
    first, second = (numpy(layer(inputs, training=False)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
