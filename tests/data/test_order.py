"""Going on in an epoch, and sharing it among machines."""

import numpy as np
import pytest

from keras_c2f.data import AudioPipeline, Augment, Clips
from keras_c2f.layers.log_mel import Frontend

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.once
SMALL = Frontend(sample_rate=4000, num_mel_bins=16)


def make_clips(n):
    rng = np.random.default_rng(0)
    recordings = rng.normal(0, 0.1, (n, 2000)).astype("float32")
    return Clips(recordings, np.arange(n) % 3, "abc")


def make_pipeline(noise=0.1, **options):
    augment = Augment(mixup=0.5, noise=noise)
    pipeline = AudioPipeline(SMALL, 40, 4, augment=augment, **options)
    pipeline.set_phase("pool:2", epoch=5)
    return pipeline


def collect(dataset):
    return [(x.numpy(), y.numpy()) for x, y in dataset]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for pair in zip(found, expected, strict=True):
        for mine, theirs in zip(*pair, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("start", [0, 1, 3, 5])
def test_rest_of_an_epoch(start, training):
    clips = make_clips(22)
    whole = collect(make_pipeline().dataset(clips, training))
    dataset = make_pipeline().dataset(clips, training, start_step=start)
    assert int(dataset.cardinality()) == 6 - start
    assert_same(collect(dataset), whole[start:])


def test_what_is_left_out_is_not_read(monkeypatch):
    clips = make_clips(22)
    pipeline = AudioPipeline(SMALL, 40, 4)
    read = []
    crop = type(pipeline._audio).crop

    def noted(self, audio, index, *options, **more):
        read.append(int(index))
        return crop(self, audio, index, *options, **more)

    monkeypatch.setattr(type(pipeline._audio), "crop", noted)
    collect(pipeline.dataset(clips, start_step=4))
    assert sorted(read) == list(range(16, 22))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_workers_share_the_same_order(count):
    """Worker i has every count-th clip of what one would read alone."""
    clips = make_clips(22)
    alone = collect(make_pipeline(noise=0).dataset(clips, training=True))
    alone = [np.concatenate(part) for part in zip(*alone, strict=True)]
    kept = 22 // count * count
    steps = set()
    for index in range(count):
        context = tf.distribute.InputContext(count, index)
        shard = (context.input_pipeline_id, context.num_input_pipelines)
        pipeline = make_pipeline(noise=0, shard=shard)
        dataset = pipeline.dataset(clips, training=True)
        steps.add(int(dataset.cardinality()))
        mine = collect(dataset)
        assert len(mine) == int(dataset.cardinality())
        mine = [np.concatenate(part) for part in zip(*mine, strict=True)]
        for found, expected in zip(mine, alone, strict=True):
            np.testing.assert_array_equal(found, expected[:kept][index::count])
    assert len(steps) == 1


def test_workers_draw_their_own_noise():
    clips = Clips(np.ones((8, 2000), "float32"), np.zeros(8, int), "ab")
    first, second = (
        collect(make_pipeline(shard=(i, 2)).dataset(clips, training=True))
        for i in range(2)
    )
    for (mine, _), (theirs, _) in zip(first, second, strict=True):
        assert (mine != theirs).mean() > 0.9


def test_every_worker_evaluates_all_clips():
    clips = make_clips(9)
    whole = collect(make_pipeline().dataset(clips))
    for index in range(4):
        pipeline = make_pipeline(shard=(index, 4), pad_batches=True)
        assert_same(collect(pipeline.dataset(clips)), whole)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("outputs", ["compressed", "waveform"])
def test_padded_batches_have_every_clip_once(count, outputs):
    """By a mark in the label; the third clip cannot be read."""
    clips = make_clips(18)
    targets = np.eye(18, dtype="float32")
    audio = [*clips.audio[:2], "missing.wav", *clips.audio[3:]]
    clips = Clips(audio, targets, list(map(str, range(18))))
    found = np.zeros(18)
    for index in range(count):
        pipeline = AudioPipeline(
            *(SMALL, 40, 4),
            shard=(index, count),
            pad_batches=True,
            outputs=outputs,
            on_error="skip",
        )
        dataset = pipeline.dataset(clips, training=True)
        for _ in range(2):  # from files, and what is kept
            batches = [[part.numpy() for part in each] for each in dataset]
            steps = -(-18 // (4 * count))
            assert len(batches) == int(dataset.cardinality()) == steps
            for features, labels, weights in batches:
                assert len(features) == len(labels) == len(weights) == 4
                assert (
                    np.ptp(features[weights == 0], axis=1).max(initial=0) == 0
                )
                found += weights @ labels
        rest = pipeline.dataset(clips, True, start_step=steps - 1)
        assert len(list(rest)) == 1
    expected = np.full(18, 2.0)
    expected[2] = 0
    np.testing.assert_array_equal(found, expected)


def test_padded_batches_are_those_of_before():
    """Up to the padding; with what is drawn for each clip and batch."""
    clips = make_clips(22)
    plain = collect(make_pipeline().dataset(clips, True))
    padded = list(make_pipeline(pad_batches=True).dataset(clips, True))
    assert_same([(x, y) for x, y, _ in padded[:-1]], plain[:-1])
    np.testing.assert_array_equal(padded[-1][1][:2], plain[-1][1])
    np.testing.assert_array_equal(padded[-1][2], [1, 1, 0, 0])


def test_rest_of_a_workers_epoch():
    clips = make_clips(22)
    whole = collect(make_pipeline(shard=(1, 2)).dataset(clips, True))
    rest = make_pipeline(shard=(1, 2)).dataset(clips, True, start_step=2)
    assert_same(collect(rest), whole[2:])


def test_a_distributed_set_is_not_sharded_twice():
    dataset = make_pipeline(shard=(0, 2)).dataset(make_clips(4), True)
    options = dataset.options()
    policy = options.experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.OFF


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0), (0,)])
def test_wrong_shards_are_refused(shard):
    with pytest.raises(ValueError, match="`shard` is this worker's index"):
        make_pipeline(shard=shard)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="6 batches a worker"):
        make_pipeline().dataset(make_clips(22), start_step=6)
    make_pipeline(shard=(0, 2)).dataset(make_clips(9), training=True)
    with pytest.raises(ValueError, match="0 batches a worker"):
        make_pipeline(shard=(0, 2)).dataset(make_clips(1), training=True)
