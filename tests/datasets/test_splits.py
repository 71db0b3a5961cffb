"""A clip is on one side of a split, and stays there."""

import json
import os
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from audio_trees import make_csv, make_tree, named, write_wav

from keras_c2f.audio.fingerprint import differs, file_state, fingerprints
from keras_c2f.data import Clips, LabelSets
from keras_c2f.datasets import (
    read_ast_json,
    read_csv,
    read_folder,
    read_jsonl,
    read_unlabelled,
)
from keras_c2f.datasets.listing import random_mask
from keras_c2f.datasets.registry import same_data

pytestmark = pytest.mark.once


def names_in(clips, root):
    return {str(Path(audio).relative_to(root)) for audio in clips.audio}


def tree_of(root, count=20):
    return make_tree(
        root, [f"{k}/{k}{i:02}.wav" for k in "ab" for i in range(count)]
    )


# Draws


def test_a_draw_is_by_names_wherever_they_lie(tmp_path, monkeypatch):
    """Not by places: neither order, class numbers nor folder move a clip."""
    first = names_in(read_folder(tree_of(tmp_path / "x"))[1], tmp_path / "x")
    shutil.move(tmp_path / "x", tmp_path / "other")
    os.makedirs(tmp_path / "deep")
    shutil.move(tmp_path / "other", tmp_path / "deep" / "y")
    moved = tmp_path / "deep" / "y"
    assert names_in(read_folder(moved)[1], moved) == first
    monkeypatch.chdir(tmp_path)
    assert names_in(read_folder("deep/y")[1], "deep/y") == first
    make_tree(moved, ["0first/1.wav", "0first/2.wav"])  # a class before both
    now = names_in(read_folder(moved)[1], moved)
    assert {n for n in now if n[0] != "0"} == first
    lines = [f"{n},{n[0]}" for n in sorted(tree_names(20), reverse=True)]
    path = make_csv(moved, "path,label", *lines, files="")
    assert names_in(read_csv(path)[1], moved) == first
    absolute = [f"{moved}/{n},{n[0]}" for n in tree_names(20)]
    path = make_csv(moved, "path,label", *absolute, files="")
    assert names_in(read_csv(path)[1], moved) == first


def tree_names(count):
    return [f"{k}/{k}{i:02}.wav" for k in "ab" for i in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_a_changed_file_moves_at_most_one_other(seed):
    names = tree_names(40)
    labels = np.array([name[0] == "b" for name in names], int)

    def drawn(names, labels):
        mask = random_mask(names, labels, 0.2, seed)
        assert Counter(labels[mask].tolist()) == {0: 8, 1: 8}
        return {name for name, drawn in zip(names, mask, strict=True) if drawn}

    before = drawn(names, labels)
    for position in (0, 17, 79):
        renamed = [*names]
        renamed[position] = f"{names[position][0]}/take-{position}.wav"
        after = drawn(renamed, labels)
        both = set(names) & set(renamed)
        assert len((before ^ after) & both) <= 1
        fewer = drawn(
            [*names[:position], *names[position + 1 :]],
            np.delete(labels, position),
        )
        assert len((before ^ fewer) - {names[position]}) <= 1


def test_a_draw_does_not_hang_on_format_nor_unicode_form():
    names = [f"dög/bü{i}.wav" for i in range(30)]
    labels = np.zeros(30, int)
    expected = random_mask(names, labels, 0.2, 0).tolist()
    for form in ("NFC", "NFD"):
        other = [unicodedata.normalize(form, n) for n in names]
        assert random_mask(other, labels, 0.2, 0).tolist() == expected
    other = [n.replace(".wav", ".FLAC") for n in names]
    assert random_mask(other, labels, 0.2, 0).tolist() == expected
    assert random_mask(names, labels, 0.2, 1).tolist() != expected
    shuffled = random_mask(names[::-1], labels, 0.2, 0)[::-1]
    assert shuffled.tolist() == expected


def test_every_share_is_kept():
    """Counted; at least one clip of each class on both sides."""
    sizes = {0: 1, 1: 2, 2: 3, 3: 12, 4: 101}
    labels = np.repeat(list(sizes), list(sizes.values()))
    names = [f"{i}.wav" for i in range(len(labels))]
    mask = random_mask(names, labels, 0.2, 0)
    assert np.bincount(labels[mask]).tolist() == [0, 1, 1, 2, 20]


# Files that are listed twice


ROWS = [f"{k}.wav,{'xy'[i % 2]}" for i, k in enumerate("abcdef")]


@pytest.mark.parametrize(
    "again", ["a.wav", "./a.wav", "z/../a.wav", "link.wav", "hard.wav"]
)
def test_a_file_listed_twice_counts_once(tmp_path, again):
    (tmp_path / "z").mkdir()
    path = make_csv(tmp_path, "path,label", *ROWS, f"{again},x")
    (tmp_path / "link.wav").symlink_to(tmp_path / "a.wav")
    os.link(tmp_path / "a.wav", tmp_path / "hard.wav")
    train, validation = read_csv(path)
    found = [*train.audio, *validation.audio]
    assert sorted(Path(f).name for f in found) == [f"{k}.wav" for k in "abcdef"]
    notes = train.note + validation.note
    assert "1 lines repeat a file" in notes and f"{again}'" in notes


def test_every_file_listed_twice(tmp_path):
    once = read_csv(make_csv(tmp_path, "path,label", *ROWS))
    twice = read_csv(make_csv(tmp_path, "path,label", *ROWS, *ROWS))
    for one, two in zip(once, twice, strict=True):
        assert named(one) == named(two) and len(one) == len(two)
        assert f"{len(one)} lines repeat a file" in two.note


def test_one_file_in_two_formats_of_a_list(tmp_path):
    """`b.mp3` is listed, and `b.wav` is there in its place."""
    path = make_csv(tmp_path, "path,label", *ROWS, "b.mp3,y")
    parts = read_csv(path)
    assert sum(map(len, parts)) == 6


@pytest.mark.parametrize("kind", ["csv", "jsonl", "fold", "link", "ast"])
def test_a_file_on_both_sides_is_named(tmp_path, kind):
    rows = [(f"{k}.wav", "xy"[i % 2]) for i, k in enumerate("abcd")]
    rows = [(*row, "train") for row in rows]
    make_tree(tmp_path, [f"{k}.wav" for k in "abcd"])
    (tmp_path / "link.wav").symlink_to(tmp_path / "b.wav")
    other = "link.wav" if kind == "link" else "b.wav"
    rows += [(other, "y", "validation"), ("a.wav", "x", "validation")]
    if kind == "jsonl":
        path = tmp_path / "list.jsonl"
        keys = ("path", "label", "split")
        text = [json.dumps(dict(zip(keys, row, strict=True))) for row in rows]
        path.write_text("\n".join(text))
        read = read_jsonl
    elif kind == "fold":
        rows = [(*row[:2], str(1 + (row[2] == "train"))) for row in rows]
        path = make_csv(tmp_path, "path,label,fold", *map(",".join, rows))

        def read(path):
            return read_csv(path, fold=1)
    elif kind == "ast":
        path, read = ast_of(tmp_path, rows), read_ast_json
    else:
        path = make_csv(tmp_path, "path,label,split", *map(",".join, rows))
        read = read_csv
    message = r"both to train on and to validate on, 2 in all: .*b\.wav.*a\.wav"
    with pytest.raises(ValueError, match=message):
        read(path)


def ast_of(root, rows):
    (root / "my_class_labels_indices.csv").write_text(
        "index,mid,display_name\n0,x,one\n1,y,two\n"
    )
    for part in ("train", "validation"):
        entries = [
            {"wav": str(root / name), "labels": label}
            for name, label, side in rows
            if side == part
        ]
        name = {"train": "train.json", "validation": "eval.json"}[part]
        (root / name).write_text(json.dumps({"data": entries}))
    return root / "train.json"


def test_one_file_with_two_labels_is_named(tmp_path):
    path = make_csv(tmp_path, "path,label", *ROWS, "a.wav,y")
    with pytest.raises(ValueError, match="two labels: .*a.wav' is x and y"):
        read_csv(path)
    path = make_csv(tmp_path, "path,labels", "a.wav,x;y", "b.wav,x", "a.wav,x")
    with pytest.raises(ValueError, match=r"a.wav' is x\+y and x"):
        read_csv(path)
    make_tree(tmp_path / "t", ["p/1.wav", "p/2.wav", "q/3.wav", "q/4.wav"])
    os.link(tmp_path / "t/p/1.wav", tmp_path / "t/q/5.wav")
    with pytest.raises(ValueError, match="1.wav' = '.*5.wav' is p and q"):
        read_folder(tmp_path / "t")


def test_a_nested_link_to_a_audio_counts_once(tmp_path):
    make_tree(tmp_path, [f"{i}.wav" for i in range(9)])
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "again.wav").symlink_to(tmp_path / "3.wav")
    parts = read_unlabelled(tmp_path)
    assert sum(map(len, parts)) == 9
    assert "lines repeat a file" in parts[0].note + parts[1].note


def test_a_missing_file_listed_twice_is_missing(tmp_path):
    rows = [*ROWS, "gone.wav,x", "gone.wav,x"]
    parts = read_csv(make_csv(tmp_path, "path,label", *rows))
    assert sum(map(len, parts)) == 6


# Fingerprints


def test_fingerprints_are_of_the_content(tmp_path):
    rng = np.random.default_rng(0)
    large, small = rng.bytes(300_000), rng.bytes(500)
    for name, data in {
        "a": large,
        "b": large,
        "c": large[:-1] + b"x",
        "d": large[1:],
        "e": b"x" + large[1:],
        "f": small,
        "g": small + b"x",
        "h": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in "abcdefgh"]
    found = fingerprints(paths)
    assert found[0] == found[1] and len(set(found.tolist())) == len(paths) - 1
    assert fingerprints(paths * 1000).tolist() == found.tolist() * 1000
    gone = fingerprints(["/no/1", "/no/2", "gs://a/1", "gs://a/2"])
    assert len(set(gone.tolist())) == 4
    noise = rng.uniform(-1, 1, (3, 100))
    arrays = fingerprints([noise[0], noise[1], noise[0].astype("float32")])
    assert arrays[0] == arrays[2] != arrays[1]


def test_a_copied_file_has_not_changed(tmp_path):
    path = str(write_wav(tmp_path / "a.wav"))
    state = file_state(path)
    assert not differs(path, state)
    os.utime(path, (1, 1))
    assert not differs(path, state)
    data = bytearray(Path(path).read_bytes())
    data[-1] ^= 1
    Path(path).write_bytes(data)
    assert differs(path, state)
    os.unlink(path)
    assert not differs(path, state) and file_state(path) is None


# Classes by name


@pytest.mark.parametrize("kind", ["single", "sets", "soft"])
def test_classes_are_matched_by_name(kind):
    labels = {
        "single": [0, 1, 1],
        "sets": LabelSets.of([[0], [0, 1], []]),
        "soft": [[1, 0, 0], [0.5, 1, 0], [0, 0, 0]],
    }[kind]
    clips = Clips("xyz", labels, ("dög", "ant", "not used"))
    ours = ("ant", "bee", unicodedata.normalize("NFD", "dög"))
    found = clips.with_classes(ours)
    assert found.class_names == ours and found.audio == clips.audio
    expected = np.zeros((3, 3))
    expected[:, [2, 0]] = clips.targets()[:, :2]
    np.testing.assert_array_equal(found.targets(), expected)
    with pytest.raises(
        ValueError, match=r"'ant' \(\d clips\). The classes are"
    ):
        clips.with_classes(("bee", "dög"))


def test_one_class_alone_can_be_read_to_be_scored(tmp_path):
    make_tree(tmp_path, ["a/1.wav", "a/2.wav"])
    train, validation = read_folder(tmp_path, more_classes=("a", "b"))
    assert train.class_names == ("a", "b") and len(validation) == 1
    path = make_csv(tmp_path, "path,label", "a/1.wav,a", "a/2.wav,a")
    train, _ = read_csv(path, more_classes=("b", "a"))
    assert train.class_names == ("a", "b")


def test_one_data_set_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "x")
    spec = f"esc50:{tmp_path}/x"
    for other in ("esc50:x", "esc50:./x/", "esc50:link", "esc50:x/../x"):
        assert same_data(spec, other)
    for other in ("esc10:x", "esc50:y", "keywords"):
        assert not same_data(spec, other)
    assert same_data("keywords", "keywords")
    assert not same_data("prepared:gs://a/b", "prepared:gs://a/c")
