"""The maths of `Frontend` once more, as TensorFlow ops for `tf.data`."""

import functools
import math

from keras_c2f.utils.optional import tf


def _traced_once(function):
    """The function as a `tf.function`: sets of one process share its graphs.

    Most of what making a set costs is tracing these.
    """

    @functools.cache  # TensorFlow is not imported before the first call
    def traced():
        return tf.function(function, autograph=False)

    @functools.wraps(function)
    def call(*args, **kwargs):
        return traced()(*args, **kwargs)

    return call


@_traced_once
def log_mel(waveform, frontend, num_frames, shift=1, normalize=True):
    """What `frontend.LogMel` computes, for one clip inside `tf.data`.

    Args:
        waveform: float32 `(samples,)` tensor of any length, at least 1.
        frontend: `Frontend`.
        num_frames: int, frames at full resolution.
        shift: int or int32 scalar tensor, factor on the frame shift; frames
            in between are not computed, see `LogMel`.
        normalize: bool.

    Returns:
        float32 `(num_frames // shift, num_mel_bins)`.
    """
    kept = num_frames // shift
    steps = frontend.steps
    # every which frame is computed, and how many
    stride = 1 if steps.range_below else shift
    computed = num_frames // stride
    waveform = waveform[: frontend.reach(num_frames)]
    if steps.emphasises_clip:
        waveform = waveform[1:] - frontend.preemphasis * waveform[:-1]
    if frontend.edge:
        num_samples = tf.shape(waveform)[0]
        end = num_samples + frontend.frame_length - frontend.edge
        if steps.emphasises_clip:  # which takes all of a single sample
            end = tf.where(num_samples > 0, end, -frontend.edge)
        positions = tf.range(-frontend.edge, end)
        positions = frontend.reflect(positions, num_samples, tf)
        waveform = tf.gather(waveform, positions)
    # Before it is cut into frames, each sample is looked at once. The first of
    # a frame has no other before it, but the window is 0 there.
    emphasised = waveform
    if frontend.preemphasis and not steps.emphasises_clip:
        before = tf.concat([waveform[:1], waveform[:-1]], axis=0)
        emphasised = waveform - frontend.preemphasis * before
    # The step is a constant: with a tensor it would search for a divisor.
    frames = tf.signal.frame(
        emphasised, frontend.frame_length, frontend.frame_shift
    )
    if steps.drops_last:
        frames = frames[:-1]
    frames = frames[::stride][:computed]
    if steps.removes_mean:
        means = _frame_means(waveform, frontend)[::stride][:computed]
        frames -= (1 - frontend.preemphasis) * means
    frames *= tf.constant(frontend.window(), tf.float32)
    spectrum = tf.signal.rfft(frames, [frontend.fft_length])
    power = tf.square(tf.math.real(spectrum))
    power += tf.square(tf.math.imag(spectrum))
    energy = tf.matmul(power, tf.constant(frontend.mel_matrix(), tf.float32))
    mels = tf.math.log(tf.maximum(energy, steps.floor) + steps.offset)
    mels = _pad(steps.log_scale * mels, frontend, computed)
    largest = _largest(mels, frontend)
    if largest is not None:
        mels = _pad(mels[::shift][:kept], frontend, kept)
    return frontend.normalize(mels, tf, largest) if normalize else mels


def _frame_means(waveform, frontend):
    """`(frames, 1)`, the mean of each frame.

    From the means of the blocks that frames have in common.
    """
    length, shift = frontend.frame_length, frontend.frame_shift
    block = math.gcd(length, shift)
    whole = tf.shape(waveform)[0] // block * block
    blocks = tf.reshape(waveform[:whole], [-1, block])
    blocks = tf.reduce_mean(blocks, axis=1)
    blocks = tf.signal.frame(blocks, length // block, shift // block)
    return tf.reduce_mean(blocks, axis=1, keepdims=True)


@_traced_once
def stored_log_mel(mels, frontend, num_frames, shift=1):
    """What `log_mel` computes, from log-mel that was prepared or kept.

    Args:
        mels: `(..., frames, mel_bins)` tensor, not normalised.
        frontend, num_frames, shift: as in `log_mel`.

    Returns:
        float32 `(..., num_frames // shift, num_mel_bins)`.
    """
    kept, batch = num_frames // shift, mels.shape[:-2]
    mels = tf.cast(mels, tf.float32)
    largest = _largest(mels[..., :num_frames, :], frontend)
    mels = _pad(mels[..., ::shift, :][..., :kept, :], frontend, kept, batch)
    return frontend.normalize(mels, tf, largest)


def _largest(mels, frontend):
    """`(..., 1, 1)`, of each clip, or `None` where it decides on nothing."""
    if frontend.steps.range_below is None:
        return None
    largest = tf.reduce_max(mels, axis=(-2, -1), keepdims=True)
    return tf.maximum(largest, frontend.padding)  # of no frame


def _pad(mels, frontend, num_frames, batch=()):
    missing = [[0, 0]] * len(batch)
    missing += [[0, num_frames - tf.shape(mels)[-2]], [0, 0]]
    mels = tf.pad(mels, missing, constant_values=frontend.padding)
    return tf.ensure_shape(mels, [*batch, None, frontend.num_mel_bins])


@_traced_once
def pool(mels, size, use_max):
    """Pools `size` frames into one, by maximum or mean; drops the rest.

    Args:
        mels: `(..., frames, mel_bins)`.
        size: int32 scalar tensor.
        use_max: bool scalar tensor.

    Returns:
        `(..., frames // size, mel_bins)`.
    """

    def pooled():
        *batch, frames, _ = tf.unstack(tf.shape(mels))
        kept = frames // size
        windows = tf.reshape(
            mels[..., : kept * size, :], [*batch, kept, size, mels.shape[-1]]
        )
        return tf.cond(
            use_max,
            lambda: tf.reduce_max(windows, axis=-2),
            lambda: tf.reduce_mean(windows, axis=-2),
        )

    return tf.cond(size > 1, pooled, lambda: mels)
