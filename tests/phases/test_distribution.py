"""Two virtual devices, in a process of their own each."""

import os
import subprocess
import sys

import keras
import pytest

COMMON = """
import numpy as np
import keras
from tiny import Recorder, clips, phased
from keras_c2f.phases import PhaseScheduler

PHASES = "pool:4@1, full@1 elastic=pool:2/full"

def fit():
    inputs, labels = clips(seed=1)
    model = phased(compiled={"metrics": ["accuracy"]})
    recorder = Recorder(lambda: inputs, labels)
    history = model.fit(
        *clips(), batch_size=4, validation_data=(inputs, labels), verbose=0,
        callbacks=[PhaseScheduler(PHASES, verbose=0), recorder],
    ).history
    true = [state["true_loss"] for state in recorder.ends]
    np.testing.assert_allclose(history["val_loss"], true, rtol=1e-5)
    for begin, end in zip(recorder.begins, recorder.ends, strict=True):
        for path, before in begin["weights"].items():
            assert np.abs(end["weights"][path] - before).max() > 0, path
    assert [state["iterations"] for state in recorder.ends] == [2, 4]
    assert len(history["accuracy"]) == 2
    try:
        uneven = [PhaseScheduler("full@1", verbose=0)]
        phased(compiled={}).fit(*clips(5), batch_size=4, callbacks=uneven)
    except ValueError as error:
        assert "A batch of size 1 cannot be divided among 2" in str(error)
    else:
        raise AssertionError("not refused")
    return model

def refuse_uneven_data():
    import tensorflow as tf

    even, uneven = (
        tf.data.Dataset.from_tensor_slices(clips(count)).batch(4)
        for count in (8, 5)
    )
    for train, validation in ((uneven, None), (even, uneven)):
        try:
            phased(compiled={}).fit(
                train, validation_data=validation, verbose=0,
                callbacks=[PhaseScheduler("full@1", verbose=0)],
            )
        except ValueError as error:
            assert "A batch of the data cannot be divided among 2" in str(error)
        else:
            raise AssertionError("not refused")
"""
PROGRAMS = {
    "jax": """
import jax
assert len(jax.devices()) == 2
keras.distribution.set_distribution(keras.distribution.DataParallel())
model = fit()
refuse_uneven_data()
assert len(model.network.weights[0].value.sharding.device_set) == 2
""",
    "tensorflow": """
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpus[0], two)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = fit()
    uneven = [PhaseScheduler("full@1", verbose=0)]  # 3 are 2 and 1
    phased(compiled={}).fit(*clips(7), batch_size=4, callbacks=uneven)
    refuse_uneven_data()
assert strategy.num_replicas_in_sync == 2
assert len(model.network.weights[0].value.values) == 2  # a copy each
""",
}


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() not in PROGRAMS, reason="no strategy for torch"
)
def test_switch_on_two_devices():
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path]),
    }
    program = COMMON + PROGRAMS[keras.backend.backend()]
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
