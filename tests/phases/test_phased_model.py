"""Wrapping networks of one's own; saving and loading them."""

import warnings
from functools import partial

import keras
import numpy as np
import pytest
from tiny import Recorder, classifier, clips, phased, to_numpy

from keras_c2f.phases import Phase, PhasedModel, PhaseScheduler
from keras_c2f.resolution import Resolution


def conv_net(resolution):
    """A user's network: pools, convolves; its dense part sees no time."""
    inputs = keras.Input((32, 8))
    outputs = keras.layers.AveragePooling1D(resolution.pool, name="pool")(
        inputs
    )
    outputs = keras.layers.Conv1D(6, 3, activation="relu", name="conv")(outputs)
    outputs = keras.layers.GlobalAveragePooling1D(name="mean")(outputs)
    outputs = keras.layers.Dense(3, name="head")(outputs)
    return keras.Model(inputs, outputs, name="conv_net")


@keras.saving.register_keras_serializable("tests")
def registered_net(resolution):
    return conv_net(resolution)


def compiled(*arguments, **options):
    model = PhasedModel(*arguments, **options)
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def test_a_function_takes_part():
    model = compiled(conv_net, "pool:4")
    inputs, labels = clips(seed=1)
    recorder = Recorder(lambda: inputs, labels)
    history = model.fit(
        *clips(),
        validation_data=(inputs, labels),
        verbose=0,
        callbacks=[PhaseScheduler("pool:4@1, full@1", verbose=0), recorder],
    ).history
    true = [state["true_loss"] for state in recorder.ends]
    np.testing.assert_allclose(history["val_loss"], true, rtol=1e-5)
    for begin, end in zip(recorder.begins, recorder.ends, strict=True):
        for path, before in begin["weights"].items():
            assert np.abs(end["weights"][path] - before).max() > 0, path
    # no token count; MACs by hand: kernel 3 x 8 x 6 at each frame, and head
    assert "num_tokens" not in history
    macs = [(frames - 2) * 3 * 8 * 6 + 6 * 3 for frames in (32 // 4, 32)]
    np.testing.assert_allclose(history["gmacs"], np.array(macs) / 1e9)


def test_a_registered_function_is_saved(tmp_path):
    model = compiled(registered_net, "pool:4")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.resolution == Resolution.parse("pool:4")
    inputs = clips()[0]
    np.testing.assert_allclose(
        to_numpy(model(inputs)), to_numpy(loaded(inputs)), atol=1e-6
    )
    report = loaded.switch(Phase("full", 1))
    assert report.fresh == report.dropped == ()
    assert loaded.network.get_layer("pool").pool_size == (1,)


@pytest.mark.parametrize(
    "build",
    [conv_net, lambda resolution: conv_net(resolution), partial(conv_net)],
    ids=["function", "lambda", "partial"],
)
def test_an_unregistered_function_is_not(build, tmp_path):
    model = compiled(build, "pool:4")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.fit(
        *clips(), callbacks=[PhaseScheduler("pool:4@1", verbose=0)], verbose=0
    )
    with pytest.raises(
        ValueError, match="does not know how to build.*register"
    ):
        loaded.fit(*clips(), callbacks=[PhaseScheduler("pool:4@1, full@1")])


def test_a_saved_classifier_switches_again(tmp_path):
    model = phased()
    model.switch(Phase("pool:4", 1))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert str(loaded.resolution) == "pool:4"
    loaded.switch(Phase("full", 1))
    assert loaded.network.num_tokens == 16


def test_it_adds_nothing_to_its_network():
    network = classifier()
    model = PhasedModel(network)
    inputs = clips()[0]
    assert model.network is network
    assert model.compute_output_shape((5, 32, 8)) == (5, 3)
    np.testing.assert_array_equal(
        to_numpy(model(inputs)), to_numpy(network(inputs))
    )
    paths = [variable.path for variable in model.variables]
    assert paths == [variable.path for variable in network.variables]


def test_inputs_stay_float32_under_mixed_precision():
    """Waveforms and log-mel lose what matters when rounded to bfloat16."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((4,), dtype="float32")
        outputs = keras.layers.Rescaling(1.0, dtype="float32")(inputs)
        model = PhasedModel(lambda resolution: keras.Model(inputs, outputs))
        third = np.full((1, 4), 1 / 3, "float32")
        np.testing.assert_array_equal(to_numpy(model(third)), third)
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize(
    "build",
    [
        lambda resolution: keras.layers.Dense(3),
        lambda resolution: keras.Sequential([keras.layers.Dense(3)]),
    ],
    ids=["layer", "unbuilt"],
)
def test_networks_say_their_input_shape(build):
    with pytest.raises(ValueError, match="A network of PhasedModel is a funct"):
        PhasedModel(build)


def test_build_network_is_a_function_or_a_model():
    with pytest.raises(ValueError, match="is a function from a Resolution to"):
        PhasedModel("ast_tiny")


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights_of_another_resolution_are_named(suffix, tmp_path):
    model, path = phased(resolution="pool:4"), tmp_path / f"best{suffix}"
    model.switch(Phase("pool:4", 1))  # builds the optimizer
    if suffix == ".keras":
        model.save(path)
    else:
        model.save_weights(path)
    saved = model.network.get_weights()
    model.switch(Phase("full", 1))
    match = r"weights of resolution pool:4, but the model is at full.*switch\("
    with pytest.raises(ValueError, match=match):
        model.load_weights(path)
    model.switch(Phase("pool:4", 1))
    model.load_weights(path)
    for mine, theirs in zip(model.network.get_weights(), saved, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_keras_notes_of_loaded_weights_is_passed_on(tmp_path):
    model, path = phased(resolution="pool:4"), tmp_path / "last.weights.h5"
    model.switch(Phase("pool:4", 1))
    model.save_weights(path)
    model.switch(Phase("full", 1))
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        model.load_weights(path, skip_mismatch=True)
    said = [str(note.message) for note in notes]
    assert any("positions" in note for note in said), said


def any_length(resolution):
    inputs = keras.Input((None, 8))
    outputs = keras.layers.AveragePooling1D(resolution.pool, name="pool")(
        inputs
    )
    outputs = keras.layers.Dense(8, name="dense")(outputs)
    outputs = keras.layers.Conv1D(8, 3, padding="same", name="conv")(outputs)
    outputs = keras.layers.MultiHeadAttention(2, 4, name="attention")(
        outputs, outputs
    )
    outputs = keras.layers.GlobalAveragePooling1D(name="mean")(outputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(outputs))


@pytest.mark.filterwarnings("ignore:The cost of:UserWarning")
def test_a_network_of_any_length_takes_part():
    model = compiled(any_length, "pool:4")
    history = model.fit(
        *clips(),
        verbose=0,
        callbacks=[PhaseScheduler("pool:4@1, full@1", verbose=0)],
    ).history
    # what is behind the mean alone: 8 x 3
    np.testing.assert_allclose(history["gmacs"], [24e-9, 24e-9])


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="PyTorch's compiler"
)
@pytest.mark.filterwarnings("ignore")  # of the compiler
def test_steps_that_pytorch_compiles(monkeypatch):
    """Traced by Dynamo; what it makes of that is run as it is: no C++."""
    import torch

    compile_it = partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", compile_it)

    def build(resolution):
        inputs = keras.Input((32, 8))
        outputs = keras.layers.AveragePooling1D(resolution.pool, name="pool")(
            inputs
        )
        outputs = keras.layers.GlobalAveragePooling1D(name="mean")(outputs)
        return keras.Model(inputs, keras.layers.Dense(3, name="head")(outputs))

    losses = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        model = PhasedModel(build, "pool:4")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, jit_compile=jit_compile)
        scheduler = PhaseScheduler("pool:4@1, full@1", verbose=0)
        history = model.fit(
            *clips(), verbose=0, callbacks=[scheduler], validation_data=clips()
        ).history
        losses.append([history["loss"], history["val_loss"]])
    np.testing.assert_allclose(*losses, rtol=1e-5)
