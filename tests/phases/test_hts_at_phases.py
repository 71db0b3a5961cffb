"""HTS-AT coarse to fine in one `fit`: maps, windows and weights follow."""

import keras
import numpy as np
import pytest
from tiny import Recorder, assert_same_weights

from keras_c2f.models import HTSAT, AudioClassifier
from keras_c2f.phases import PhasedModel, PhaseScheduler

LAST = "stage_1_block_0/attention/position_bias"
SGD = keras.optimizers.SGD
# Compiling a network of windows is slow on TensorFlow, running op by op on JAX.
QUICK = {"run_eagerly": keras.backend.backend() != "jax"}


def phased(**options):
    """Maps of 8 x 8 and 4 x 4 at full resolution, windows of 4 x 4."""
    keras.utils.set_random_seed(0)
    backbone = HTSAT(
        num_frames=64,
        num_mel_bins=16,
        num_folds=2,
        window_size=(4, 4),
        width=6,
        depths=(3, 1),
        num_heads=(2, 3),
        mlp_ratio=2.0,
        drop_path=0.0,
        name="hts_at",
    )
    model = PhasedModel(
        AudioClassifier(backbone, 3, "log_mel", pooling="token_semantic")
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(SGD(0.05), loss, **options)
    return model


def clips():
    rng = np.random.default_rng(0)
    log_mel = rng.normal(size=(8, 64, 16)).astype("float32")
    return log_mel, rng.integers(0, 3, 8).astype("int32")


def fit(model, schedule):
    log_mel, labels = clips()
    recorder = Recorder(lambda: log_mel, labels)
    model.fit(
        log_mel,
        labels,
        batch_size=4,
        validation_data=(log_mel, labels),
        callbacks=[PhaseScheduler(schedule, verbose=0), recorder],
        verbose=0,
    )
    return recorder


def assert_switched(recorder, resized):
    """Weights do not move between the epochs but for the resized ones."""
    (before, after), (begin, end) = recorder.ends, recorder.begins
    assert begin["network"] is not end["network"]
    kept = [before["weights"].copy(), end["weights"].copy()]
    for path in resized:
        old, new = (weights.pop(path) for weights in kept)
        assert old.shape != new.shape
    assert_same_weights(*kept, rtol=0, atol=0)
    for path, value in after["weights"].items():
        assert (value != end["weights"][path]).any(), path
    for state in recorder.ends:
        loss = state["logs"]["val_loss"]
        np.testing.assert_allclose(loss, state["true_loss"], rtol=1e-4)


@pytest.mark.once
@pytest.mark.parametrize(
    "resolution, resized",
    [
        ("shift:2", [LAST]),
        ("pool:2:max", [LAST]),
        ("patch:2", [LAST, "patch_embedding/kernel"]),
    ],
)
def test_each_compression(resolution, resized):
    model = phased(**QUICK)
    recorder = fit(model, f"{resolution}@1, full@1")
    assert_switched(recorder, resized)
    assert recorder.begins[0]["network"].num_tokens == 32
    assert model.network.num_tokens == 64


def test_compiled():
    """On TensorFlow blocks of a kind share a trace: `traced_once`."""
    model = phased()
    recorder = fit(model, "pool:2@1, full@1")
    assert_switched(recorder, [LAST])
