import shutil

import keras
import numpy as np
import pytest

from keras_c2f.data import AudioPipeline, Augment, Clips, LabelSets
from keras_c2f.data.cache import ArrayCache
from keras_c2f.data.loading import ClipLoader
from keras_c2f.layers.log_mel import Frontend, LogMel
from keras_c2f.resolution import Resolution

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.once
SMALL = Frontend(sample_rate=4000, num_mel_bins=16)
T = 40


def make_clips(n=10, seconds=0.3):
    """Clips of different lengths; the label is the index modulo 3."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(int(2000 * seconds), int(6000 * seconds), n)
    recordings = [
        rng.normal(0, 0.1, size).astype("float32") for size in lengths
    ]
    return Clips(recordings, np.arange(n) % 3, "abc")


def make_pipeline(batch_size=4, **options):
    return AudioPipeline(SMALL, T, batch_size, **options)


def collect(dataset):
    batches = [(x.numpy(), y.numpy()) for x, y in dataset]
    return tuple(np.concatenate(part) for part in zip(*batches, strict=True))


def full_resolution(clips):
    layer = LogMel(SMALL, T)
    return np.concatenate(
        [
            keras.ops.convert_to_numpy(layer(audio[None]))
            for audio in clips.audio
        ]
    )


@pytest.mark.parametrize(
    "text",
    [
        "full",
        "shift:3",
        "pool:3",
        "pool:2:max",
        "patch:2",
        "token:2",
        "shift:2+pool:3",
    ],
)
def test_equals_compressing_the_full_resolution(text):
    clips = make_clips()
    resolution = Resolution.parse(text)
    features, targets = collect(make_pipeline(resolution=text).dataset(clips))
    expected = resolution.compress(full_resolution(clips), np)
    np.testing.assert_allclose(features, expected, atol=2e-3)
    assert features.dtype == targets.dtype == "float32"
    np.testing.assert_array_equal(targets, clips.targets())


def test_log_mel_stays_at_full_resolution():
    clips = make_clips()
    pipeline = make_pipeline(outputs="log_mel", resolution="pool:4")
    features, _ = collect(pipeline.dataset(clips))
    np.testing.assert_allclose(features, full_resolution(clips), atol=2e-3)


def test_waveforms_are_cut_and_padded():
    clips = make_clips()
    pipeline = make_pipeline(outputs="waveform", clip_seconds=0.2)
    features, _ = collect(pipeline.dataset(clips))
    assert features.shape == (10, 800)
    for row, audio in zip(features, clips.audio, strict=True):
        size = min(800, len(audio))
        np.testing.assert_array_equal(row[:size], audio[:size])
        assert not row[size:].any()


@pytest.mark.parametrize("sparse", [False, True])
def test_multi_hot_targets(sparse):
    expected = np.eye(5, dtype="float32")[:, :4]
    labels = LabelSets.of([[0], [1], [2], [3], []]) if sparse else expected
    clips = Clips(np.ones((5, 500)), labels, "abcd")
    _, targets = collect(make_pipeline().dataset(clips))
    np.testing.assert_array_equal(targets, expected)


def test_time_axis_is_unknown_and_steps_are_known():
    clips = make_clips()
    dataset = make_pipeline().dataset(clips, training=True)
    assert dataset.element_spec[0].shape.as_list() == [None, None, 16]
    assert dataset.element_spec[1].shape.as_list() == [None, 3]
    assert int(dataset.cardinality()) == 3
    assert [len(x) for x, _ in dataset] == [4, 4, 2]
    waveforms = make_pipeline(outputs="waveform").dataset(clips)
    assert waveforms.element_spec[0].shape.as_list() == [None, None]


def test_each_epoch_has_every_clip_in_another_order():
    clips = make_clips()
    pipeline = make_pipeline()
    dataset = pipeline.dataset(clips, training=True)
    reference = full_resolution(clips)
    orders = []
    for _ in range(3):
        features, targets = collect(dataset)
        distance = np.abs(features[:, None] - reference[None]).mean((2, 3))
        order = distance.argmin(1).tolist()
        assert sorted(order) == list(range(10))
        np.testing.assert_array_equal(targets, clips.targets()[order])
        orders.append(order)
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_iterator_has_no_tuner_to_wait_for():
    """Ending one took up to seconds in each epoch."""
    dataset = make_pipeline().dataset(make_clips())
    assert dataset.options().autotune.enabled is False


def test_order_follows_from_seed_and_epoch():
    clips = make_clips(seconds=1)
    augment = Augment(mixup=0.5, gain_db=6, noise=0.1, time_mask=9)

    def epoch(number, seed=0):
        pipeline = make_pipeline(seed=seed, augment=augment)
        pipeline.set_phase("shift:2", number)
        return collect(pipeline.dataset(clips, training=True))[0]

    np.testing.assert_array_equal(epoch(3), epoch(3))
    assert not np.array_equal(epoch(3), epoch(4))
    assert not np.array_equal(epoch(3), epoch(3, seed=1))
    pipeline = make_pipeline(augment=augment)
    pipeline.set_phase("shift:2", 3)
    dataset = pipeline.dataset(clips, training=True)
    np.testing.assert_array_equal(collect(dataset)[0], epoch(3))
    np.testing.assert_array_equal(collect(dataset)[0], epoch(4))
    collect(pipeline.dataset(clips))  # nor does validation
    np.testing.assert_array_equal(collect(dataset)[0], epoch(5))


def test_crops_are_random_in_training_only():
    ramp = np.linspace(0, 1, 8000, dtype="float32")
    clips = Clips([ramp] * 6, [0, 1] * 3, "ab")
    pipeline = make_pipeline(outputs="waveform", clip_seconds=0.5)
    features, _ = collect(pipeline.dataset(clips))
    np.testing.assert_array_equal(features, [ramp[:2000]] * 6)
    features, _ = collect(pipeline.dataset(clips, training=True))
    starts = features[:, 0]
    assert len(set(starts)) == 6
    np.testing.assert_allclose(features[:, -1] - starts, ramp[1999], atol=1e-6)
    pipeline = make_pipeline(
        outputs="waveform", clip_seconds=0.5, crop="leading"
    )
    features, _ = collect(pipeline.dataset(clips, training=True))
    np.testing.assert_array_equal(features, [ramp[:2000]] * 6)


@pytest.mark.parametrize("crops", [2, 3, 4])
def test_crops_spread_from_start_to_end(crops):
    lengths = (8000, 2003, 2000, 700)
    recordings = [np.arange(n, dtype="float32") / n for n in lengths]
    clips = Clips(recordings, [0, 1, 0, 1], "ab")
    pipeline = make_pipeline(3, outputs="waveform", clip_seconds=0.5)
    features, targets = collect(pipeline.dataset(clips, crops=crops))
    assert features.shape == (4, crops, 2000)
    np.testing.assert_array_equal(targets, np.eye(2)[[0, 1, 0, 1]])
    for audio, windows in zip(recordings, features, strict=True):
        spare = max(len(audio) - 2000, 0)
        for crop, window in enumerate(windows):
            start = min(int(crop / (crops - 1) * (spare + 1)), spare)
            window_samples = audio[start : start + 2000]
            np.testing.assert_array_equal(
                window[: len(window_samples)], window_samples
            )
            assert not window[len(window_samples) :].any()
        if spare:
            assert windows[0, 0] == audio[0] and windows[-1, -1] == audio[-1]


def test_crops_follow_the_resolution_and_skip_bad_files(tmp_path):
    clips = write_audio(tmp_path)
    pipeline = make_pipeline(on_error="skip", resolution="shift:2+pool:2")
    features, targets = collect(pipeline.dataset(clips, crops=2))
    once, same_targets = collect(pipeline.dataset(clips))
    assert features.shape == (4, 2, *once.shape[1:])
    np.testing.assert_array_equal(features[:, 0], once)
    np.testing.assert_array_equal(targets, same_targets)


@pytest.mark.parametrize(("crops", "training"), [(0, False), (2, True)])
def test_impossible_crops_are_refused(crops, training):
    with pytest.raises(ValueError, match=f"crops={crops}, training"):
        make_pipeline().dataset(make_clips(), training, crops=crops)


def write_audio(folder, n=6, bad=(2, 5)):
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    paths = [folder / f"{i}.wav" for i in range(n)]
    for i, path in enumerate(paths):
        soundfile.write(path, np.full(1000, (i + 1) / 10), 4000, "FLOAT")
        if i in bad:
            path.write_bytes(b"no audio")
    return Clips(paths, np.arange(n) % 2, "ab")


def test_bad_file_is_named(tmp_path):
    clips = write_audio(tmp_path)
    dataset = make_pipeline().dataset(clips)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        collect(dataset)
    assert f"{clips.audio[2]}: cannot be decoded" in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("outputs", ["compressed", "waveform"])
def test_bad_files_are_skipped_and_noted_once(tmp_path, outputs):
    clips = write_audio(tmp_path)
    pipeline = make_pipeline(
        on_error="skip", outputs=outputs, augment=Augment(mixup=0.5, gain_db=1)
    )
    for dataset in (
        pipeline.dataset(clips),
        pipeline.dataset(clips, training=True),
    ):
        for _ in range(2):
            features, targets = collect(dataset)
            assert len(features) == len(targets) == 4
            assert np.isfinite(features).all()
    assert [path for path, _ in sorted(pipeline.skipped)] == [
        str(clips.audio[2]),
        str(clips.audio[5]),
    ]
    assert "cannot be decoded" in pipeline.skipped[0][1]


def test_bad_arrays_are_named_by_number():
    recordings = [np.ones(500), np.full(500, np.nan), np.zeros(0)]
    pipeline = make_pipeline(on_error="skip")
    features, _ = collect(pipeline.dataset(Clips(recordings, [0, 1, 0], "ab")))
    assert len(features) == 1
    names = [name for name, _ in sorted(pipeline.skipped)]
    assert names == ["array number 1", "array number 2"]


# floats that are kept of a clip: 23 frames of 16 bins, or its samples; and
# those for which there has to be room
KEPT = {"compressed": (23 * 16, 40 * 16), "waveform": (1000, 1000)}


@pytest.mark.parametrize("outputs", KEPT)
def test_cache_spares_decoding_up_to_its_size(tmp_path, outputs):
    clips = write_audio(tmp_path, bad=())
    large = make_pipeline(cache_mb=1, outputs=outputs)
    kept, room = KEPT[outputs]
    size = 4 * (kept + room + 1) / 2**20  # 2 of 6 clips
    small = make_pipeline(cache_mb=size, outputs=outputs)
    expected, _ = collect(large.dataset(clips))
    collect(small.dataset(clips))
    for path in clips.audio:
        path.unlink()
    np.testing.assert_array_equal(collect(large.dataset(clips))[0], expected)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a file"):
        collect(small.dataset(clips))
    small.on_error = "skip"
    assert len(collect(small.dataset(clips))[0]) == 2


@pytest.mark.parametrize("outputs", KEPT)
def test_cache_notices_a_file_that_changed(tmp_path, outputs):
    soundfile = pytest.importorskip("soundfile")
    clips = write_audio(tmp_path, bad=())
    kept = make_pipeline(cache_mb=1, outputs=outputs)
    before, _ = collect(kept.dataset(clips))
    noise = np.random.default_rng(0).normal(0, 0.1, 1000)  # as long
    soundfile.write(clips.audio[0], noise, 4000, "FLOAT")
    after, _ = collect(kept.dataset(clips))
    expected, _ = collect(make_pipeline(outputs=outputs).dataset(clips))
    np.testing.assert_array_equal(after, expected)
    assert not np.array_equal(after, before)


@pytest.fixture
def forbid_single_clips(monkeypatch):
    """Function that makes it an error to load clips one by one."""

    def fail(*_):
        raise AssertionError("a clip is loaded by itself")

    return lambda: monkeypatch.setattr(ClipLoader, "_load", fail)


@pytest.mark.parametrize(
    "text, start, options",
    [
        ("full", 0, {}),
        ("shift:3", 1, {}),
        ("pool:2:max", 0, {"shard": (1, 2)}),
        ("pool:2", 0, {"balanced": True}),
        ("full", 0, {"outputs": "log_mel"}),
    ],
)
def test_kept_log_mel_makes_the_same_batches(
    text, start, options, forbid_single_clips
):
    """Also where the first epoch was at another resolution."""
    clips = make_clips()
    augment = Augment(time_mask=9, roll_frames=3, noise=0.1)
    batches = []
    for cache_mb in (0, 1):
        pipeline = make_pipeline(cache_mb=cache_mb, augment=augment, **options)
        pipeline.set_phase("shift:2", 0)
        pipeline.shard = (0, 1)
        collect(pipeline.dataset(clips))
        pipeline.shard = options.get("shard", (0, 1))
        pipeline.set_phase(text, 1)
        if cache_mb:
            forbid_single_clips()
        batches.append(
            collect(pipeline.dataset(clips, training=True, start_step=start))
        )
    # float32 products of as many frames, in another order
    np.testing.assert_allclose(*(x for x, _ in batches), atol=1e-5)
    np.testing.assert_array_equal(*(y for _, y in batches))


@pytest.fixture
def loaded_alone(monkeypatch):
    """A list of the numbers of clips that are loaded one by one."""
    numbers = []
    load = ClipLoader._load

    def noted(self, index, position):
        numbers.append(int(index))
        return load(self, index, position)

    monkeypatch.setattr(ClipLoader, "_load", noted)
    return numbers


def make_clips_of_which_two_are_long():
    """14 clips as long as a crop, and two of which crops are random."""
    recordings = list(np.random.default_rng(0).normal(0, 0.1, (16, 1200)))
    recordings[1], recordings[2] = np.random.default_rng(1).normal(
        0, 0.1, (2, 3000)
    )
    return Clips(recordings, np.arange(16) % 3, "abc")


@pytest.mark.parametrize(
    "text, start, options",
    [
        ("full", 0, {}),
        ("shift:2", 1, {}),
        ("pool:4:max", 0, {"shard": (1, 2)}),
    ],
)
def test_long_clips_do_not_keep_others_from_coming_at_once(
    text, start, options, loaded_alone
):
    clips = make_clips_of_which_two_are_long()
    batches = []
    for cache_mb in (0, 1):
        pipeline = make_pipeline(
            cache_mb=cache_mb,
            clip_seconds=0.3,
            augment=Augment(roll_frames=3),
            **options,
        )
        pipeline.shard = (0, 1)
        collect(pipeline.dataset(clips))
        pipeline.shard = options.get("shard", (0, 1))
        pipeline.set_phase(text, 1)
        dataset = pipeline.dataset(clips, training=True, start_step=start)
        alone = set(loaded_alone)
        loaded_alone.clear()
        batches.append(collect(dataset))
    assert alone == set(range(16))
    assert set(loaded_alone) <= {1, 2}
    np.testing.assert_allclose(*(x for x, _ in batches), atol=1e-5)
    np.testing.assert_array_equal(*(y for _, y in batches))


def test_a_clip_that_goes_bad_leaves_its_batch(loaded_alone):
    """Once; then others are loaded with it, as any that is known to be bad."""
    clips = make_clips_of_which_two_are_long()
    pipeline = make_pipeline(clip_seconds=0.3, on_error="skip")
    expected, targets = collect(pipeline.dataset(clips))
    dataset = pipeline.dataset(clips)
    clips.audio[1][:] = np.nan
    for sizes in ([3, 4, 4, 4], [4, 4, 4, 3]):
        assert [len(x) for x, _ in dataset] == sizes
        features, found = collect(dataset)
        np.testing.assert_allclose(
            features, np.delete(expected, 1, axis=0), atol=1e-5
        )
        np.testing.assert_array_equal(found, np.delete(targets, 1, axis=0))
    assert [name for name, _ in pipeline.skipped] == ["array number 1"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="array number 1"):
        collect(make_pipeline(clip_seconds=0.3).dataset(clips))


def test_no_batch_is_left_empty():
    recordings = [np.full(1200, 0.1), np.full(3000, 0.1)]
    recordings = recordings[:1] * 8 + recordings[1:]
    clips = Clips(recordings, [0, 1, 0] * 3, "ab")
    pipeline = make_pipeline(clip_seconds=0.3, on_error="skip")
    collect(pipeline.dataset(clips))
    clips.audio[8][:] = np.nan
    assert [len(x) for x, _ in pipeline.dataset(clips)] == [4, 4]


def test_bad_files_among_kept_clips(tmp_path):
    """They are tried again: a disk may have been away."""
    clips = write_audio(tmp_path, n=9, bad=(2,))
    pipeline = make_pipeline(on_error="skip")
    for _ in range(2):
        assert [len(x) for x, _ in pipeline.dataset(clips)] == [4, 4]
    pipeline.on_error = "raise"
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"2\.wav"):
        collect(pipeline.dataset(clips))
    shutil.copy(clips.audio[0], clips.audio[2])
    assert len(collect(pipeline.dataset(clips))[0]) == 9


@pytest.fixture
def kept(monkeypatch):
    """A list of the keys of log-mel that pipelines keep."""
    keys = []
    keep = ArrayCache.keep

    def noted(self, key, array, *path):
        has_kept = keep(self, key, array, *path)
        if has_kept and key[0] == "log-mel":
            keys.append(key)
        return has_kept

    monkeypatch.setattr(ArrayCache, "keep", noted)
    return keys


def test_log_mel_is_kept_of_whole_clips_alone(kept):
    clips = make_clips(seconds=0.3)
    pipeline = make_pipeline(clip_seconds=0.3)
    whole = sum(len(audio) <= 1200 for audio in clips.audio)
    assert 0 < whole < len(clips)
    for _ in range(3):
        collect(pipeline.dataset(clips, training=True))
    assert len(kept) == whole


@pytest.mark.parametrize("options", [{"mixup": 0.5}, {"gain_db": 6}])
def test_log_mel_of_changing_waveforms_is_not_kept(kept, options):
    pipeline = make_pipeline(augment=Augment(**options))
    collect(pipeline.dataset(make_clips(), training=True))
    assert not kept
    collect(pipeline.dataset(make_clips()))
    assert len(kept) == 10


@pytest.mark.parametrize(
    "options, message",
    [
        ({"outputs": "mfcc"}, "`outputs` is one of"),
        ({"on_error": "ignore"}, "`on_error` is one of"),
        ({"crop": "middle"}, "`crop` is one of"),
        ({"decoder": "sox"}, "`decoder` is one of"),
        ({"resolution": "pool:50"}, "leaves no frame"),
        (
            {"outputs": "waveform", "augment": Augment(noise=1)},
            "change spectrograms",
        ),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_pipeline(**options)


def test_recordings_in_memory_are_left_as_they_are():
    """TensorFlow takes arrays as they are if it can, and computes in place."""
    rng = np.random.default_rng(0)
    recordings = [
        rng.uniform(-0.5, 0.5, 16000).astype("float32") for _ in range(300)
    ]
    before = [audio.copy() for audio in recordings]
    clips = Clips(recordings, [0, 1] * 150, "ab")
    pipeline = AudioPipeline(Frontend(), 96, 32, clip_seconds=1.0, cache_mb=0)
    for _ in range(3):
        list(pipeline.dataset(clips, training=True))
    np.testing.assert_array_equal(recordings, before)
