"""Whisper's encoder through phases: stem, positions, one `fit`."""

import keras
import numpy as np
import pytest
from contract import numpy, randomize
from tiny import clips, numpy_loss, to_numpy
from transformers.models.whisper.modeling_whisper import sinusoids

from keras_c2f.layers import SinePositions, TimeConvolution
from keras_c2f.layers.resizing import interpolation_matrix
from keras_c2f.models import AudioClassifier, WhisperEncoder
from keras_c2f.phases import PhasedModel, PhaseScheduler, transplant

SMALL = {
    "num_frames": 32,
    "num_mel_bins": 8,
    "width": 8,
    "depth": 2,
    "num_heads": 2,
}


@pytest.mark.parametrize("kernel_resize", ["pi", "base"])
def test_longer_kernel_gives_the_tokens_of_stretched_frames(kernel_resize):
    """Three frames, interpolated to nine, keep their token."""
    options = {"stride": 2, "kernel_resize": kernel_resize}
    fine = TimeConvolution(6, **options)
    coarse = TimeConvolution(6, time_factor=3, **options)
    fine.build((None, 12, 4))
    coarse.build((None, 36, 4))
    kernel, bias = randomize(fine).get_weights()
    shape = tuple(coarse.kernel.shape)
    assert shape == ((3 if kernel_resize == "base" else 9), 4, 6)
    if kernel_resize == "pi":
        kernel = coarse.resize_weight(kernel, shape)
    coarse.set_weights([kernel, bias])
    frames = np.random.default_rng(0).normal(size=(2, 3, 4))
    # 3 frames of padding, then the second window: 6 frames on
    stretched = np.einsum("st,btc->bsc", interpolation_matrix(3, 9), frames)
    longer = np.pad(stretched, [[0, 0], [3, 24], [0, 0]])
    # a frame of padding, then the second window: 2 frames on
    short = np.pad(frames, [[0, 0], [1, 8], [0, 0]])
    tokens = [numpy(fine(short)), numpy(coarse(longer))]
    assert tokens[0].shape == tokens[1].shape == (2, 6, 6)
    np.testing.assert_allclose(tokens[1][:, 1], tokens[0][:, 1], atol=1e-5)


def test_table_is_the_published_one():
    layer = SinePositions(1500)
    layer.build((None, 1500, 384))
    np.testing.assert_allclose(
        numpy(layer.table), sinusoids(1500, 384).numpy(), atol=1e-4
    )  # float32 angles up to 1500 there
    assert layer.trainable_weights == []


def test_longer_table_keeps_its_first_rows():
    layer = SinePositions(9)
    rows = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    longer = layer.resize_weight(rows, (9, 6))
    np.testing.assert_array_equal(longer[:5], rows)
    np.testing.assert_allclose(longer[5:], sinusoids(9, 6)[5:], atol=1e-5)
    np.testing.assert_array_equal(layer.resize_weight(rows, (3, 6)), rows[:3])


@pytest.mark.parametrize("num_frames", [32, 33, 49])
@pytest.mark.parametrize("resolution", ["pool:4", "shift:3", "patch:2"])
def test_a_token_has_the_mean_of_its_positions(num_frames, resolution):
    """Also the last one, of fewer positions."""
    fine = WhisperEncoder(**{**SMALL, "num_frames": num_frames})
    coarse = fine.at_resolution(resolution)
    report = transplant(randomize(fine), coarse)
    kernel = [p for p, _, _ in report.resized]
    assert kernel == ["convolution_1/kernel"] * (resolution == "patch:2")
    assert report.fresh == report.dropped == ()
    table = to_numpy(fine.get_layer("positions").table)
    factor = coarse.resolution.factor
    expected = [
        table[first : first + factor].mean(axis=0)
        for first in range(0, factor * coarse.num_tokens, factor)
    ]
    layer = coarse.get_layer("positions")
    added = numpy(layer(np.zeros((1, coarse.num_tokens, 8), "float32")))
    np.testing.assert_allclose(added[0], expected, atol=1e-6)


def test_key_bias_changes_nothing():
    """Whisper's keys have none: any is as good, and its gradient is zero."""
    network = randomize(WhisperEncoder(**SMALL))
    inputs = clips(3)[0]
    before = network.predict(inputs, verbose=0)
    for index in range(2):
        qkv = network.get_layer(f"block_{index}").attention.qkv
        kernel, bias = qkv.get_weights()
        bias[8:16] += 3
        qkv.set_weights([kernel, bias])
    np.testing.assert_allclose(
        network.predict(inputs, verbose=0), before, atol=1e-4
    )


def test_phases_in_one_fit():
    keras.utils.set_random_seed(0)
    network = AudioClassifier(
        WhisperEncoder(**SMALL, frozen_blocks=1),
        3,
        "log_mel",
        pooling="statistics",
    )
    model = PhasedModel(network)
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    inputs, labels = clips()
    frozen = to_numpy(network.backbone.get_layer("block_0").mlp_in.kernel)
    table = to_numpy(network.backbone.get_layer("positions").table)
    scheduler = PhaseScheduler(
        "pool:2+token:2@1, patch:2@1, token:4@1, full@1", verbose=0
    )
    history = model.fit(
        inputs,
        labels,
        batch_size=4,
        validation_data=(inputs, labels),
        callbacks=[scheduler],
        verbose=0,
    ).history
    assert history["num_tokens"] == [4, 8, 4, 16]
    backbone = model.network.backbone
    np.testing.assert_array_equal(
        to_numpy(backbone.get_layer("block_0").mlp_in.kernel), frozen
    )
    np.testing.assert_array_equal(
        to_numpy(backbone.get_layer("positions").table), table
    )
    np.testing.assert_allclose(
        history["val_loss"][-1],
        numpy_loss(model.network, inputs, labels),
        rtol=1e-4,
    )


def test_too_short_a_clip_is_refused():
    with pytest.raises(ValueError, match="1 frames are too few.*over 6"):
        WhisperEncoder(**{**SMALL, "num_frames": 1}, resolution="patch:2")
