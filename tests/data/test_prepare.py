"""Prepared data against the files they were made of, kills included."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_c2f.audio.decode import AudioError
from keras_c2f.data import AudioPipeline, Augment, Clips, prepare, read_prepared
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.utils.folder_lock import alone_in

tf = pytest.importorskip("tensorflow")
soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("tqdm")

pytestmark = pytest.mark.once

SMALL = Frontend(sample_rate=4000, num_mel_bins=16)
HTS_AT = Frontend(
    4000, 16, 32.0, 10.0, 50.0, 1900.0, 0.0, -40.0, 9.0, "librosa"
)
T = 40
BAD = (2, 5)


def write_clips(folder, n=11, rate=4000, subtype="PCM_16", longest=3000):
    """Noise of `n` lengths, two files of them broken, as `Clips`."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i}.wav" for i in range(n)]
    for i, path in enumerate(paths):
        noise = rng.uniform(-1, 1, rng.integers(60, longest))
        soundfile.write(path, noise, rate, subtype)
        if i in BAD:
            path.write_bytes(b"" if i == 2 else b"no audio")
    return Clips(map(str, paths), np.arange(n) % 3, "abc")


def parts(clips):
    return clips, clips.subset([1, 2, 3])


def prepare_and_read(clips, folder, store="waveform", frontend=SMALL):
    prepare(parts(clips), str(folder), frontend, store, clips_per_shard=4)
    return read_prepared(str(folder))


def make_pipeline(frontend=SMALL, **options):
    options = {"on_error": "skip", **options}
    return AudioPipeline(frontend, T, 4, **options)


def batches(clips, training=True, epoch=3, resolution="shift:2", **options):
    pipeline = make_pipeline(**options)
    pipeline.set_phase(resolution, epoch)
    return [
        (x.numpy(), y.numpy()) for x, y in pipeline.dataset(clips, training)
    ]


def assert_same(found, expected, **tolerance):
    assert len(found) == len(expected)
    for pair in zip(found, expected, strict=True):
        for mine, theirs in zip(*pair, strict=True):
            np.testing.assert_allclose(mine, theirs, **tolerance)


def test_what_cannot_be_prepared_is_refused(tmp_path):
    clips = parts(write_clips(tmp_path / "raw"))
    out = str(tmp_path / "out")
    with pytest.raises(ValueError, match="clips_per_shard=0"):
        prepare(clips, out, SMALL, clips_per_shard=0)
    Path(out).write_text("a file")
    with pytest.raises(ValueError, match="Preparing .*/out. failed"):
        prepare(clips, out, SMALL)
    in_the_way = tmp_path / "full" / "plan.json"
    in_the_way.mkdir(parents=True)
    with pytest.raises(ValueError, match="failed .* the same call goes on"):
        prepare(clips, str(in_the_way.parent), SMALL)


def test_a_bad_audio_whose_name_is_not_utf8_is_listed(tmp_path):
    clips = write_clips(tmp_path / "raw").subset([0, 1, 3])
    bad = str(tmp_path / "\udce4.wav")
    train = Clips([bad, *clips.audio[1:]], clips.labels, "abc")
    rows = prepare((train, clips), str(tmp_path / "out"), SMALL)
    name = bad.encode(errors="backslashreplace").decode()
    assert rows == [("train", name, "is not a file")]
    assert name in (tmp_path / "out" / "bad_files.csv").read_text("utf-8")


def test_same_batches_from_waveforms(tmp_path):
    """16 bits at the model's rate: exactly; random crops and mix-up too."""
    raw = write_clips(tmp_path / "raw")
    train, validation = prepare_and_read(raw, tmp_path / "prepared")
    options = {
        "augment": Augment(mixup=0.5, gain_db=6, noise=0.1, time_mask=9),
        "clip_seconds": 0.3,
    }
    expected = batches(raw, **options)
    assert sum(len(x) for x, _ in expected) == len(raw) - len(BAD)
    assert_same(batches(train, **options), expected, rtol=0, atol=0)
    assert_same(
        batches(validation, training=False),
        batches(raw.subset([1, 2, 3]), training=False),
        rtol=0,
        atol=0,
    )


def test_rounded_to_16_bits_otherwise(tmp_path):
    raw = write_clips(tmp_path / "raw", rate=6000, subtype="FLOAT")
    train, _ = prepare_and_read(raw, tmp_path / "prepared")
    options = {"outputs": "waveform", "training": False}
    for (mine, _), (theirs, _) in zip(
        batches(train, **options), batches(raw, **options), strict=True
    ):
        # half a step of 16 bits; resampled noise overshoots and is clipped
        theirs = theirs.clip(-1, 32767 / 32768)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=0.51 / 32768)


@pytest.mark.parametrize(
    "resolution", ["full", "pool:2", "pool:4:max", "patch:2", "shift:3"]
)
@pytest.mark.parametrize("training", [False, True])
def test_same_batches_from_log_mel(resolution, training, tmp_path):
    """To float16; clips are no longer than T, so crops agree."""
    raw = write_clips(tmp_path / "raw", longest=1600)
    train, _ = prepare_and_read(raw, tmp_path / "prepared", "log_mel")
    options = {
        "training": training,
        "resolution": resolution,
        "augment": Augment(freq_mask=4),
    }
    # 11 bits of numbers up to 16, over 2 std
    assert_same(batches(train, **options), batches(raw, **options), atol=1e-3)


def test_log_mel_of_librosa_style(tmp_path):
    # not cut: raw, the end of a crop is reflected, and here what follows it
    raw = write_clips(tmp_path / "raw", longest=1500)
    train, _ = prepare_and_read(raw, tmp_path / "out", "log_mel", HTS_AT)
    options = {"frontend": HTS_AT, "training": False}
    # 11 bits of numbers up to 128, over 2 std
    assert_same(batches(train, **options), batches(raw, **options), atol=4e-3)


def test_crops_of_log_mel_begin_at_frames(tmp_path):
    """A crop of Kaldi's features is the features of a crop at a frame."""
    samples = np.random.default_rng(0).normal(0, 0.1, 8000)
    soundfile.write(tmp_path / "long.wav", samples, 4000)
    clips = Clips([str(tmp_path / "long.wav")] * 6, [0, 1] * 3, "ab")
    train, _ = prepare_and_read(clips, tmp_path / "prepared", "log_mel")
    ((first, _), (second, _)) = batches(train, resolution="full")
    crops = np.concatenate([first, second])
    stored = train.audio[0].load().astype("float32")
    whole = SMALL.normalize(stored, np)
    starts = [
        [i for i in range(len(whole)) if np.allclose(whole[i], crop[0])]
        for crop in crops
    ]
    assert len({start for (start,) in starts}) > 3
    for (start,), crop in zip(starts, crops, strict=True):
        np.testing.assert_array_equal(crop, whole[start : start + T])


def test_bad_files_are_listed_and_named_again(tmp_path):
    raw = write_clips(tmp_path / "raw")
    train, _ = prepare_and_read(raw, tmp_path / "prepared")
    with open(tmp_path / "prepared" / "bad_files.csv", newline="") as file:
        rows = list(csv.reader(file))
    expected = [
        ["train", raw.audio[2], "is empty"],
        ["train", raw.audio[5]],
        ["validation", raw.audio[2], "is empty"],
    ]
    assert rows[0] == ["split", "path", "reason"]
    for row, start in zip(rows[1:], expected, strict=True):
        assert row[: len(start)] == start
    pipelines = [make_pipeline(), make_pipeline()]
    for pipeline, clips in zip(pipelines, (raw, train), strict=True):
        for _ in pipeline.dataset(clips):
            pass
    assert sorted(pipelines[0].skipped) == sorted(pipelines[1].skipped)


def test_damaged_record_is_a_bad_audio(tmp_path):
    raw = write_clips(tmp_path / "raw")
    train, _ = prepare_and_read(raw, tmp_path / "prepared")
    shard = tmp_path / "prepared" / "train-00001-of-00003.tfrecord"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    pipeline = make_pipeline()
    count = sum(len(x) for x, _ in pipeline.dataset(train))
    assert count == len(raw) - len(BAD) - 1
    ((name, reason),) = [
        bad for bad in pipeline.skipped if bad[0] not in raw.audio
    ]
    assert str(shard) in name and ".wav" in name and "damaged" in reason
    shard.unlink()
    with pytest.raises(AudioError, match="cannot be read"):
        train.audio[4].load()
    pipeline = make_pipeline(on_error="raise")
    with pytest.raises(AudioError), pipeline.naming_bad_audio():
        for _ in pipeline.dataset(train):
            pass


@pytest.mark.parametrize("content", [b'{"offset": [0, ', b"{}", None])
def test_clips_of_a_damaged_index_are_bad_recordings(tmp_path, content):
    raw = write_clips(tmp_path / "raw")
    train, _ = prepare_and_read(raw, tmp_path / "prepared")
    index = tmp_path / "prepared" / "train-00001-of-00003.json"
    if content is None:
        index.unlink()
    else:
        index.write_bytes(content)
    with pytest.raises(AudioError, match="damaged or missing. Delete the"):
        train.audio[4].load()
    pipeline = make_pipeline()
    count = sum(len(x) for x, _ in pipeline.dataset(train))
    assert 0 < count < len(raw) - len(BAD)
    assert any(str(index) == name for name, _ in pipeline.skipped)


def test_any_tensorflow_program_reads_the_records(tmp_path):
    raw = write_clips(tmp_path / "raw", n=5)
    prepare_and_read(raw, tmp_path / "prepared")
    files = sorted(map(str, (tmp_path / "prepared").glob("train-*.tfrecord")))
    found = [
        tf.io.decode_raw(record, tf.int16).numpy()
        for record in tf.data.TFRecordDataset(files)
    ]
    paths = [path for i, path in enumerate(raw.audio) if i not in BAD]
    for mine, path in zip(found, paths, strict=True):
        np.testing.assert_array_equal(
            mine, soundfile.read(path, dtype="int16")[0]
        )


def test_several_labels(tmp_path):
    raw = write_clips(tmp_path / "raw", n=3)
    labels = [[1, 0, 1], [0, 0, 0], [0, 0.25, 1]]
    raw = Clips(raw.audio, labels, "xyz")
    prepare((raw, raw), str(tmp_path / "prepared"), SMALL)
    train, _ = read_prepared(str(tmp_path / "prepared"))
    np.testing.assert_array_equal(train.targets(), labels)
    assert train.class_names == ("x", "y", "z")


def test_paths_of_another_file_system(tmp_path):
    """TensorFlow's in-memory scheme stands for `gs://` and the like."""
    local = write_clips(tmp_path / "raw")
    for path in local.audio:
        with tf.io.gfile.GFile(f"ram://raw/{os.path.basename(path)}", "w") as f:
            f.write(Path(path).read_bytes())
    remote = Clips(
        [f"ram://raw/{os.path.basename(path)}" for path in local.audio],
        local.labels,
        local.class_names,
    )
    expected = batches(local)
    assert_same(batches(remote), expected, rtol=0, atol=0)
    train, _ = prepare_and_read(remote, "ram://prepared")
    assert_same(batches(train), expected, rtol=0, atol=0)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_stopped_anywhere_it_goes_on(tmp_path, monkeypatch):
    """Every file system step of a preparation fails once."""
    raw = write_clips(tmp_path / "raw")
    prepare_and_read(raw, tmp_path / "whole")
    module = sys.modules["keras_c2f.data.prepare"]
    move = module._move_when_whole
    steps = 1 + 2 * (3 + 1) + 2  # plan; shard and index; table, dataset

    def stop_at(limit, before):
        count = iter(range(limit + 1))

        def step(path, write):
            if next(count) < limit:
                return move(path, write)
            if before:  # half a temporary file
                with open(f"{os.path.dirname(path)}/unfinished-x", "w"):
                    raise KeyboardInterrupt
            move(path, write)
            raise KeyboardInterrupt

        return step

    for before in (True, False):
        for limit in range(steps):
            folder = tmp_path / f"stopped{limit}{before}"
            with monkeypatch.context() as patch:
                patch.setattr(
                    module, "_move_when_whole", stop_at(limit, before)
                )
                with pytest.raises(KeyboardInterrupt):
                    prepare_and_read(raw, folder)
            if limit < steps - 1 or before:
                with pytest.raises(ValueError, match="unfinished"):
                    read_prepared(str(folder))
            prepare_and_read(raw, folder)
            found = contents(folder)
            found.pop("unfinished-x", None)
            assert found == contents(tmp_path / "whole")


PROGRAM = """
import sys
from keras_c2f.data import Clips, prepare
from keras_c2f.layers.log_mel import Frontend
paths = open(sys.argv[1]).read().split()
clips = Clips(paths, [i % 3 for i in range(len(paths))], "abc")
prepare.__globals__["tf"].io.gfile  # loads TensorFlow
print("ready", flush=True)
frontend = Frontend(sample_rate=4000, num_mel_bins=16)
part = tuple(map(int, sys.argv[3:])) or None
clips = clips, clips.subset([1, 2, 3])
prepare(clips, sys.argv[2], frontend, "waveform", 4, shard=part)
"""


def start(tmp_path, *part):
    """A process that prepares `tmp_path / "killed"`, once it begins."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", PROGRAM, tmp_path / "paths"),
            *(tmp_path / "killed", *map(str, part)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline() == b"ready\n"
    return process


def finish(process):
    with process:
        return process.wait()


def test_killed_at_random_moments(tmp_path):
    raw = write_clips(tmp_path / "raw", n=400)
    (tmp_path / "paths").write_text("\n".join(raw.audio))
    prepare(parts(raw), str(tmp_path / "whole"), SMALL, clips_per_shard=4)
    rng = random.Random()
    kills = 0
    for _ in range(3):
        with start(tmp_path) as process:
            time.sleep(rng.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
    assert kills
    prepare(parts(raw), str(tmp_path / "killed"), SMALL, clips_per_shard=4)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_parts_at_once_one_of_them_killed(tmp_path):
    raw = write_clips(tmp_path / "raw", n=400)
    (tmp_path / "paths").write_text("\n".join(raw.audio))
    prepare(parts(raw), str(tmp_path / "whole"), SMALL, clips_per_shard=4)
    workers = []
    for index in range(4):
        workers.append(start(tmp_path, index, 4))
        if index == 1:
            workers[1].kill()
    assert [*map(finish, workers)] == [0, -signal.SIGKILL, 0, 0]
    folder = tmp_path / "killed"
    indices = list(folder.glob("train-*.json"))
    assert 75 <= len(indices) < 100  # of 100, a quarter each
    # a part goes on after a kill, and once more does no harm
    for index in (1, 2):
        options = {"clips_per_shard": 4, "shard": (index, 4)}
        prepare(parts(raw), str(folder), SMALL, **options)
    assert len(list(folder.glob("train-*.json"))) == 100
    with pytest.raises(ValueError, match=r"no prepared data set"):
        read_prepared(str(folder))
    bad = prepare(parts(raw), str(folder), SMALL, clips_per_shard=4)
    assert len(bad) == 3  # two, one of them on both sides
    assert contents(folder) == contents(tmp_path / "whole")
    assert sorted(os.listdir(folder)) == sorted(os.listdir(tmp_path / "whole"))


def test_a_part_writes_its_shards_alone(tmp_path):
    raw = write_clips(tmp_path / "raw")
    options = {"clips_per_shard": 4, "shard": (1, 3)}
    bad = prepare(parts(raw), str(tmp_path / "out"), SMALL, **options)
    # of train 0 to 2 and validation 0 in one row
    names = {path.name for path in (tmp_path / "out").glob("*.tfrecord")}
    assert names == {"train-00001-of-00003.tfrecord"}
    assert [path for _, path, _ in bad] == [raw.audio[5]]
    with alone_in(str(tmp_path / "out"), shared=True):
        prepare(parts(raw), str(tmp_path / "out"), SMALL, **options)
        with pytest.raises(ValueError, match="at work in"):
            prepare(parts(raw), str(tmp_path / "out"), SMALL, clips_per_shard=4)
    with pytest.raises(ValueError, match="another preparation"):
        prepare(parts(raw), str(tmp_path / "out"), SMALL, "log_mel", **options)
    with pytest.raises(ValueError, match=r"`shard` is .*\(3, 3\)"):
        prepare(parts(raw), str(tmp_path / "out"), SMALL, shard=(3, 3))


def test_what_does_not_fit_is_refused(tmp_path):
    raw = write_clips(tmp_path / "raw")
    waveforms, _ = prepare_and_read(raw, tmp_path / "waveforms")
    mels, _ = prepare_and_read(raw, tmp_path / "mels", "log_mel")
    mixed = Clips([mels.audio[0], raw.audio[0]], [0, 1], "ab")
    other = {**SMALL.get_config(), "low_hz": 60.0}
    for clips, options, sentence in (
        (waveforms, {"frontend": Frontend(8000, 16)}, "sample_rate=4000"),
        (mels, {"frontend": Frontend(**other)}, "low_hz=20.0"),
        (mels, {"outputs": "waveform"}, "store=waveform"),
        (mels, {"augment": Augment(mixup=0.5)}, "mixup needs waveforms"),
        (mels, {"augment": Augment(gain_db=1)}, "gain_db needs waveforms"),
        (mixed, {}, "others are not"),
    ):
        with pytest.raises(ValueError, match=sentence):
            make_pipeline(**options).dataset(clips, training=True)
    # statistics are applied when it is read; what trains only, only there
    other = {**SMALL.get_config(), "mean": 1.0, "std": 2.0}
    pipeline = make_pipeline(Frontend(**other), augment=Augment(mixup=0.5))
    assert len(list(pipeline.dataset(mels))) == 3
    for arguments, sentence in (
        ((parts(raw), str(tmp_path / "x"), SMALL, "mp3"), "`store` is one of"),
        ((parts(raw), str(tmp_path / "mels"), SMALL), "another preparation"),
        ((parts(mels), str(tmp_path / "x"), SMALL), "prepared already"),
    ):
        with pytest.raises(ValueError, match=sentence):
            prepare(*arguments)
    with pytest.raises(ValueError, match="no prepared data set"):
        read_prepared(str(tmp_path))


def test_settings_are_kept(tmp_path):
    prepare_and_read(write_clips(tmp_path / "raw"), tmp_path / "prepared")
    config = json.loads((tmp_path / "prepared" / "dataset.json").read_text())
    assert config["sample_rate"] == 4000
    assert Frontend.from_config(config["frontend"]) == SMALL
    assert config["class_names"] == ["a", "b", "c"]
    assert config["labels"]["validation"] == [1, 2, 0]


def test_known_bad_recordings_count_for_no_worker(tmp_path):
    """Steps are equal, and a resume exact, though files are broken."""
    raw = write_clips(tmp_path / "raw", n=19)
    train, _ = prepare_and_read(raw, tmp_path / "prepared")
    expected = batches(raw)
    pipeline = make_pipeline()
    pipeline.set_phase("shift:2", 3)
    rest = list(pipeline.dataset(train, training=True, start_step=2))
    assert_same(rest, expected[2:], rtol=0, atol=0)
    assert {path for path, _ in pipeline.skipped} == {raw.audio[i] for i in BAD}
    resumed = make_pipeline()  # from files, as told by the run before
    resumed.skipped = pipeline.skipped
    resumed.set_phase("shift:2", 3)
    rest = list(resumed.dataset(raw, training=True, start_step=2))
    assert_same(rest, expected[2:], rtol=0, atol=0)

    workers = [batches(train, shard=(i, 2)) for i in range(2)]
    assert [[len(x) for x, _ in part] for part in workers] == [[4, 4]] * 2
    alone = np.concatenate([x for x, _ in expected])
    for index, part in enumerate(workers):
        mine = np.concatenate([x for x, _ in part])
        np.testing.assert_array_equal(mine, alone[:16][index::2])


def test_changed_sources_are_noticed(tmp_path):
    """By `prepare` again, and when what was prepared is read."""
    raw = write_clips(tmp_path / "raw")
    out = str(tmp_path / "out")
    prepare_and_read(raw, out)
    path = Path(raw.audio[3])
    samples, rate = soundfile.read(path)
    for content in (-samples, samples[:-1]):  # of the same size, and of another
        soundfile.write(path, content, rate)
        with pytest.raises(ValueError, match="another preparation: its source"):
            prepare_and_read(raw, out)
        with pytest.raises(ValueError, match="2 files have .*3.wav.*again"):
            read_prepared(out)
    soundfile.write(path, samples, rate)  # copied back: the time differs
    read_prepared(out)
    path.rename(tmp_path / "raw" / "elsewhere.wav")
    read_prepared(out)


def test_prepared_recordings_have_the_fingerprints_of_their_files(tmp_path):
    raw = write_clips(tmp_path / "raw")
    train, validation = prepare_and_read(raw, tmp_path / "out")
    expected = raw.fingerprints
    np.testing.assert_array_equal(train.fingerprints, expected)
    np.testing.assert_array_equal(validation.fingerprints, expected[1:4])
    assert [audio.name for audio in train.audio] == list(raw.audio)


def test_data_prepared_by_the_version_before(tmp_path):
    """Without fingerprints: read, with a word about it."""
    raw = write_clips(tmp_path / "raw", n=5)
    expected = batches(prepare_and_read(raw, tmp_path / "out")[0])
    for path in (tmp_path / "out").glob("*-of-*.json"):
        columns = json.loads(path.read_text())
        del columns["fingerprint"], columns["source"]
        path.write_text(json.dumps(columns))
    path = tmp_path / "out" / "dataset.json"
    path.write_text(path.read_text().replace('"version": 2', '"version": 1'))
    train, validation = read_prepared(str(tmp_path / "out"))
    assert_same(batches(train), expected, rtol=0, atol=0)
    assert "by an earlier version" in train.note
    both = [*train.fingerprints, *validation.fingerprints]
    assert len(set(both)) == len(both)
