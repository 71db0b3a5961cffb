"""Augmentations of AST, run inside `tf.data` with stateless seeds.

Every random number but those of `layers` follows from the pipeline's seed and
the epoch, mix-up and gain further from the clip's place in it, masks, noise and
roll from its batch's: a resumed run repeats them, another `batch_size` or
`shard` draws others. Times are full-resolution frames and shrink with the
resolution.

Reference: Gong, Chung, Glass, "AST: Audio Spectrogram Transformer", 2021,
section 2.2 (mix-up, SpecAugment), and `src/dataloader.py` of its repository
(noise, roll; there only together). Gain is PaSST's, `pydub_augment` in
`audioset/dataset.py` of its repository.
"""

import dataclasses
import sys
from collections.abc import Callable, Sequence

from keras_c2f.data.batches import BATCHES_AT_ONCE
from keras_c2f.utils.optional import tf

MIXUP_BETA = 10.0  # lambda ~ Beta(10, 10): close to one half


@dataclasses.dataclass(frozen=True)
class Augment:
    """What to do to training clips; everything is off by default.

    In this order: on the waveform mix-up and gain; on the normalised log-mel
    masks, noise and roll; on the batch `layers`.

    Args:
        mixup: float, share of clips that are mixed with another one, as
            waveforms, `lambda ~ Beta(10, 10)`; targets are mixed alike. AST
            on AudioSet: 0.5.
        gain_db: float, loudness changes by up to this much either way, dB.
            PaSST: 7, in whole decibels; here any fraction. The front end
            keeps absolute loudness.
        time_mask: int, up to so many frames (less one) become padding. AST on
            AudioSet: 192.
        freq_mask: int, the same for mel bins. AST on AudioSet: 48.
        noise: float, uniform noise of up to this much on the normalised
            log-mel, its scale drawn per clip. AST on Speech Commands: 0.1.
        roll_frames: int, the frames are rolled by up to this many either
            way (one less forwards). AST on Speech Commands: 10.
        layers: Keras layers or callables for whole batches. Keras' (and
            keras-cv's) image augmentations are given a dict of `images`
            `(batch, time, mel, 1)` and `labels` `(batch, num_classes)`, any
            other callable the images alone. They run eagerly on the Keras
            backend, one batch at a time, and their seeds are their own.

    Raises:
        ValueError: if a number is negative or `mixup` above 1.

    Example:
        >>> Augment(mixup=0.5, time_mask=192, freq_mask=48).on_spectrogram
        True
    """

    mixup: float = 0.0
    gain_db: float = 0.0
    time_mask: int = 0
    freq_mask: int = 0
    noise: float = 0.0
    roll_frames: int = 0
    layers: Sequence[Callable] = ()

    def __post_init__(self):
        object.__setattr__(self, "layers", tuple(self.layers))
        for field in dataclasses.fields(self)[:-1]:
            value = getattr(self, field.name)
            most = 1 if field.name == "mixup" else sys.float_info.max
            if not 0 <= value <= most:
                raise ValueError(
                    f"`{field.name}` is at least 0 (0 is off), and a share "
                    f"like `mixup` at most 1. Received: {field.name}={value}."
                )

    @property
    def on_spectrogram(self) -> bool:
        """bool, whether anything needs the log-mel rather than the waveform."""
        return bool(
            self.time_mask
            or self.freq_mask
            or self.noise
            or self.roll_frames
            or self.layers
        )


def augment_waveform(waveform, target, load_other, augment, seeds):
    """Mix-up and gain of one clip.

    Args:
        waveform, target, load_other: as in `mix_up`.
        augment: `Augment`.
        seeds: int32 `(2, 2)` tensor.

    Returns:
        waveform, target.
    """
    if augment.mixup:
        waveform, target = mix_up(
            waveform, target, load_other, augment.mixup, seeds[0]
        )
    if augment.gain_db:
        waveform = gain(waveform, augment.gain_db, seeds[1])
    return waveform, target


def mix_up(waveform, target, load_other, share, seed):
    """Mixes a clip with another: AST's mix-up on waveforms.

    Args:
        waveform: `(samples,)`.
        target: `(num_classes,)`.
        load_other: function returning another waveform and target. The
            waveform is cut or zero-padded to the length of the first; an
            empty one (unreadable) leaves the first as it is.
        share: float, how often to mix.
        seed: int32 `(2,)` tensor.

    Returns:
        waveform, target.
    """
    when, first, second = tf.unstack(tf.random.split(seed, 3))

    def mixed():
        other, other_target = load_other()
        length = tf.shape(waveform)[0]
        found = tf.shape(other)[0] > 0
        other -= tf.math.divide_no_nan(
            tf.reduce_sum(other), tf.cast(tf.shape(other)[0], tf.float32)
        )
        other = tf.pad(other, [[0, length]])[:length]
        # Beta(a, a) from two gamma variates
        a = tf.random.stateless_gamma([], first, MIXUP_BETA)
        b = tf.random.stateless_gamma([], second, MIXUP_BETA)
        ratio = tf.where(found, a / (a + b), 1.0)
        blend = waveform - tf.reduce_mean(waveform)
        blend = ratio * blend + (1 - ratio) * other
        return blend, ratio * target + (1 - ratio) * other_target

    mix = tf.random.stateless_uniform([], when) < share
    return tf.cond(mix, mixed, lambda: (waveform, target))


def gain(waveform, gain_db, seed):
    """`(samples,)`, louder or softer by up to `gain_db`."""
    decibels = tf.random.stateless_uniform([], seed, -gain_db, gain_db)
    return waveform * tf.pow(10.0, decibels / 20)


def mask(mels, axis, width, fill, seed):
    """Sets up to `width` neighbouring frames or bins of each clip to `fill`.

    Width and start are drawn as in torchaudio's `TimeMasking` (AST's):
    `width * U(0, 1)`, then `(size - width) * U(0, 1)`, both rounded down.

    Args:
        mels: `(batch, frames, mel_bins)`.
        axis: 1 for frames, 2 for mel bins.
        width: float or scalar tensor, in units of that axis.
        fill: float.
        seed: int32 `(2,)` tensor.
    """
    batch, size = tf.shape(mels)[0], tf.shape(mels)[axis]
    # clips first: a smaller batch draws the same for those it has
    draws = tf.random.stateless_uniform([batch, 2], seed)
    width = tf.minimum(draws[:, :1] * width, tf.cast(size, tf.float32))
    start = draws[:, 1:] * (tf.cast(size, tf.float32) - width)
    width, start = tf.cast(width, tf.int32), tf.cast(start, tf.int32)
    position = tf.range(size)
    hidden = (position >= start) & (position < start + width)
    return tf.where(tf.expand_dims(hidden, 3 - axis), fill, mels)


def roll(mels, limit, seed):
    """Rolls the frames of each clip.

    Args:
        mels: `(batch, frames, mel_bins)`.
        limit: float or scalar tensor, frames: from `-limit` to `limit - 1`, as
            in AST.
        seed: int32 `(2,)` tensor.
    """
    batch, frames, _ = tf.unstack(tf.shape(mels))
    draws = tf.random.stateless_uniform([batch, 1], seed, -1, 1)
    forwards = tf.cast(tf.floor(draws * limit), tf.int32)
    sources = (tf.range(frames) - forwards) % frames
    return tf.gather(mels, sources, axis=1, batch_dims=1)


def augment_batches(batches, augment, frontend, factor, key, share):
    """Masks, noise, roll and layers of `augment`, as far as wanted.

    Args:
        batches: `tf.data.Dataset` of normalised log-mel, targets and weights.
        augment: `Augment`.
        frontend: `Frontend`.
        factor: int32 scalar tensor, full-resolution frames per frame.
        key: int32 `(2,)` tensor, the epoch's.
        share: `Share`; each batch of each worker is drawn for by itself.
    """
    if not augment.on_spectrogram:
        return batches
    index, count = share.shard
    key = tf.random.fold_in(key, -1)  # no clip's

    def augmented(step, batch):
        mels, targets, weights = batch
        seed = tf.random.fold_in(key, step * count + index)
        mels = augment_log_mel(mels, augment, frontend.pad_value, factor, seed)
        mels = tf.ensure_shape(mels, [None, None, frontend.num_mel_bins])
        if augment.layers:
            mels, targets = augment_batch(mels, targets, augment.layers)
        return mels, targets, weights

    return batches.enumerate(share.start_step).map(
        augmented,
        1 if augment.layers else BATCHES_AT_ONCE,  # layers have state
        deterministic=True,
    )


def augment_log_mel(mels, augment, fill, factor, seed):
    """Masks, noise and roll of a batch, drawn for each clip.

    Args:
        mels: normalised, `(batch, frames, mel_bins)`.
        augment: `Augment`.
        fill: float, the value of padding.
        factor: int32 scalar tensor, full-resolution frames per frame.
        seed: int32 `(2,)` tensor.
    """
    seeds = tf.unstack(tf.random.split(seed, 5))
    factor = tf.cast(factor, tf.float32)
    if augment.freq_mask:
        mels = mask(mels, 2, float(augment.freq_mask), fill, seeds[0])
    if augment.time_mask:
        mels = mask(mels, 1, augment.time_mask / factor, fill, seeds[1])
    if augment.noise:
        batch = tf.shape(mels)[0]
        scale = tf.random.stateless_uniform([batch, 1, 1], seeds[2])
        noise = tf.random.stateless_uniform(tf.shape(mels), seeds[3])
        mels += augment.noise * scale * noise
    if augment.roll_frames:
        mels = roll(mels, augment.roll_frames / factor, seeds[4])
    return mels


def augment_batch(mels, targets, layers):
    """Applies `Augment.layers` to a batch; they run eagerly, in NumPy.

    Inside a `tf.data` graph, Keras' CutMix and RandomErasing fail on an
    unknown time axis, and a layer of `keras.ops` on any other backend.

    Args:
        mels: `(batch, frames, mel_bins)`.
        targets: `(batch, num_classes)`.
        layers: see `Augment`.

    Returns:
        mels, targets of the same shapes.
    """

    import keras  # seconds, and only here

    def apply(mels, targets):
        images = mels[..., None]
        for layer in layers:
            options = {}
            if isinstance(layer, keras.layers.Layer):
                options = {"training": True}
            if takes_labels(layer):
                batch = {"images": images, "labels": targets}
                batch = layer(batch, **options)
                images, targets = batch["images"], batch["labels"]
            else:
                images = layer(images, **options)
        images = keras.ops.convert_to_numpy(images).astype("float32")
        targets = keras.ops.convert_to_numpy(targets).astype("float32")
        return images[..., 0], targets

    batch = tf.numpy_function(apply, [mels, targets], [tf.float32] * 2)
    return tuple(
        tf.ensure_shape(new, old.shape)
        for new, old in zip(batch, (mels, targets), strict=True)
    )


def takes_labels(layer):
    """Whether a layer augments images and labels together, as a dict."""
    names = ("transform_labels", "augment_label")  # Keras, keras-cv
    return any(hasattr(layer, name) for name in names)
