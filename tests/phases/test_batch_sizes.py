"""Phases with batch sizes of their own: every clip once an epoch."""

import keras
import numpy as np
import pytest
from kills import KillIn
from tiny import NUM_FRAMES, NUM_MEL_BINS, clips, phased, to_numpy

from keras_c2f.data import AudioPipeline, Clips
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models import AST, AudioClassifier
from keras_c2f.phases import Phase, PhasedModel, PhaseScheduler, rate_scale
from keras_c2f.phases.learning_rate import FromStep, rescaled

SMALL = Frontend(sample_rate=4000, num_mel_bins=NUM_MEL_BINS)
NUM_CLIPS = 10
SCHEDULE = "pool:4@2 batch=7, pool:2@1, full@1 batch=2"
STEPS = [2, 2, 3, 5]  # of 7, 7, 4 and 2 clips
RATES = [0.4 * 7 / 4, 0.4 * 7 / 4, 0.4, 0.4 * 2 / 4]  # SGD's rule


@keras.saving.register_keras_serializable("test_batch_sizes")
class SeenOnce(keras.metrics.Metric):
    """How many clips, each a class of its own, an epoch had exactly once."""

    def __init__(self, num_clips=NUM_CLIPS, name="seen_once", **options):
        super().__init__(name=name, **options)
        self.counts = self.add_weight(
            shape=(num_clips,), initializer="zeros", name="counts"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.counts.assign_add(keras.ops.sum(y_true, axis=0))

    def result(self):
        return keras.ops.sum(keras.ops.cast(self.counts == 1, "float32"))


def make_pipeline(**options):
    return AudioPipeline(SMALL, NUM_FRAMES, batch_size=4, **options)


def audio(num_clips=NUM_CLIPS):
    """Clips of noise, each of a class of its own."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (num_clips, 1300)).astype("float32")
    names = [str(i) for i in range(num_clips)]
    return Clips(list(noise), np.arange(num_clips), names)


def make_model(optimizer=None, **compiled):
    keras.utils.set_random_seed(0)
    backbone = AST(
        num_frames=NUM_FRAMES,
        num_mel_bins=NUM_MEL_BINS,
        patch_size=(4, 4),
        width=8,
        depth=1,
        num_heads=2,
        name="ast",
    )
    model = PhasedModel(AudioClassifier(backbone, NUM_CLIPS, name="network"))
    model.compile(
        optimizer or keras.optimizers.SGD(0.4),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[SeenOnce()],
        **compiled,
    )
    return model


def fit(model, *callbacks, schedule=SCHEDULE, verbose=0, options=(), **given):
    pipeline = make_pipeline(**dict(options))
    scheduler = PhaseScheduler(schedule, pipeline, verbose)
    rates = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(
            float(to_numpy(model.optimizer.learning_rate))
        )
    )
    history = model.fit(
        pipeline.dataset(audio(), training=True),
        shuffle=False,
        verbose=verbose,
        callbacks=[*callbacks, note, scheduler],
        **given,
    )
    return history.history, rates


def test_every_clip_once_an_epoch_compiled(capsys):
    history, rates = fit(make_model(), verbose=1)
    assert history["seen_once"] == [NUM_CLIPS] * 4
    assert history["steps"] == STEPS
    np.testing.assert_allclose(rates, RATES, rtol=1e-6)
    printed = capsys.readouterr().out
    for line in (
        "7 clips a step, 2 steps an epoch",
        "4 clips a step, 3 steps an epoch",
        "2 clips a step, 5 steps an epoch",
    ):
        assert printed.count(line) == 1
    # Keras' progress bar knows of the change
    for count in STEPS:
        assert f"{count}/{count}" in printed
    assert "seen_once" in printed
    assert "gmacs" not in printed


@pytest.mark.once
# Keras says so of every unknown length
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_bad_files_are_skipped_in_each_phase():
    """Their number is unknown, and so is that of the steps."""
    history, _ = fit(make_model(), options={"on_error": "skip"})
    assert history["seen_once"] == [NUM_CLIPS] * 4
    assert history["steps"] == STEPS


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras takes one there"
)
def test_several_steps_per_execution():
    model = make_model(steps_per_execution=2)
    history, rates = fit(model)
    assert history["seen_once"] == [NUM_CLIPS] * 4
    assert history["steps"] == STEPS
    np.testing.assert_allclose(rates, RATES, rtol=1e-6)


@pytest.mark.parametrize("epoch", [1, 2])
def test_backup_and_restore(epoch, tmp_path):
    """In mid-phase and at a switch."""
    with pytest.raises(KeyboardInterrupt):
        backup = keras.callbacks.BackupAndRestore(tmp_path)
        fit(make_model(), KillIn(epoch), backup)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    history, rates = fit(make_model(), backup)
    assert history["seen_once"] == [NUM_CLIPS] * (4 - epoch)
    assert history["steps"] == STEPS[epoch:]
    np.testing.assert_allclose(rates, RATES[epoch:], rtol=1e-6)


@pytest.mark.parametrize(
    "schedule, epoch",
    [(SCHEDULE, 2), ("pool:4@1, full@2 batch=7 reset", 2)],
)
def test_saved_model_and_initial_epoch(schedule, epoch, tmp_path):
    path = tmp_path / "{epoch}.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(path)
    whole, expected = fit(make_model(), checkpoint, schedule=schedule)
    model = keras.models.load_model(str(path).format(epoch=epoch))
    history, rates = fit(model, schedule=schedule, initial_epoch=epoch)
    assert history["seen_once"] == whole["seen_once"][epoch:]
    # rtol: float32; the same clips in the same order
    np.testing.assert_allclose(history["loss"], whole["loss"][epoch:], 1e-5)
    np.testing.assert_allclose(rates, expected[epoch:], rtol=1e-6)


QUICKLY = {"run_eagerly": True}


@pytest.mark.once
@pytest.mark.parametrize(
    "optimizer, schedule, factors",
    [
        # AdamW's rule: roots of 16 / 4, and of 1 / 4
        ("AdamW", "pool:4@1 batch=16, full@1", [2, 1]),
        ("AdamW", "pool:4@1, full@1 batch=1", [1, 0.5]),
        # a rate of the phase is not scaled, and goes on as before
        ("AdamW", "pool:4@1 batch=16 lr=0.2, full@1", [2, 1]),
        # `reset` returns to what was compiled, for 4 clips
        ("SGD", "pool:4@1 batch=8, pool:2@1 batch=6 reset", [2, 1.5]),
    ],
)
def test_rate_follows_the_batch_size(optimizer, schedule, factors):
    optimizer = getattr(keras.optimizers, optimizer)(0.1)
    _, rates = fit(make_model(optimizer, **QUICKLY), schedule=schedule)
    np.testing.assert_allclose(rates, 0.1 * np.array(factors), rtol=1e-6)


@pytest.mark.once
def test_a_schedule_over_steps_is_scaled():
    decay = keras.optimizers.schedules.PolynomialDecay(0.1, 10, 0.0)
    model = make_model(keras.optimizers.SGD(decay), **QUICKLY)
    _, rates = fit(model, schedule="pool:4@1 batch=5, full@1")
    # after 2 and 2 + 3 steps of 10
    expected = [0.1 * 0.8 * 5 / 4, 0.1 * 0.5]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    of_phase = Phase("pool:4", 1, decay, batch_size=5)
    model = make_model(keras.optimizers.SGD(0.3), **QUICKLY)
    _, rates = fit(model, schedule=[of_phase, Phase("full", 1, decay)])
    # each from its own first step; 3 steps of 4 clips
    np.testing.assert_allclose(rates, [0.1 * 0.8, 0.1 * 0.7], rtol=1e-6)


@pytest.mark.once
def test_scaled_schedule_is_saved():
    decay = keras.optimizers.schedules.PolynomialDecay(0.1, 10, 0.0)
    twice = rescaled(rescaled(decay, 0.5), 4)
    serialize = keras.saving.serialize_keras_object
    loaded = keras.saving.deserialize_keras_object(serialize(twice))
    assert isinstance(loaded, FromStep)
    np.testing.assert_allclose(float(loaded(5)), 2 * 0.05, rtol=1e-6)


@pytest.mark.once
def test_rules():
    sgd = keras.optimizers.SGD(0.1)
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(0.1))
    assert (rate_scale(sgd, 9), rate_scale(scaled, 9)) == (9, 3)
    assert rate_scale("AdamW", 1 / 4) == 0.5


class Batches(keras.utils.PyDataset):
    """Arrays in batches that follow the phases."""

    def __init__(self, inputs, labels, batch_size):
        super().__init__()
        self.inputs, self.labels = inputs, labels
        self.batch_size = self.size = batch_size
        self.lengths = []

    def set_phase(self, resolution, epoch, batch_size=None):
        self.size = batch_size or self.batch_size

    def __len__(self):
        return -(-len(self.inputs) // self.size)

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        self.lengths.append(len(self.inputs[part]))
        return self.inputs[part], self.labels[part]


@pytest.mark.once
def test_a_data_set_that_counts_itself():
    data = Batches(*clips(8), batch_size=4)
    model = phased("adam")
    scheduler = PhaseScheduler("pool:4@1 batch=8, full@2", data, verbose=0)
    history = model.fit(data, callbacks=[scheduler], verbose=0, shuffle=False)
    assert history.history["steps"] == [1, 2, 2]
    assert int(to_numpy(model.optimizer.iterations)) == 5
    # the last ones; on TensorFlow Keras looks at the first beforehand
    assert data.lengths[-5:] == [8, 4, 4, 4, 4]


@pytest.mark.parametrize("follows", [False, True])
def test_data_that_cannot_follow_are_refused(follows):
    data = Batches(*clips(8), batch_size=4) if follows else None
    scheduler = PhaseScheduler("pool:4@1 batch=8, full@2", data, verbose=0)
    with pytest.raises(ValueError, match="and the data do not follow"):
        phased().fit(*clips(8), callbacks=[scheduler], verbose=0)
