"""Readers of published data sets, on tiny trees in the official layouts."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from audio_trees import make_csv, make_tree, named

from keras_c2f.audio.walk import locate, locate_youtube
from keras_c2f.datasets import (
    open_dataset,
    read_ast_json,
    read_audioset,
    read_fsd50k,
    read_jsonl,
    read_kinetics_sounds,
    read_speech_commands,
    read_vggsound,
    read_voxceleb,
    registry,
)
from keras_c2f.datasets.lines import read_classes
from keras_c2f.training import recipe

pytestmark = pytest.mark.once


def write(root, name, *lines):
    return make_csv(root, *lines, name=name, files="")


# Recordings of YouTube, as download tools call them


@pytest.mark.parametrize(
    "name",
    [
        "{}.wav",
        "Y{}.FLAC",
        "{}_30.mp3",
        "{}_30.000.ogg",
        "{}_000030.wav",
        "{}_000030_000040.wav",
        "{}_30.0-40.0.wav",
        "{}_30000.wav",
        "Y{}_30000_40000.flac",
    ],
)
@pytest.mark.parametrize("video", ["-0a_b-c_d-_", "Yabcdefghij", "_30_40_50_6"])
def test_names_of_download_tools(tmp_path, name, video):
    other = "Zabcdefghij.wav"
    make_tree(tmp_path, [f"a/deep/{name.format(video)}", other])
    found = locate_youtube(tmp_path, [(video, 30.0), ("Wabcdefghij", 30.0)])
    assert found == [str(tmp_path / "a" / "deep" / name.format(video)), None]


def test_a_start_in_the_name_must_be_the_segments(tmp_path):
    video = "-0a_b-c_d-e"
    make_tree(tmp_path, [f"{video}_30.wav", f"{video}_1500_2500.wav"])
    segments = [(video, start) for start in (30.0, 1.5, 3.0)]
    found = locate_youtube(tmp_path, segments)
    assert [path and Path(path).name for path in found] == [
        f"{video}_30.wav",
        f"{video}_1500_2500.wav",
        None,
    ]
    make_tree(tmp_path, [f"b/{video}_30.wav", "._-0a_b-c_d-e_30.wav"])
    assert locate_youtube(tmp_path, segments[:1]) == found[:1]  # the first


def test_listed_files_may_have_changed_their_suffix(tmp_path):
    make_tree(tmp_path, ["a/1.flac", "a/2.5.wav", "b/1.wav", "b/x.txt"])
    names = ["a/1.wav", "a/1", "a/2.5", "b/1.mp3", "b/x.txt", "a/3.wav", "c/1"]
    found = locate(str(tmp_path / name) for name in names)
    there = ["a/1.flac", "a/1.flac", "a/2.5.wav", "b/1.wav", "b/x.txt"]
    assert found == [str(tmp_path / name) for name in there] + [None, None]


def test_folders_are_listed_once_and_files_not_looked_at(tmp_path, monkeypatch):
    names = [f"{folder}/{i}.wav" for folder in "ab" for i in range(20)]
    make_tree(tmp_path, names)
    paths = [str(tmp_path / name) for name in names]
    looks = Counter()
    for name in ("stat", "listdir"):
        original = getattr(os, name)

        def counted(path, *args, name=name, original=original, **kwargs):
            looks[name, Path(path).name] += 1
            return original(path, *args, **kwargs)

        monkeypatch.setattr(os, name, counted)
    assert locate(paths) == paths
    assert looks == {(n, f): 1 for n in ("stat", "listdir") for f in "ab"}


# AudioSet

IDS = "--PJHxphWEs", "--aE2O5G5WE", "-0RWZT-miFs", "Y0fk1mIbfDa"


def make_audioset(root, files):
    write(
        root,
        "class_labels_indices.csv",
        "index,mid,display_name",
        '0,/m/09x0r,"Speech"',
        '1,/m/05zppz,"Male speech, man speaking"',
        '2,/t/dd00088,"Gush"',
    )
    comments = (
        "# Segments csv created Sun Mar  5 10:54:31 2017",
        "# num_ytids=1, num_segs=1, num_unique_labels=2, num_positive_labels=2",
        "# YTID, start_seconds, end_seconds, positive_labels",
    )
    for part, lines in {
        "balanced_train": [
            f'{IDS[0]}, 30.000, 40.000, "/m/09x0r,/t/dd00088"',
            f'{IDS[1]}, 0.000, 10.000, "/m/05zppz"',
        ],
        "unbalanced_train": [f'{IDS[2]}, 420.000, 430.000, "/m/05zppz"'],
        "eval": [f'{IDS[3]}, 5.000, 15.000, "/m/09x0r"'],
    }.items():
        write(root, f"{part}_segments.csv", *comments, *lines)
    return make_tree(root, files)


AUDIOSET_FILES = (
    f"balanced/{IDS[0]}_30.000.flac",
    f"balanced/Y{IDS[1]}.wav",
    f"unbalanced/part00/{IDS[2]}_420.0-430.0.wav",
    f"eval/{IDS[3]}.mp3",
)


def test_audioset(tmp_path):
    make_audioset(tmp_path, AUDIOSET_FILES)
    train, evaluation = read_audioset(tmp_path)
    assert train.class_names == ("Speech", "Male speech, man speaking", "Gush")
    first, second, third, fourth = (Path(file).name for file in AUDIOSET_FILES)
    balanced = {first: [1, 0, 1], second: [0, 1, 0]}
    assert named(train) == balanced | {third: [0, 1, 0]}
    assert named(evaluation) == {fourth: [1, 0, 0]}
    assert train.note == evaluation.note == ""
    assert named(read_audioset(tmp_path, "unbalanced")[0]) == {third: [0, 1, 0]}
    assert named(open_dataset(f"audioset20k:{tmp_path}")[0]) == balanced


def test_audioset_tells_what_is_missing(tmp_path):
    make_audioset(tmp_path, AUDIOSET_FILES[2:])
    train, evaluation = read_audioset(tmp_path)
    third = Path(AUDIOSET_FILES[2]).name
    assert named(train) == {third: [0, 1, 0]}
    assert evaluation.note == "no clip to train on of 'Speech'"
    assert train.note == (
        f"1 of 3 clips found in '{tmp_path}'; first missing: '{IDS[0]}'; "
        "no clip to train on of 'Speech'"
    )
    with pytest.raises(ValueError, match="no clip to train on: 0 of 2 clips"):
        read_audioset(tmp_path, "balanced")
    with pytest.raises(ValueError, match="`train` is one of full, balanced"):
        read_audioset(tmp_path, "20k")


@pytest.mark.parametrize(
    "line, message",
    [
        (f'{IDS[0]}, 0.0, 10.0, "/m/1"', "Line 4 of .*segments.csv' .* '/m/1'"),
        (f"{IDS[0]}, 0.0, 10.0", "Line 4 .* holds id,start,end,labels"),
        (f'{IDS[0]}, x, 10.0, "/m/09x0r"', "Line 4 .*'start'.* Received: 'x'"),
    ],
)
def test_broken_line_of_audioset(tmp_path, line, message):
    make_audioset(tmp_path, AUDIOSET_FILES)
    write(tmp_path, "eval_segments.csv", "# a", "# b", "# c", line)
    with pytest.raises(ValueError, match=message):
        read_audioset(tmp_path)
    (tmp_path / "eval_segments.csv").unlink()
    with pytest.raises(ValueError, match="There is no file '.*eval_segments"):
        read_audioset(tmp_path)


def test_class_list_of_audioset(shared_data):
    path = shared_data / "audioset" / "class_labels_indices.csv"
    index, names = read_classes(path, "mid")
    assert len(index) == len(set(names)) == 527
    ontology = json.loads(path.with_name("ontology.json").read_text())
    by_mid = {node["id"]: node["name"] for node in ontology}
    assert [by_mid[mid] for mid in index] == names
    assert (index["/m/09x0r"], names[0]) == (0, "Speech")


# VGGSound


def make_vggsound(root):
    write(
        root,
        "vggsound.csv",
        f'{IDS[0]},1,"people marching",test',
        f'{IDS[1]},30,"bird chirping, tweeting",train',
        f"{IDS[2]},141,zebra braying,train",
        f"{IDS[3]},0,people marching,test",
    )
    files = f"{IDS[0]}_000001.wav", f"audio/{IDS[1]}_30000_40000.flac"
    return make_tree(root, [*files, f"{IDS[2]}_000150.wav"])


def test_vggsound(tmp_path):
    train, test = read_vggsound(make_vggsound(tmp_path))
    assert train.class_names == (
        "bird chirping, tweeting",
        "people marching",
        "zebra braying",
    )
    name = f"{IDS[1]}_30000_40000.flac"
    assert named(train) == {name: "bird chirping, tweeting"}
    assert named(test) == {f"{IDS[0]}_000001.wav": "people marching"}
    for clips in (train, test):
        assert clips.note.startswith("1 of 2 clips found")


def test_broken_line_of_vggsound(tmp_path):
    path = make_vggsound(tmp_path) / "vggsound.csv"
    path.write_text(path.read_text() + "a,1,b, c,test\n")
    with pytest.raises(ValueError, match="Line 5 of .* id,start,label,split"):
        read_vggsound(tmp_path)


def test_list_of_vggsound(shared_data, tmp_path):
    lines = []
    for line in (shared_data / "vggsound/test.csv").read_text().splitlines():
        clip, label = line.split(".mp4,")
        label = label.strip('"')
        lines.append(f'{clip[:11]},{int(clip[12:])},"{label}",test')
    clip = lines[0].split(",")[0]
    label = lines[-1].split(",", 2)[2].removesuffix(",test")
    train = f"{'x' * 11},30,{label},train"  # a video of its own
    write(tmp_path, "vggsound.csv", *lines, train)
    found = (clip, lines[-1][:11], train[:11])
    make_tree(tmp_path, [f"{name}.wav" for name in found])
    _, test = read_vggsound(tmp_path)
    _, names = read_classes(
        shared_data / "vggsound" / "class_labels_indices.csv", "mid"
    )
    assert len(names) == 309 and sorted(names) == list(test.class_names)
    assert test.note.startswith("2 of 15,446 clips")


# Kinetics-Sounds


def make_kinetics_sounds(root):
    write(
        root,
        "my_train.txt",
        f"{IDS[0]}_000058_000068,10,4",
        f"{IDS[1]}_000132_000142,10,27",
    )
    write(root, "my_test.txt", f"{IDS[2]}_2,10,23", f"{IDS[3]}_37,10,16")
    files = f"train/{IDS[0]}_000058_000068.wav", f"test/{IDS[2]}_2.wav"
    return make_tree(root, files)


def test_kinetics_sounds(tmp_path):
    train, test = read_kinetics_sounds(make_kinetics_sounds(tmp_path))
    name = f"{IDS[0]}_000058_000068.wav"
    assert named(train) == {name: "dribbling basketball"}
    assert named(test) == {f"{IDS[2]}_2.wav": "shoveling snow"}
    assert train.num_classes == 31 and train.note.startswith("1 of 2 clips")


@pytest.mark.parametrize(
    "line, message",
    [
        (f"{IDS[0]}_1,10,31", "Line 1 of .*my_test.txt' has the label 31"),
        (f"{IDS[0]}_1,10", "Line 1 .* holds clip,length,label"),
        (f"{IDS[0]},10,3", "Line 1 .*'start' is a number. Received: ''"),
    ],
)
def test_broken_line_of_kinetics_sounds(tmp_path, line, message):
    make_kinetics_sounds(tmp_path)
    write(tmp_path, "my_test.txt", line)
    with pytest.raises(ValueError, match=message):
        read_kinetics_sounds(tmp_path)


def test_lists_of_kinetics_sounds(shared_data, tmp_path):
    files = []
    for part in ("train", "test"):
        text = (shared_data / f"kinetics_sounds/my_{part}.txt").read_text()
        (tmp_path / f"my_{part}.txt").write_text(text)
        files += [f"{line.split(',')[0]}.wav" for line in text.split()[:50]]
    make_tree(tmp_path, files)
    train, test = read_kinetics_sounds(tmp_path)
    assert train.note.startswith("50 of 14,799 clips")
    assert test.note.startswith("50 of 2,597 clips")
    # Kinetics-400's list for training
    assert named(train)["--4-0ihtnBU_000058_000068.wav"] == (
        "dribbling basketball"
    )


# VoxCeleb1


def make_voxceleb(root, *lines):
    write(
        root,
        "iden_split.txt",
        "1 id10003/na8-QEFmj44/00003.wav",
        "2 id10003/na8-QEFmj44/00001.wav",
        "3 id10001/1zcIwhmdeo4/00001.wav",
        "1 id10001/7gWzIy6yIIk/00001.wav",
        *lines,
    )
    files = (
        "dev/wav/id10003/na8-QEFmj44/00003.wav",
        ("dev/wav/id10003/na8-QEFmj44/00001.flac"),
    )
    return make_tree(root, [*files, "wav/id10001/1zcIwhmdeo4/00001.wav"])


def test_voxceleb(tmp_path):
    train, validation = read_voxceleb(make_voxceleb(tmp_path))
    assert train.class_names == ("id10001", "id10003")
    assert named(train) == {"00003.wav": "id10003"}
    assert named(validation) == {"00001.flac": "id10003"}
    assert "missing: 'id10001/7gWzIy6yIIk/00001.wav'" in train.note
    _, test = open_dataset(f"voxceleb:{tmp_path}", validate_on="test")
    assert named(test) == {"00001.wav": "id10001"}


@pytest.mark.parametrize(
    "line", ["4 id10003/a/1.wav", "1 id10003/1.wav", "1 id10003/a/1.wav x"]
)
def test_broken_line_of_voxceleb(tmp_path, line):
    with pytest.raises(ValueError, match="Line 5 of '.*iden_split.txt' is '"):
        read_voxceleb(make_voxceleb(tmp_path, line))


def test_list_of_voxceleb(shared_data, tmp_path):
    path = shared_data / "voxceleb" / "iden_split_test_only.txt"
    lines = path.read_text().splitlines()
    first = lines[0].split()[1]
    write(tmp_path, "iden_split.txt", f"1 {first}x.wav", *lines)
    make_tree(tmp_path, [first, f"{first}x.wav"])
    _, test = read_voxceleb(tmp_path, validate_on="test")
    speakers = [f"id{10001 + number}" for number in range(1251)]
    assert list(test.class_names) == speakers
    assert test.note.startswith("1 of 8,251 clips")


# Speech Commands


def make_speech_commands(root):
    files = "bed/a_nohash_0.wav bed/b_nohash_0.wav cat/a_nohash_0.flac".split()
    files += ["cat/c_nohash_1.wav", "_background_noise_/pink_noise.wav"]
    write(root, "validation_list.txt", "bed/b_nohash_0.wav")
    write(
        root, "testing_list.txt", "cat/a_nohash_0.wav", "dog/gone_nohash_0.wav"
    )
    return make_tree(root, files)


def test_speech_commands(tmp_path):
    train, validation = read_speech_commands(make_speech_commands(tmp_path))
    assert train.class_names == ("bed", "cat", "dog")
    assert named(train) == {"a_nohash_0.wav": "bed", "c_nohash_1.wav": "cat"}
    assert named(validation) == {"b_nohash_0.wav": "bed"}
    train, test = read_speech_commands(tmp_path, validate_on="test")
    assert len(train) == 2 and train.note == ""
    assert named(test) == {"a_nohash_0.flac": "cat"}
    assert "1 of 2 clips" in test.note and "dog/gone" in test.note


def test_errors_of_speech_commands(tmp_path):
    make_speech_commands(tmp_path)
    write(tmp_path, "testing_list.txt", "bed/a_nohash_0.wav", "a_nohash_0.wav")
    message = "Line 2 of .*testing_list.txt' is 'a_nohash_0.wav'"
    with pytest.raises(ValueError, match=message):
        read_speech_commands(tmp_path)
    (tmp_path / "testing_list.txt").unlink()
    with pytest.raises(ValueError, match="no file '.*testing_list.txt'"):
        read_speech_commands(tmp_path)
    with pytest.raises(ValueError, match="`validate_on` is one of"):
        read_speech_commands(tmp_path, validate_on="dev")


def test_words_of_speech_commands(shared_data, tmp_path):
    path = shared_data / "labels" / "speechcommands_class_labels_indices.csv"
    _, words = read_classes(path, "mid")
    assert len(words) == 35
    make_tree(tmp_path, [f"{word}/{i}.wav" for word in words for i in range(3)])
    write(tmp_path, "validation_list.txt", *[f"{word}/0.wav" for word in words])
    write(tmp_path, "testing_list.txt", *[f"{word}/1.wav" for word in words])
    train, validation = read_speech_commands(tmp_path)
    assert list(train.class_names) == sorted(words)
    assert len(train) == len(validation) == 35


# FSD50K


def make_fsd50k(root, *lines):
    lists = root / "FSD50K.ground_truth"
    lists.mkdir()
    write(
        lists,
        "vocabulary.csv",
        "0,Accordion,/m/0mkg",
        "1,Bark,/m/05tny_",
        "2,Rain,/m/06mb1",
    )
    write(
        lists,
        "dev.csv",
        "fname,labels,mids,split",
        '64760,"Bark,Rain","/m/05tny_,/m/06mb1",train',
        "16399,Accordion,/m/0mkg,train",
        "16401,Rain,/m/06mb1,val",
        *lines,
    )
    write(lists, "eval.csv", "fname,labels,mids", "37199,Accordion,/m/0mkg")
    files = "dev_audio/64760.wav", "dev_audio/16401.ogg", "eval_audio/37199.wav"
    return make_tree(root, [f"FSD50K.{file}" for file in files])


def test_fsd50k(tmp_path):
    train, validation = read_fsd50k(make_fsd50k(tmp_path))
    assert train.class_names == ("Accordion", "Bark", "Rain")
    assert named(train) == {"64760.wav": [0, 1, 1]}
    assert named(validation) == {"16401.ogg": [0, 0, 1]}
    assert "1 of 2 clips" in train.note and "16399" in train.note
    train, test = read_fsd50k(tmp_path, validate_on="test")
    assert named(train) == {"64760.wav": [0, 1, 1]}
    assert named(test) == {"37199.wav": [1, 0, 0]}


@pytest.mark.parametrize(
    "line, message",
    [
        ("1,Meow,/m/1,train", "Line 5 of .*dev.csv' has the label 'Meow'"),
        ("1,Bark,/m/1,test", "Line 5 .* split 'test'"),
        ("1,Bark", "Line 5 .* fewer columns"),
        ("1,Bark,/m/1,train,val", "Line 5 .* more columns than the 4"),
    ],
)
def test_broken_line_of_fsd50k(tmp_path, line, message):
    with pytest.raises(ValueError, match=message):
        read_fsd50k(make_fsd50k(tmp_path, line))


def test_vocabulary_of_fsd50k(shared_data, tmp_path):
    path = shared_data / "labels" / "fsd50k_class_labels_indices.csv"
    index, names = read_classes(path, "mid")
    make_fsd50k(tmp_path, "16400,Rain,/m/06mb1,val")
    rows = zip(names, index, strict=True)
    lines = [f"{i},{name},{mid}" for i, (name, mid) in enumerate(rows)]
    write(tmp_path / "FSD50K.ground_truth", "vocabulary.csv", *lines)
    train, _ = read_fsd50k(tmp_path)
    assert list(train.class_names) == names and len(names) == 200
    assert [names[i] for i in train.labels[0]] == ["Bark", "Rain"]


# AST's JSON files, and JSON Lines


def make_ast(root, **parts):
    """`data/datafiles/esc_{part}_data_1.json` with relative paths."""
    write(
        root,
        "data/esc_class_labels_indices.csv",
        "index,mid,display_name",
        '0,/m/07rwj00,"dog"',
        '1,/m/07rwj01,"rain"',
    )
    (root / "data" / "datafiles").mkdir()
    for part, entries in parts.items():
        listed = [
            {"wav": f"./data/audio_16k/{name}", "labels": labels}
            for name, labels in entries.items()
        ]
        path = root / "data" / "datafiles" / f"esc_{part}_data_1.json"
        path.write_text(json.dumps({"data": listed}, indent=1))
    make_tree(root / "data" / "audio_16k", ["a.wav", "b.wav", "c.wav"])
    return root / "data" / "datafiles" / "esc_train_data_1.json"


def test_ast_json_of_single_labels(tmp_path, monkeypatch):
    train = {"a.wav": "/m/07rwj01", "x.wav": "/m/07rwj01"}
    path = make_ast(tmp_path, train=train, eval={"b.wav": "/m/07rwj00"})
    train, validation = read_ast_json(path)
    assert train.class_names == ("dog", "rain") and not train.multi_label
    assert named(train) == {"a.wav": "rain"}
    assert named(validation) == {"b.wav": "dog"}
    assert "1 of 2 clips" in train.note and "x.wav" in train.note
    make_tree(path.parent, ["d.wav", "e.wav"])  # bare names lie beside the file
    path.write_text('{"data": [{"wav": "d.wav", "labels": "/m/07rwj01"}]}')
    valid = str(path).replace("train", "eval")
    Path(valid).write_text(path.read_text().replace("d.wav", "e.wav"))
    assert named(read_ast_json(path)[0]) == {"d.wav": "rain"}


def test_ast_json_counts_from_the_current_folder_first(tmp_path, monkeypatch):
    train = {"a.wav": "/m/07rwj01"}
    path = make_ast(tmp_path, train=train, eval={"b.wav": "/m/07rwj00"})
    monkeypatch.chdir(tmp_path)  # as AST's own scripts run
    assert named(read_ast_json(path)[0]) == {"a.wav": "rain"}


def test_ast_json_of_several_labels(tmp_path):
    path = make_ast(
        tmp_path,
        train={"a.wav": "/m/07rwj01,/m/07rwj00"},
        valid={"b.wav": "/m/07rwj00"},
        eval={"c.wav": "/m/07rwj01"},
    )
    train, validation = open_dataset(f"ast:{path}")
    assert named(train) == {"a.wav": [1, 1]}
    assert named(validation) == {"b.wav": [1, 0]}
    other = path.with_name("esc_eval_data_1.json")
    _, evaluation = open_dataset(f"ast:{path}", validate_on=str(other))
    assert named(evaluation) == {"c.wav": [0, 1]}


def test_errors_of_ast_json(tmp_path):
    path = make_ast(tmp_path, train={"a.wav": "/m/1"})
    with pytest.raises(ValueError, match="'valid' or 'eval'.*`validate_on`"):
        read_ast_json(path)
    with pytest.raises(ValueError, match="Entry 1 of '.*json' .* '/m/1'"):
        read_ast_json(path, path)
    path.write_text('{"data": [{"wav": "a.wav"}]}')
    with pytest.raises(ValueError, match="Entry 1 .* 'wav' and 'labels'"):
        read_ast_json(path, path)
    for text in ("[]", "{", "{}"):
        path.write_text(text)
        with pytest.raises(ValueError, match="is no data file of AST"):
            read_ast_json(path, path)
    (tmp_path / "data" / "esc_class_labels_indices.csv").unlink()
    with pytest.raises(ValueError, match="needs a class list.*`class_list`"):
        read_ast_json(path, path)


def write_jsonl(root, *rows):
    make_tree(root, ["a.wav", "b.wav", "c.flac", "d.wav"])
    return write(root, "list.jsonl", *map(json.dumps, rows))


def test_jsonl_of_several_labels(tmp_path):
    path = write_jsonl(
        tmp_path,
        {"path": "a.wav", "labels": ["rain", "dog"], "split": "train"},
        {"path": "b.wav", "labels": [], "split": "train"},
        {"path": "c.wav", "labels": ["dog\u2028"], "split": "test"},
        {"path": "e.wav", "labels": ["dog"], "split": "train"},
    )
    train, test = read_jsonl(path, validate_on="test")
    assert train.class_names == ("dog", "rain")
    assert named(train) == {"a.wav": [1, 1], "b.wav": [0, 0]}
    assert named(test) == {"c.flac": [1, 0]}
    assert "2 of 3 clips" in train.note


def test_jsonl_of_single_labels(tmp_path):
    rows = [("a.wav", "x", 1), ("b.wav", "y", 1), ("d.wav", "x", 2)]
    keys = ("path", "label", "fold")
    path = write_jsonl(
        tmp_path, *(dict(zip(keys, r, strict=True)) for r in rows)
    )
    train, validation = open_dataset(f"jsonl:{path}", fold=2)
    assert named(train) == {"a.wav": "x", "b.wav": "y"}
    assert named(validation) == {"d.wav": "x"}


@pytest.mark.parametrize(
    "line, message",
    [
        ("{", "Line 2 of .* is not JSON"),
        ('{"label": "x"}', "Line 2 .* keys path, label"),
        ('{"path": "b.wav", "label": [3]}', r"Line 2 .*'label' is \[3\], no"),
        ("[1]", r"Line 2 .* object .* Received: \[1\]"),
        ('{"path": 3, "label": "x"}', "Line 2 .*'path' is 3. Write"),
    ],
)
def test_broken_line_of_jsonl(tmp_path, line, message):
    path = write_jsonl(tmp_path, {"path": "a.wav", "label": "x"})
    path.write_text(path.read_text() + line)
    with pytest.raises(ValueError, match=message):
        read_jsonl(path)
    several = {"path": "a.wav", "labels": ["x", None], "fold": 1}
    path = write_jsonl(tmp_path, several)
    with pytest.raises(ValueError, match="'labels' is None, no text"):
        read_jsonl(path, fold=1)
    path = write_jsonl(tmp_path, {**several, "labels": [], "fold": None})
    with pytest.raises(ValueError, match="'fold' is a whole number.*None"):
        read_jsonl(path, fold=1)
    path.write_text("\n")
    with pytest.raises(ValueError, match="lists no clip"):
        read_jsonl(path)


def test_order_of_clips_is_that_of_the_list(tmp_path):
    make_tree(tmp_path, ["c.wav", "a.wav", "b.wav", "d.wav"])
    rows = [{"path": f"{n}.wav", "label": n, "fold": 1} for n in "cab"]
    rows.append({"path": "d.wav", "label": "c", "fold": 2})
    path = write(tmp_path, "list.jsonl", *map(json.dumps, rows))
    train, _ = read_jsonl(path, fold=2)
    np.testing.assert_array_equal(train.labels, [2, 0, 1])


@pytest.mark.parametrize(
    "kind, held_out, options",
    [
        ("digits", "theo", {"speaker": "theo"}),
        ("esc50", "2", {"fold": 2}),
        ("voxceleb", "test", {"validate_on": "test"}),
        ("audioset", "", {}),
    ],
)
def test_held_out_part_of_a_recipe(kind, held_out, options, monkeypatch):
    given = {}
    monkeypatch.setattr(
        registry, "open_dataset", lambda spec, **more: given.update(more)
    )
    recipe.Recipe(data=f"{kind}:x", held_out=held_out).open_data()
    assert given == options
