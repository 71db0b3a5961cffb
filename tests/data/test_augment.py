import keras
import numpy as np
import pytest
from scipy import stats

from keras_c2f.data import AudioPipeline, Augment, Clips
from keras_c2f.data import augment as augmentation
from keras_c2f.layers.log_mel import Frontend

tf = pytest.importorskip("tensorflow")
once = pytest.mark.once  # but for those with layers
SMALL = Frontend(sample_rate=4000, num_mel_bins=16)
T = 40
PAD = SMALL.pad_value


def seeds(n):
    return [tf.constant([7, i]) for i in range(n)]


def noise_clips(n=8, samples=5000):
    recordings = np.random.default_rng(0).normal(0, 0.1, (n, samples))
    return Clips(recordings.astype("float32"), np.arange(n) % 2, "ab")


def training_batches(clips, augment, batch_size=8, **options):
    pipeline = AudioPipeline(SMALL, T, batch_size, augment=augment, **options)
    dataset = pipeline.dataset(clips, training=True)
    batches = [(x.numpy(), y.numpy()) for x, y in dataset]
    return tuple(np.concatenate(part) for part in zip(*batches, strict=True))


@once
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
    assert stats.kstest(ratios, stats.beta(10, 10).cdf).pvalue > 1e-3
    assert 0.6 < np.var(ratios) * 84 < 1.4  # four standard errors


@once
def test_mix_up_of_several_labels():
    """A label of both clips stays whole, as in AST's dataloader."""
    first, second = tf.constant([1.0, 1.0, 0.0]), tf.constant([0.0, 1.0, 1.0])
    _, target = augmentation.mix_up(
        tf.ones(4), first, lambda: (tf.ones(4), second), 1.0, seeds(1)[0]
    )
    ratio = float(target[0])
    assert 0 < ratio < 1
    np.testing.assert_allclose(target, [ratio, 1, 1 - ratio], rtol=1e-6)


@once
def test_partners_are_drawn_uniformly():
    """Over all clips, the clip itself among them, as AST's `randint`."""
    clips = Clips(np.ones((8, 50)), np.arange(8), "abcdefgh")
    pipeline = AudioPipeline(
        SMALL, T, 8, outputs="waveform", augment=Augment(mixup=1.0)
    )
    dataset = pipeline.dataset(clips, training=True)
    targets = np.concatenate([y for _ in range(50) for _, y in dataset])
    pairs = targets > 0
    alone = pairs.sum(1) == 1  # mixed with itself
    assert stats.binomtest(int(alone.sum()), 400, 1 / 8).pvalue > 1e-3
    partners = (
        pairs.sum(0) - 50 + np.bincount(targets[alone].argmax(1), None, 8)
    )
    assert partners.sum() == 400
    assert stats.chisquare(partners).pvalue > 1e-3


@once
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


@once
def test_gain_is_uniform_in_decibels():
    factors = [
        float(augmentation.gain(tf.ones(1), 6.0, seed)[0])
        for seed in seeds(300)
    ]
    decibels = 20 * np.log10(factors)
    assert stats.kstest(decibels, stats.uniform(-6, 12).cdf).pvalue > 1e-3


@once
@pytest.mark.parametrize("axis, size", [(1, 30), (2, 20)])
def test_masks_are_one_block_of_padding(axis, size):
    widths, starts = [], []
    masked = augmentation.mask(tf.ones((200, 30, 20)), axis, 8.0, PAD, [7, 0])
    for clip in masked.numpy():
        hidden = np.moveaxis(clip == np.float32(PAD), axis - 1, 0)
        assert (hidden.all(1) == hidden.any(1)).all()
        positions = np.flatnonzero(hidden[:, 0])
        widths.append(len(positions))
        if len(positions):
            assert positions[-1] - positions[0] == len(positions) - 1
            starts.append(positions[0])
    assert set(widths) == set(range(8))  # 8 itself never, as in torchaudio
    assert min(starts) == 0
    assert max(starts) > size - 9


@once
@pytest.mark.parametrize("axis, size", [(1, 30), (2, 20)])
def test_masks_are_distributed_as_in_torchaudio(axis, size):
    """Its `mask_along_axis`, restated: both draws are rounded down late."""
    rng = np.random.default_rng(0)
    wide, n = 17.0, 1500
    width = rng.random(100_000) * wide
    start = (rng.random(100_000) * (size - width)).astype(int)
    positions = np.arange(size)
    end = start + width.astype(int)
    expected = (positions >= start[:, None]) & (positions < end[:, None])
    masked = augmentation.mask(tf.ones((n, 30, 20)), axis, wide, 0.0, [7, 0])
    hidden = 1 - masked.numpy().max(axis=3 - axis)
    share = expected.mean(axis=0)
    error = np.sqrt(share * (1 - share) / n)
    assert (np.abs(hidden.mean(axis=0) - share) <= 4 * error).all()
    widths = np.bincount(hidden.sum(1).astype(int), minlength=17)
    assert stats.chisquare(widths).pvalue > 1e-3  # 0 to 16, each as often


@once
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


@once
@pytest.mark.parametrize("text, factor", [("full", 1), ("pool:4", 4)])
def test_roll_shrinks_with_the_resolution(text, factor):
    silence_then_click = np.zeros((256, SMALL.num_samples(T)), "float32")
    middle = SMALL.num_samples(T) // 2
    silence_then_click[:, middle : middle + 8] = 1
    clips = Clips(silence_then_click, [0, 1] * 128, "ab")
    still, _ = training_batches(clips, Augment(), resolution=text)
    rolled, _ = training_batches(clips, Augment(roll_frames=8), resolution=text)
    moves = rolled.max(2).argmax(1) - still.max(2).argmax(1)
    # as AST's `randint(-10, 10)`, which leaves its upper end out
    assert moves.min() == -8 // factor
    assert moves.max() == 8 // factor - 1
    counts = np.bincount(moves - moves.min())
    assert stats.chisquare(counts).pvalue > 1e-3


@once
def test_noise_is_positive_and_scaled_per_clip():
    """AST's: uniform noise, times a uniform number per clip, over ten."""
    clips = Clips(np.zeros((200, 5000), "float32"), [0, 1] * 100, "ab")
    quiet, _ = training_batches(clips, Augment())
    noisy, _ = training_batches(clips, Augment(noise=0.1))
    added = 10 * (noisy - quiet)
    assert added.min() >= -1e-5  # a difference of float32
    scales = added.max((1, 2))  # of 640 values: near the scale itself
    assert stats.kstest(scales, "uniform").pvalue > 1e-3
    loudest = scales.argmax()
    one_clip = added[loudest].ravel() / scales[loudest]
    assert stats.kstest(one_clip, "uniform").pvalue > 1e-3


@once
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


@once
@pytest.mark.parametrize(
    "settings", [{"mixup": 1.5}, {"gain_db": -1}, {"time_mask": -2}]
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))}"):
        Augment(**settings)
