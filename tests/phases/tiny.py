"""Tiny networks, data and a recording callback for the tests of phases."""

import keras
import numpy as np

from keras_c2f.models import AST, AudioClassifier
from keras_c2f.phases import PhasedModel
from keras_c2f.resolution import Resolution

NUM_FRAMES, NUM_MEL_BINS, NUM_CLASSES = 32, 8, 3
# Compiling takes seconds a phase; most tests are about something else.
QUICK = {"run_eagerly": True}


def classifier(
    resolution="full", dropout=0.0, drop_path=0.0, depth=0, **options
):
    """One or two blocks of width 8; 8 x 2 tokens at full resolution."""
    backbone = AST(
        num_frames=NUM_FRAMES,
        num_mel_bins=NUM_MEL_BINS,
        patch_size=(4, 4),
        stem_channels=options.pop("stem_channels", ()),
        width=8,
        depth=depth or (2 if drop_path else 1),  # the first has rate 0
        num_heads=2,
        mlp_ratio=2.0,
        num_prefix_tokens=1,
        dropout=dropout,
        drop_path=drop_path,
        resolution=resolution,
        kernel_resize=options.pop("kernel_resize", "pi"),
        patchout=options.pop("patchout", 0.0),
        token_merging=options.pop("token_merging", 0.0),
        frozen_blocks=options.pop("frozen_blocks", 0),
        position_resize=options.pop("position_resize", "bilinear"),
        dtype=options.get("dtype"),
        name="ast",
    )
    options = {"input_kind": "log_mel", "name": "classifier", **options}
    return AudioClassifier(backbone, NUM_CLASSES, **options)


def phased(optimizer="adam", compiled=QUICK, seed=0, **options):
    """A compiled `PhasedModel`, the same for the same `seed`."""
    keras.utils.set_random_seed(seed)
    model = PhasedModel(classifier(**options))
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **compiled,
    )
    return model


def clips(count=8, seed=0):
    """Log-mel at full resolution and labels, as arrays."""
    rng = np.random.default_rng(seed)
    log_mel = rng.normal(size=(count, NUM_FRAMES, NUM_MEL_BINS))
    labels = rng.integers(0, NUM_CLASSES, count)
    return log_mel.astype("float32"), labels.astype("int32")


def numpy_loss(network, inputs, labels):
    """Cross-entropy in float64, from logits of an eager call."""

    def call(inputs):
        return keras.ops.cast(network(inputs, training=False), "float32")

    if keras.backend.backend() == "jax":  # which compiles op by op else
        import jax

        call = jax.jit(call)
    logits = keras.ops.convert_to_numpy(call(inputs)).astype("float64")
    logits -= logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(logits).sum(axis=1))
    return np.mean(log_sums - logits[np.arange(len(labels)), labels])


def weights_of(network):
    """`{path: value}`, trainable weights alone."""
    return {
        variable.path: to_numpy(variable)
        for variable in network.trainable_variables
    }


def to_numpy(variable):
    value = keras.ops.convert_to_numpy(variable)
    return np.array(value, "float32" if value.dtype.kind == "V" else None)


class CompressingData:
    """A tf.data set of arrays whose shape follows `set_phase`."""

    def __init__(self, inputs, labels, batch_size):
        self.inputs, self.labels = inputs, labels
        self.batch_size = batch_size
        self.calls = []
        self.resolution = Resolution()

    def set_phase(self, resolution, epoch):
        self.calls.append((str(resolution), epoch))
        self.resolution = resolution

    def compressed(self):
        return self.resolution.compress(self.inputs, np)

    def dataset(self):
        import tensorflow as tf

        def batches():
            inputs = self.compressed()
            for start in range(0, len(inputs), self.batch_size):
                part = slice(start, start + self.batch_size)
                yield inputs[part], self.labels[part]

        dataset = tf.data.Dataset.from_generator(
            batches,
            output_signature=(
                tf.TensorSpec((None, None, NUM_MEL_BINS), tf.float32),
                tf.TensorSpec((None,), tf.int32),
            ),
        )
        steps = -(-len(self.inputs) // self.batch_size)
        return dataset.apply(tf.data.experimental.assert_cardinality(steps))


class Recorder(keras.callbacks.Callback):
    """Notes networks, weights and optimizer around each epoch.

    Args:
        inputs: function without arguments, validation inputs of the moment.
        labels: their labels.
    """

    def __init__(self, inputs=None, labels=None):
        super().__init__()
        self.inputs, self.labels = inputs, labels
        self.begins, self.ends = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.begins.append(self._state())

    def on_epoch_end(self, epoch, logs=None):
        state = self._state()
        state["logs"] = dict(logs)
        if self.inputs is not None:
            state["true_loss"] = numpy_loss(
                self.model.network, self.inputs(), self.labels
            )
        self.ends.append(state)

    def _state(self):
        optimizer = self.model.optimizer
        return {
            "network": self.model.network,
            "weights": weights_of(self.model.network),
            "iterations": int(to_numpy(optimizer.iterations)),
            "num_variables": len(optimizer.variables),
            "learning_rate": float(to_numpy(optimizer.learning_rate)),
        }


def assert_same_weights(first, second, **tolerance):
    assert first.keys() == second.keys()
    for path, value in first.items():
        np.testing.assert_allclose(
            value, second[path], err_msg=path, **tolerance
        )
