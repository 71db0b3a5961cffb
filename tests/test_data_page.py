"""`data.html`: what it shows is what training is given."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from page_parser import HOSTILE, PageParser

from keras_c2f.data import Clips, prepare, read_prepared
from keras_c2f.data.lengths import clip_seconds
from keras_c2f.report import write_data_page
from keras_c2f.report.data_sample import (
    describe_target,
    samples_of_augmentations,
    samples_of_phases,
)
from keras_c2f.training.from_recipe import make_pipeline
from keras_c2f.training.recipe import Recipe

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.once
NAMES = ["dog", "rain & <wind>", "$1 coin$"]
EVERYTHING = {
    "mixup": 0.5,
    "gain_db": 6.0,
    "time_mask": 12,
    "freq_mask": 30,
    "noise": 0.2,
    "roll_frames": 9,
}


def make_clips(n=12, seconds=0.6):
    rng = np.random.default_rng(0)
    recordings = rng.normal(0, 0.1, (n, int(16000 * seconds))).astype("float32")
    return Clips(recordings, np.arange(n) % 3, NAMES)


def make_recipe(**options):
    return Recipe(
        clip_seconds=0.32, schedule="pool:2@2, patch:2@1, full@1", **options
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "new"
    clips = make_clips()
    broken = folder.parent / "<script>&'broken.wav"
    broken.write_bytes(b"no audio")
    clips = Clips([*clips.audio, broken], [*clips.labels, 0], HOSTILE[:3])
    options = {"mixup": 0.5, "time_mask": 12, "balanced": True}
    recipe = make_recipe(**options, data=HOSTILE[3])
    return write_data_page(folder, recipe, (clips, clips.subset([0, 1])))


def test_samples_are_the_first_of_each_phase():
    recipe, clips = make_recipe(**EVERYTHING, batch_size=7), make_clips()
    phases = samples_of_phases(recipe, recipe.frontend, clips, 5)
    pipeline = make_pipeline(recipe, recipe.frontend)
    moments = [("pool:2", 0), ("patch:2", 2), ("full", 3)]
    for samples, moment in zip(phases, moments, strict=True):
        pipeline.set_phase(*moment)
        features, targets = next(iter(pipeline.dataset(clips, training=True)))
        np.testing.assert_array_equal([s.shown for s in samples], features[:5])
        for sample, target in zip(samples, targets.numpy()[:5], strict=True):
            assert sample.target == describe_target(target, NAMES)
            assert sample.label in sample.target  # one of those mixed


def test_raw_is_the_same_crop_unchanged():
    recipe, clips = make_recipe(), make_clips()
    phases = samples_of_phases(recipe, recipe.frontend, clips, 5)
    assert [sample.shown.shape[0] for sample, *_ in phases] == [16, 32, 32]
    for sample in phases[2]:
        np.testing.assert_array_equal(sample.plain, sample.shown)
        assert sample.label == sample.target in NAMES


def test_each_augmentation_is_shown_by_itself():
    recipe, clips = make_recipe(**EVERYTHING), make_clips()
    samples = samples_of_augmentations(recipe, recipe.frontend, clips, 6)
    assert list(samples) == [f"{n}={v:g}" for n, v in EVERYTHING.items()]
    pad = recipe.frontend.pad_value
    for setting, sample in samples.items():
        assert sample.plain.shape == sample.shown.shape
        changed = sample.plain != sample.shown
        assert changed.any()
        if "mask" in setting:
            hidden = sample.shown[changed]
            np.testing.assert_array_equal(hidden, np.float32(pad))
        if setting != "mixup=0.5":
            assert sample.target == sample.label
    assert samples_of_augmentations(make_recipe(), recipe.frontend, clips) == {}


def test_targets_in_words():
    assert describe_target([0, 0, 1], NAMES) == "$1 coin$"
    assert (
        describe_target([0.25, 0.75, 0], NAMES) == "rain & <wind> 75%, dog 25%"
    )
    assert describe_target([1, 0.4, 0], NAMES) == "dog 100%, rain & <wind> 40%"
    assert describe_target([0, 0, 0], NAMES) == "no class"
    assert describe_target(np.ones(9), "abcdefghi") == "a, b, c, 6 more"


def test_lengths_come_from_headers(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", np.zeros(1000), 4000)
    (tmp_path / "b.wav").write_bytes(b"no audio")
    recordings = [tmp_path / "a.wav", tmp_path / "b.wav", np.zeros(8000)]
    clips = Clips(recordings, [0, 1, 1], "ab")
    seconds, bad = clip_seconds(clips, 16000)
    assert seconds.tolist() == [0.25, 0.5]
    assert list(bad) == [str(tmp_path / "b.wav")]
    seconds, _ = clip_seconds(clips, 16000, num_clips=2)  # every second one
    assert seconds.tolist() == [0.25, 0.5]


@pytest.mark.parametrize("store", ["waveform", "log_mel"])
def test_lengths_of_prepared_clips(store, tmp_path):
    recipe, clips = make_recipe(), make_clips()
    broken = Clips([*clips.audio, "missing.wav"], [*clips.labels, 0], NAMES)
    data = (broken, clips.subset([0]))
    prepare(data, str(tmp_path), recipe.frontend, store, clips_per_shard=5)
    seconds, bad = clip_seconds(read_prepared(tmp_path)[0], 16000)
    # log-mel: what 58 whole frames of 25 ms every 10 ms need
    expected = {"waveform": 0.6, "log_mel": 0.595}[store]
    np.testing.assert_allclose(seconds, [expected] * len(clips))
    assert list(bad) == ["missing.wav"]


def test_page_is_whole(page):
    text = page.read_text("utf-8")
    assert page.name == "data.html"
    assert not re.search(r"(src|href)=[\"'](?!#|data:)", text)  # by itself
    figures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    # three clips a phase, one per augmentation, classes, lengths
    assert len(figures) == 3 * 3 + 2 + 2
    written = []
    for figure in figures:
        root = ElementTree.fromstring(figure)
        written += [
            "".join(e.itertext()) for e in root.iter() if "text" in e.tag
        ]
    words = " ".join(written)
    assert "16 frames: " in words and "time (s)" in words
    assert "drawn in an epoch" in words and "network: 0.32 s" in words
    assert "mixup=0.5: " in words and "time_mask=12: " in words
    assert "mathdefault" not in words  # no label is left as a formula
    read = PageParser(text)
    assert not {"script", "img"} & {tag for tag, *_ in read.structure}
    assert not {"onload", "onerror"} & set(sum(read.structure, ()))
    words = "".join(read.texts)
    for name in HOSTILE[:3]:
        assert name in "".join(read.labels) and name in words
    assert HOSTILE[3] in words and "<script>&'broken.wav" in words
    for heading in ("pool:2, epochs 1–2", "patch:2, epoch 3", "full, epoch 4"):
        assert heading in text
    assert "13 clips of 3 classes to train on, 2 to validate on" in text


def test_page_of_many_classes(tmp_path):
    labels = np.zeros((70, 70), "float32")
    labels[np.arange(70), np.arange(70) // 2] = 1
    recordings = make_clips(70).audio
    clips = Clips(recordings, labels, [f"class {k}" for k in range(70)])
    page = write_data_page(tmp_path, make_recipe(), (clips, clips))
    text = page.read_text("utf-8")
    assert "70 classes, by number of clips" in text
    assert "mathdefault" not in text
    assert "Most clips: class 0 (2); fewest: class 35 (0)." in text
    assert "No augmentation is on." in text


def test_page_of_clips_without_labels(tmp_path):
    recordings = make_clips().audio
    clips = Clips(recordings, np.zeros((len(recordings), 0)), [])
    recipe = make_recipe(mean=-3.0, std=2.5)
    page = write_data_page(tmp_path, recipe, (clips, clips))
    text = page.read_text("utf-8")
    assert (
        "has mean -3.00 and standard deviation 2.50" in text
    )  # as training would
    assert "12 clips of no classes to train on" in text
    assert "clips per class" not in text and "network: 0.32 s" in text


def test_no_usable_audio_is_a_sentence(tmp_path):
    bad = [tmp_path / "a.wav", tmp_path / "b.wav"]
    clips = Clips(bad, [0, 1], "ab")
    with pytest.raises(ValueError, match="None of the recordings can be used"):
        write_data_page(tmp_path / "page", make_recipe(), (clips, clips))
    assert not (tmp_path / "page").exists()
