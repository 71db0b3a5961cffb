"""Sets of an `AudioPipeline`: from clips to the batches of each epoch.

`Share` says which clips are read and in which order, `ClipLoader` loads crops
of them or kept log-mel, `Features` compresses, and `make_batches` batches. In
training, clips and batches are augmented on the way.
"""

from keras_c2f.data.augment import augment_batches, augment_waveform
from keras_c2f.data.batches import make_batches
from keras_c2f.data.compression import Features
from keras_c2f.utils.optional import tf

BATCHES_AHEAD = 4


def evaluation_set(pipeline, phase, share, load, crops):
    """Clips in their order, as they are.

    Args:
        pipeline: `AudioPipeline`, for what it was made with.
        phase: `PhaseVariables`.
        share: `Share`, which clips are read.
        load: `ClipLoader`.
        crops: int, windows a clip; several are stacked.

    Returns:
        `tf.data.Dataset` of features and targets.
    """
    batch_size, skips = pipeline.batch_size, pipeline.on_error == "skip"
    steps = share.steps(batch_size)

    def one_epoch(_):
        features = _features(pipeline, phase)

        def one_clip(position, number):
            windows, kept, target = load(number, 0.0)
            made = [
                features.of_clip(each, kept) for each in tf.unstack(windows)
            ]
            made = tf.stack(made) if crops > 1 else made[0]
            return made, target, _weight(windows, kept)

        clips = share.clips(tf.range(len(share.usable)), batch_size)
        batches = make_batches(
            load, clips, batch_size, one_clip, features.log_mel, skips
        )
        return batches.map(_without_weights).prefetch(BATCHES_AHEAD)

    dataset = _set_of(one_epoch, share)
    return dataset if skips else _with_steps(dataset, steps)


def training_set(pipeline, phase, share, load, draw):
    """Clips in another order each epoch, cropped and augmented.

    Args:
        pipeline, phase, load: as in `evaluation_set`.
        share: `Share`, which clips of an order are read here.
        draw: function from an epoch's key to the order of all workers.

    Returns:
        `tf.data.Dataset` of features, targets and, if `share` pads, weights.
    """
    skips = pipeline.on_error == "skip" and not share.pads

    def steps():
        return share.steps(int(phase.batch_size))

    steps()  # refuses what cannot be

    def one_epoch(_):
        key = tf.stack([pipeline.seed, phase.epoch.read_value()])
        features = _features(pipeline, phase)
        batch_size = phase.batch_size.read_value()
        phase.epoch.assign_add(1)
        clips = share.clips(draw(key), batch_size)
        one_clip = _augmented_clip(pipeline, share, load, features, key)
        batches = make_batches(
            load, clips, batch_size, one_clip, features.log_mel, skips
        )
        batches = augment_batches(
            batches,
            pipeline.augment,
            pipeline.frontend,
            features.compression.factor,
            key,
            share,
        )
        if not share.pads:
            batches = batches.map(_without_weights)
        return batches.prefetch(BATCHES_AHEAD)

    dataset = _set_of(one_epoch, share)
    if share.pads:
        return _with_steps(dataset, steps())
    if not skips:
        # of the phase of the moment: an assertion would fix it
        dataset.cardinality = lambda: tf.constant(steps(), tf.int64)
    return dataset


def _augmented_clip(pipeline, share, load, features, key):
    """Function that makes a clip of a training set."""

    def crop(number, seed):
        start = 0.0
        if pipeline.crop == "random":
            start = tf.random.stateless_uniform([], seed)
        return load(number, start)

    def one_clip(position, number):
        # by position: a clip drawn twice is cut and mixed in two ways
        seeds = tf.random.split(tf.random.fold_in(key, position), 5)
        windows, kept, target = crop(number, seeds[0])

        def other_clip():
            other = tf.random.stateless_uniform(
                [], seeds[1], 0, len(share.usable), tf.int32
            )
            windows, _, target = crop(other, seeds[2])
            return windows[0], target

        waveform, target = augment_waveform(
            windows[0], target, other_clip, pipeline.augment, seeds[3:]
        )
        made = features.of_clip(waveform, kept)
        return made, target, _weight(windows, kept)

    return one_clip


def _weight(windows, kept):
    """1 of a clip of which anything was loaded, else 0."""
    size = tf.size(windows) + (0 if kept is None else tf.size(kept))
    return tf.cast(size > 0, tf.float32)


def _without_weights(features, targets, _):
    return features, targets


def _features(pipeline, phase):
    """`Features` at the resolution of the moment, read once an epoch.

    And before its sets are made: TensorFlow fails to fuse a map and a batch
    if a variable that the map reads is read again after it.
    """
    return Features(
        pipeline.frontend,
        pipeline.num_frames,
        phase.compression(),
        pipeline.clip_samples if pipeline.outputs == "waveform" else None,
    )


def _set_of(one_epoch, share):
    """`tf.data.Dataset` of which each iterator is an epoch."""
    options = tf.data.Options()
    # ending an iterator would wait for its tuner, up to seconds an epoch
    options.autotune.enabled = False
    if share.shard != (0, 1):  # or `tf.distribute` would do so once more
        policy = tf.data.experimental.AutoShardPolicy.OFF
        options.experimental_distribute.auto_shard_policy = policy
    # nothing in these functions needs rewriting, which takes a while
    one_epoch = tf.autograph.experimental.do_not_convert(one_epoch)
    epochs = tf.data.Dataset.range(1).flat_map(one_epoch)
    return epochs.with_options(options)


def _with_steps(dataset, steps):
    return dataset.apply(tf.data.experimental.assert_cardinality(steps))
