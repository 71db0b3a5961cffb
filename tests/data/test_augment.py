import keras
import numpy as np
import pytest

from keras_c2f.data import AudioPipeline, Augment, Clips
from keras_c2f.data import augment as augmentation
from keras_c2f.frontend import Frontend

tf = pytest.importorskip("tensorflow")
SMALL = Frontend(sample_rate=4000, num_mel_bins=16)
T = 40
PAD = SMALL.pad_value


def seeds(n):
    return [tf.constant([7, i]) for i in range(n)]


def noise_clips(n=8, samples=5000):
    sounds = np.random.default_rng(0).normal(0, 0.1, (n, samples))
    return Clips(sounds.astype("float32"), np.arange(n) % 2, "ab")


def training_batches(clips, augment, batch_size=8, **options):
    pipeline = AudioPipeline(SMALL, T, batch_size, augment=augment, **options)
    dataset = pipeline.dataset(clips, training=True)
    batches = [(x.numpy(), y.numpy()) for x, y in dataset]
    return tuple(np.concatenate(part) for part in zip(*batches, strict=True))


def test_mix_up_blends_waveforms_and_targets():
    first, second = np.arange(5.0), np.array([3.0, 9.0, 6.0])
    targets = np.eye(2, dtype="float32")
    ratios = []
    for seed in seeds(200):
        mixed, target = augmentation.mix_up(
            tf.constant(first, tf.float32),
            targets[0],
            lambda: (tf.constant(second, tf.float32), targets[1]),
            1.0,
            seed,
        )
        ratio = float(target[0])
        other = np.append(second - second.mean(), [0, 0])
        expected = ratio * (first - first.mean()) + (1 - ratio) * other
        np.testing.assert_allclose(mixed, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(float(target[1]), 1 - ratio, rtol=1e-5)
        ratios.append(ratio)
    # Beta(10, 10): mean 1/2, variance 1/84; bounds of four standard errors
    assert abs(np.mean(ratios) - 0.5) < 4 * 84**-0.5 * 200**-0.5
    assert 0.6 < np.var(ratios) * 84 < 1.4


def test_mix_up_leaves_a_share_alone_and_survives_a_bad_partner():
    waveform, target = tf.range(5.0), tf.constant([1.0, 0.0])
    other = (tf.ones(3), tf.constant([0.0, 1.0]))
    mixed = [
        augmentation.mix_up(waveform, target, lambda: other, 0.3, seed)[1][1]
        > 0
        for seed in seeds(300)
    ]
    assert 0.2 < np.mean(mixed) < 0.4
    bad = (tf.zeros(0), tf.constant([0.0, 1.0]))
    alone, same = augmentation.mix_up(
        waveform, target, lambda: bad, 1.0, seeds(1)[0]
    )
    np.testing.assert_allclose(alone, waveform - 2, atol=1e-6)
    np.testing.assert_array_equal(same, target)


def test_gain_is_uniform_in_decibels():
    factors = [
        float(augmentation.gain(tf.ones(1), 6.0, seed)[0])
        for seed in seeds(300)
    ]
    decibels = 20 * np.log10(factors)
    assert -6 <= decibels.min() < -5.5
    assert 5.5 < decibels.max() <= 6
    assert abs(decibels.mean()) < 4 * (12 / 12**0.5) * 300**-0.5


@pytest.mark.parametrize("axis, size", [(0, 30), (1, 20)])
def test_masks_are_one_block_of_padding(axis, size):
    widths, starts = [], []
    for seed in seeds(200):
        masked = augmentation.mask(tf.ones((30, 20)), axis, 8.0, PAD, seed)
        hidden = np.moveaxis(masked.numpy() == np.float32(PAD), axis, 0)
        assert (hidden.all(1) == hidden.any(1)).all()
        places = np.flatnonzero(hidden[:, 0])
        widths.append(len(places))
        if len(places):
            assert places[-1] - places[0] == len(places) - 1
            starts.append(places[0])
    assert set(widths) == set(range(8))  # 8 itself never, as in torchaudio
    assert min(starts) == 0
    assert max(starts) > size - 9


@pytest.mark.parametrize("text, factor", [("full", 1), ("shift:2+pool:2", 4)])
def test_time_parameters_shrink_with_the_resolution(text, factor):
    clips = noise_clips(64)
    mels, _ = training_batches(
        clips, Augment(time_mask=24, freq_mask=5), resolution=text
    )
    hidden = np.isclose(mels, PAD)
    width = hidden.all(2).sum(1)
    assert width.max() in (24 // factor - 1, 24 // factor - 2)
    assert hidden.all(1).sum(1).max() == 4  # mel bins do not get fewer


@pytest.mark.parametrize("text, factor", [("full", 1), ("pool:4", 4)])
def test_roll_shrinks_with_the_resolution(text, factor):
    silence_then_click = np.zeros((64, SMALL.num_samples(T)), "float32")
    middle = SMALL.num_samples(T) // 2
    silence_then_click[:, middle : middle + 8] = 1
    clips = Clips(silence_then_click, [0, 1] * 32, "ab")
    still, _ = training_batches(clips, Augment(), resolution=text)
    rolled, _ = training_batches(clips, Augment(roll_frames=8), resolution=text)
    moves = rolled.max(2).argmax(1) - still.max(2).argmax(1)
    assert moves.min() == -8 // factor
    assert moves.max() == 8 // factor


def test_noise_is_positive_and_scaled_per_clip():
    clips = Clips(np.zeros((32, 5000), "float32"), [0, 1] * 16, "ab")
    quiet, _ = training_batches(clips, Augment())
    noisy, _ = training_batches(clips, Augment(noise=0.1))
    added = noisy - quiet
    assert added.min() >= 0
    assert added.max() <= 0.1
    assert np.ptp(added.max((1, 2))) > 0.05


def test_validation_is_not_augmented():
    clips = noise_clips()
    everything = Augment(1.0, 6.0, 20, 8, 0.5, 10)
    plain = AudioPipeline(SMALL, T, 8).dataset(clips)
    other = AudioPipeline(SMALL, T, 8, augment=everything).dataset(clips)
    for mine, reference in zip(
        next(iter(other)), next(iter(plain)), strict=True
    ):
        np.testing.assert_array_equal(mine, reference)


# Keras' MixUp asks for int64 on JAX.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning")
def test_keras_layers_that_take_labels():
    clips = noise_clips()
    plain, one_hot = training_batches(clips, Augment())
    for layer in (keras.layers.MixUp(seed=0), keras.layers.CutMix(seed=0)):
        mels, targets = training_batches(clips, Augment(layers=[layer]))
        assert mels.shape == plain.shape
        assert not np.allclose(mels, plain)
        assert not np.allclose(targets, one_hot)
        np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-5)


def test_keras_layers_on_images_alone():
    clips = noise_clips()
    plain, one_hot = training_batches(clips, Augment())
    erasing = keras.layers.RandomErasing(factor=1.0, fill_value=0, seed=0)
    mels, targets = training_batches(clips, Augment(layers=[erasing]))
    assert (mels == 0).any()
    np.testing.assert_allclose(mels[mels != 0], plain[mels != 0], rtol=1e-6)
    np.testing.assert_array_equal(targets, one_hot)


def test_callables_are_applied_in_order():
    clips = noise_clips()
    plain, _ = training_batches(clips, Augment())
    layers = [lambda images: images + 1, lambda images: images * 2]
    mels, _ = training_batches(clips, Augment(layers=layers))
    np.testing.assert_allclose(mels, (plain + 1) * 2, rtol=1e-5)


class Halve(keras.layers.Layer):
    """A layer as users write them, with `keras.ops`."""

    def call(self, inputs):
        return keras.ops.multiply(inputs, 0.5)


def test_own_layer_runs_on_every_backend():
    clips = noise_clips()
    plain, _ = training_batches(clips, Augment())
    mels, _ = training_batches(clips, Augment(layers=[Halve()]))
    np.testing.assert_allclose(mels, plain / 2, rtol=1e-6)


def test_keras_cv_layers():
    keras_cv = pytest.importorskip("keras_cv")
    cutout = keras_cv.layers.RandomCutout(0.5, 0.5)
    mels, _ = training_batches(noise_clips(), Augment(layers=[cutout]))
    assert (mels == 0).any()


@pytest.mark.parametrize(
    "settings", [{"mixup": 1.5}, {"gain_db": -1}, {"time_mask": -2}]
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))}"):
        Augment(**settings)
