"""Train a Keras model of your own coarse to fine.

One function from a resolution to a network is all that `PhasedModel` needs.
Here the network is a small one-dimensional convolution net on spectrograms,
with a learned position table that each phase resizes.

Runs in about a minute on two CPU cores, on any backend:

    KERAS_BACKEND=torch python examples/own_model.py

Expected: the validation accuracy ends above 0.9.
"""

import keras
import numpy as np

from keras_c2f import PhasedModel, PhaseScheduler
from keras_c2f.layers import PositionGrid, TimeCompression

FRAMES, MELS = 64, 32


def build_network(resolution):
    """Resolution in, Keras model out; layers are named, so weights match."""
    inputs = keras.Input((FRAMES, MELS), name="log_mel")
    x = TimeCompression(resolution, name="compress")(inputs)
    x = keras.layers.Reshape((x.shape[1], 1, MELS), name="grid")(x)
    x = PositionGrid(name="positions")(x)
    x = keras.layers.Conv2D(
        32, (5, 1), padding="same", activation="relu", name="conv"
    )(x)
    x = keras.layers.GlobalMaxPooling2D(name="pool")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


def make_audio(count, rng):
    """Noise with a ridge that rises, falls or stays: three classes."""
    labels = rng.integers(0, 3, count)
    slope = np.array([-0.3, 0.0, 0.3])[labels][:, None]
    centre = MELS / 2 + slope * (np.arange(FRAMES) - FRAMES / 2)
    distance = np.arange(MELS) - centre[..., None]
    noise = rng.normal(size=distance.shape)
    return (3 * np.exp(-(distance**2) / 4) + noise).astype("float32"), labels


rng = np.random.default_rng(0)
keras.utils.set_random_seed(0)
model = PhasedModel(build_network, "pool:4")
model.compile(
    keras.optimizers.Adam(3e-3),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(
    *make_audio(2000, rng),
    validation_data=make_audio(500, rng),
    callbacks=[PhaseScheduler("pool:4@4, pool:2@2, full@2")],
    verbose=2,
)
