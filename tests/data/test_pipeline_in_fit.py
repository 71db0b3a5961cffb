"""What `fit` sees of a pipeline whose phase changes."""

import warnings

import keras
import numpy as np
from test_pipeline import (
    T,
    full_resolution,
    make_clips,
    make_pipeline,
    write_audio,
)

from keras_c2f.data import Clips


class Recorder(keras.layers.Layer):
    """Counts batches by their number of frames, inside the real `fit`."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def build(self, input_shape):
        self.seen = self.add_weight(
            shape=(self.size + 1,), initializer="zeros", trainable=False
        )

    def call(self, inputs, training=False):
        if training:
            frames = keras.ops.shape(inputs)[1]
            hit = keras.ops.equal(keras.ops.arange(self.size + 1), frames)
            self.seen.assign_add(keras.ops.cast(hit, "float32"))
        return inputs


class Switch(keras.callbacks.Callback):
    """Sets the phase of each epoch, and reads what the epoch saw."""

    def __init__(self, pipeline, recorder, phases):
        super().__init__()
        self.pipeline, self.recorder = pipeline, recorder
        self.phases, self.counts = phases, []

    def on_epoch_begin(self, epoch, logs=None):
        self.pipeline.set_phase(self.phases[epoch], epoch)
        self.recorder.seen.assign(np.zeros(T + 1))

    def on_epoch_end(self, epoch, logs=None):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        seen = keras.ops.convert_to_numpy(self.recorder.seen)
        self.counts.append({i: int(n) for i, n in enumerate(seen) if n})


def small_model():
    inputs = keras.Input((None, 16))
    recorder = Recorder(T)
    pooled = keras.layers.GlobalAveragePooling1D()(recorder(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(pooled))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    return model, recorder


def test_no_stale_batch_in_one_fit():
    clips = make_clips(22)
    pipeline = make_pipeline(resolution="pool:4")
    model, recorder = small_model()
    phases = ["pool:4", "shift:2", "shift:2+pool:2:max", "full"]
    switch = Switch(pipeline, recorder, phases)
    history = model.fit(
        pipeline.dataset(clips, training=True),
        validation_data=pipeline.dataset(clips),
        epochs=4,
        callbacks=[switch],
        verbose=0,
        shuffle=False,  # the set does
    )
    assert switch.counts == [{10: 6}, {20: 6}, {10: 6}, {40: 6}]
    by_hand = model.evaluate(full_resolution(clips), clips.targets(), verbose=0)
    np.testing.assert_allclose(
        history.history["val_loss"][-1], by_hand, rtol=1e-4
    )


def test_fit_with_skipped_files(tmp_path):
    pipeline = make_pipeline(batch_size=2, on_error="skip")
    clips = write_audio(tmp_path)
    clips = Clips(clips.audio, clips.labels, "abc")
    model, recorder = small_model()
    switch = Switch(pipeline, recorder, ["pool:2"] * 3)
    with warnings.catch_warnings():  # Keras says so of every unknown length
        warnings.filterwarnings("ignore", "Your input ran out of data")
        model.fit(
            pipeline.dataset(clips, True),
            epochs=3,
            callbacks=[switch],
            verbose=0,
            shuffle=False,  # the set does
        )
    assert switch.counts == [{20: 2}] * 3
