"""Batches padded with clips of weight 0 against those that end."""

from types import SimpleNamespace

import numpy as np
from tiny import clips, phased, weights_of

from keras_c2f.phases import PhaseScheduler


def fit(inputs, labels, weights=None, pads_batches=False):
    model = phased("sgd", {"weighted_metrics": ["accuracy"]})
    data = SimpleNamespace(set_phase=lambda *_: None, pad_batches=pads_batches)
    history = model.fit(
        inputs,
        labels,
        sample_weight=weights,
        batch_size=4,
        shuffle=False,
        verbose=0,
        callbacks=[PhaseScheduler("full@2", data, verbose=0)],
    ).history
    return history, weights_of(model)


def test_padding_counts_nowhere():
    inputs, labels = clips(6)
    history, weights = fit(inputs, labels)
    padded = np.concatenate([inputs, 0 * inputs[:2]])
    of_clips = np.repeat([1.0, 0.0], [6, 2]).astype("float32")
    found = [
        fit(padded, np.append(labels, [0, 0]), of_clips, pads_batches)
        for pads_batches in (True, False)
    ]
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(found[0][0][name], history[name], rtol=1e-5)
    for path, value in found[0][1].items():
        np.testing.assert_allclose(value, weights[path], atol=1e-6)
    # a user's own weights are Keras' business
    expected = np.array(history["loss"]) * 6 / 8
    np.testing.assert_allclose(found[1][0]["loss"][0], expected[0], rtol=1e-5)
