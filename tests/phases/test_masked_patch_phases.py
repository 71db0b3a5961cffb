"""Masked patches guessed coarse to fine, in one real fit."""

import keras
import numpy as np
import pytest
from tiny import Recorder, assert_same_weights, to_numpy, weights_of

from keras_c2f.models import (
    AST,
    MaskedPatchLoss,
    MaskedPatchModel,
    masked_patch_metrics,
)
from keras_c2f.phases import PhasedModel, PhaseScheduler

SCHEDULE = "patch:2@1, pool:2@1, full@2"
NUM_TOKENS = [8, 8, 16, 16]  # frames/4 x 2
RNG = np.random.default_rng(0)
TRAINING, VALIDATION = RNG.normal(size=(2, 8, 32, 8)).astype("float32")
NO_TARGETS = np.zeros((8, 0), "float32")


def phased():
    keras.utils.set_random_seed(0)
    backbone = AST(32, 8, (4, 4), width=8, depth=1, num_heads=2, mlp_ratio=2)
    model = PhasedModel(MaskedPatchModel(backbone, input_kind="log_mel"))
    model.compile("adam", MaskedPatchLoss(), metrics=masked_patch_metrics())
    return model


class Eager(keras.callbacks.Callback):
    """Notes losses and accuracy of the validation clips, computed eagerly."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_epoch_end(self, epoch, logs=None):
        network = self.model.network
        outcome = [
            to_numpy(network(VALIDATION[part], training=False))
            for part in (slice(0, 4), slice(4, 8))
        ]
        self.values.append(np.mean(outcome, axis=(0, 1, 2)))


@pytest.fixture(scope="module")
def run():
    model, recorder, eager = phased(), Recorder(), Eager()
    scheduler = PhaseScheduler(SCHEDULE, verbose=0)
    history = model.fit(
        TRAINING,
        NO_TARGETS,
        batch_size=4,
        shuffle=False,
        validation_data=(VALIDATION, NO_TARGETS),
        callbacks=[recorder, eager, scheduler],
        verbose=0,
    )
    return model, history.history, recorder, eager.values, scheduler.reports


def test_logs_say_losses_and_accuracy_of_both_sets(run):
    _, history, _, eager, _ = run
    assert history["num_tokens"] == NUM_TOKENS
    reported = np.stack(
        [
            history[f"val_{name}"]
            for name in ("discriminative_loss", "generative_loss", "accuracy")
        ],
        axis=1,
    )
    # float32, ordered differently when compiled
    np.testing.assert_allclose(reported, eager, rtol=1e-4)
    for prefix in ("", "val_"):
        parts = [
            np.array(history[f"{prefix}{name}_loss"])
            for name in ("discriminative", "generative")
        ]
        np.testing.assert_allclose(
            history[f"{prefix}loss"], parts[0] + 10 * parts[1], rtol=1e-4
        )
        accuracy = np.array(history[f"{prefix}accuracy"])
        num_guesses = 8 * np.round(400 / 512 * np.array(NUM_TOKENS))
        # a count over this epoch alone: metrics begin anew
        counts = accuracy * num_guesses
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-3)


def test_only_the_network_of_the_phase_moves(run):
    _, _, recorder, _, reports = run
    assert len(reports) == 3 and all(reports)
    assert not any(report.fresh for report in reports)
    last = {id(state["network"]): state for state in recorder.ends}
    assert len(last) == 3
    for state in last.values():  # as its phase left it
        assert_same_weights(
            weights_of(state["network"]), state["weights"], rtol=0
        )
    for begin, end in zip(recorder.begins, recorder.ends, strict=True):
        for path, before in begin["weights"].items():
            assert np.abs(end["weights"][path] - before).max() > 0, path
    for end, begin in zip(recorder.ends, recorder.begins[1:], strict=False):
        for path, value in end["weights"].items():
            if value.shape == begin["weights"][path].shape:
                np.testing.assert_array_equal(value, begin["weights"][path])


def test_saved_run_goes_on(run, tmp_path):
    model, *_ = run
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert int(to_numpy(loaded.optimizer.iterations)) == 8
    values = [
        m.evaluate(VALIDATION, NO_TARGETS, batch_size=4, verbose=0)
        for m in (model, loaded)
    ]
    np.testing.assert_allclose(*values, rtol=1e-6)
