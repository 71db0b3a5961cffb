from collections import Counter
from pathlib import Path

import pytest
from audio_trees import make_csv, make_tree, named, write_wav

from keras_c2f.datasets import (
    open_dataset,
    read_ast_json,
    read_csv,
    read_digits,
    read_esc50,
    read_folder,
    read_jsonl,
    read_unlabelled,
)
from keras_c2f.datasets.registry import draws_parts, holding_out

pytestmark = pytest.mark.once

# Folders


def test_folder_takes_recordings_of_each_class(tmp_path):
    files = "b/1.wav b/2.FLAC b/3.Mp3 a/1.ogg a/2.wav".split()
    ignored = "b/.4.wav b/notes.txt .git/1.wav __MACOSX/1.wav loose.wav".split()
    train, validation = read_folder(make_tree(tmp_path, files + ignored))
    assert train.class_names == ("a", "b")
    used = sorted(train.audio + validation.audio)
    assert used == sorted(str(tmp_path / file) for file in files)
    for clips in (train, validation):
        folders = [Path(audio).parent.name for audio in clips.audio]
        assert folders == [clips.class_names[i] for i in clips.labels]


def test_folder_splits_each_class(tmp_path):
    sizes = {"one": 1, "two": 2, "ten": 10}
    files = [f"{k}/{i}.wav" for k, n in sizes.items() for i in range(n)]
    train, validation = read_folder(make_tree(tmp_path, files), 0.3)
    assert Counter(named_classes(train)) == {"one": 1, "two": 1, "ten": 7}
    assert Counter(named_classes(validation)) == {"two": 1, "ten": 3}
    share = read_folder(tmp_path, 0.99)[0]  # still one of each to train on
    assert Counter(named_classes(share)) == {"one": 1, "two": 1, "ten": 1}


def named_classes(clips):
    return [clips.class_names[label] for label in clips.labels]


def test_folder_split_depends_on_the_seed_only(tmp_path):
    make_tree(tmp_path, [f"{k}/{i:02}.wav" for k in "ab" for i in range(20)])
    first = read_folder(tmp_path, seed=3)[1].audio
    assert read_folder(tmp_path, seed=3)[1].audio == first
    assert read_folder(tmp_path, seed=4)[1].audio != first
    in_a = [audio for audio in first if Path(audio).parent.name == "a"]
    write_wav(tmp_path / "b" / "more.wav")
    again = read_folder(tmp_path, seed=3)[1].audio
    assert [s for s in again if Path(s).parent.name == "a"] == in_a


@pytest.mark.parametrize(
    "files, share, message",
    [
        ([], 0.2, "has none"),
        (["a/1.wav"], 0.2, "has only 'a'"),
        (["a/1.wav", "b/deep/.1.wav"], 0.2, "'.*b' has no audio"),
        (["a/1.wav", "b/1.wav"], 0.2, "single clip"),
        (["a/1.wav", "b/1.wav"], 1.0, "between 0 and 1. Received: 1.0"),
        (["train/a/1.wav", "Val/a/1.wav"], 0.2, "called Val, train: parts"),
        (["fold1/1.wav", "fold10/1.wav"], 0.2, "called fold1, fold10: parts"),
    ],
)
def test_folder_errors(tmp_path, files, share, message):
    with pytest.raises(ValueError, match=message):
        read_folder(make_tree(tmp_path, files), share)


def test_folders_that_differ_in_case_are_said(tmp_path):
    make_tree(tmp_path, ["dog/1.wav"])
    if (tmp_path / "DOG").exists():
        pytest.skip("the file system takes both names for one")
    make_tree(tmp_path, ["dog/2.wav", "Dog/1.wav", "Dog/2.wav"])
    train, _ = read_folder(tmp_path)
    assert train.class_names == ("Dog", "dog")
    assert "alone: 'Dog' and 'dog'" in train.note


@pytest.mark.parametrize(
    "name",
    ["$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir"],
)
def test_folders_that_systems_make_are_no_classes(tmp_path, name):
    files = ["a/1.wav", "a/2.wav", "b/1.wav", "b/2.wav"]
    make_tree(tmp_path, [*files, f"{name}/3.wav", f"a/{name.lower()}/4.wav"])
    train, _ = read_folder(tmp_path)
    assert train.class_names == ("a", "b")
    assert "4 used; left out: 2 hidden" in train.note


def test_recordings_of_a_folder_need_no_classes(tmp_path):
    files = "1.wav b/2.FLAC b/deep/3.Mp3 b/deep/4.ogg".split()
    ignored = "b/.4.wav notes.txt .git/1.wav b/__MACOSX/1.wav".split()
    make_tree(tmp_path, files + ignored)
    train, validation = read_unlabelled(tmp_path, validation_share=0.25)
    assert (len(train), len(validation)) == (3, 1)
    used = sorted(train.audio + validation.audio)
    assert used == sorted(str(tmp_path / file) for file in files)
    assert train.num_classes == 0
    assert open_dataset(f"audio:{tmp_path}")[0].targets().shape[1] == 0
    (tmp_path / "one").mkdir()
    write_wav(tmp_path / "one" / "1.wav")
    with pytest.raises(ValueError, match="at least two files.*and has 1"):
        read_unlabelled(tmp_path / "one")


def test_missing_folder(tmp_path):
    with pytest.raises(ValueError, match="is not there"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is a file"):
        read_folder(write_wav(tmp_path / "a.wav"))


# CSV files


def test_csv_of_single_labels_by_fold(tmp_path):
    path = make_csv(
        tmp_path,
        "path,label,fold",
        "a.wav,rain,1",
        f"{tmp_path / 'b.wav'},dog,2",
        "c.wav,dog,3",
    )
    train, validation = read_csv(path, fold=2)
    assert named(train) == {"a.wav": "rain", "c.wav": "dog"}
    assert named(validation) == {"b.wav": "dog"}
    assert train.class_names == ("dog", "rain")
    assert all(Path(audio).is_file() for audio in train.audio)


def test_csv_of_several_labels_by_split(tmp_path):
    path = make_csv(
        tmp_path,
        "\ufeffpath,labels,split",  # as spreadsheets save it
        "a.wav,dog; rain,train",
        "b.wav,,train",
        "c.wav,cat,Validation",
        "d.wav,rain,test",
    )
    train, validation = read_csv(path)
    assert train.class_names == ("cat", "dog", "rain")
    assert named(train) == {"a.wav": [0, 1, 1], "b.wav": [0, 0, 0]}
    assert named(validation) == {"c.wav": [1, 0, 0]}
    assert named(read_csv(path, validate_on="test")[1]) == {"d.wav": [0, 0, 1]}


def test_columns_that_are_not_used_are_said(tmp_path):
    """A start in seconds, which would be taken for a label of the whole."""
    lines = ["a.wav,x,0,1,train", "b.wav,y,1,2,train", "c.wav,y,0,1,test"]
    path = make_csv(tmp_path, "path,label,start,fold,split", *lines)
    for options, unused in (
        ({"validate_on": "test"}, "'start', 'fold'"),
        ({"fold": 2}, "'start', 'split'"),
    ):
        for part in read_csv(path, **options):
            assert f"columns not used: {unused}" in part.note
    path = make_csv(tmp_path, "path,label,fold", "a.wav,x,1", "b.wav,y,2")
    assert "not used" not in read_csv(path, fold=2)[0].note


@pytest.mark.parametrize("column", ["label", "labels"])
def test_classes_without_a_clip_to_train_on_are_said(tmp_path, column):
    lines = ["a.wav,x,1", "b.wav,y,1", "c.wav,z,2", "d.wav,x,2"]
    path = make_csv(tmp_path, f"path,{column},fold", *lines)
    for part in read_csv(path, fold=2):
        assert part.note == "no clip to train on of 'z'"
    for part in read_csv(path, fold=1):  # z is in training alone
        assert part.note == "no clip to train on of 'y'"


def test_csv_of_clips_without_a_label_can_be_divided(tmp_path):
    lines = ["a.wav,", "b.wav,", "c.wav,", "d.wav,x", "e.wav,x", "f.wav,y"]
    path = make_csv(tmp_path, "path,labels", *lines)
    train, validation = read_csv(path)
    assert (len(train), len(validation)) == (4, 2)


def test_csv_without_fold_or_split_keeps_class_shares(tmp_path):
    lines = [
        f"{file},{label}"
        for file, label in zip("abcdef", "xxxyyy", strict=True)
    ]
    lines = [line.replace(",", ".wav,") for line in lines]
    train, validation = read_csv(make_csv(tmp_path, "path,label", *lines))
    assert Counter(named_classes(train)) == {"x": 2, "y": 2}
    assert Counter(named_classes(validation)) == {"x": 1, "y": 1}


@pytest.mark.parametrize(
    "name, text",
    [
        ("classes.txt", "rain\n\ndog\ncat\n"),
        (
            "classes.csv",
            "index,mid,display_name\n0,/m/1,rain\n1,/m/2,dog\n2,/m/3,cat\n",
        ),
    ],
)
def test_class_list_fixes_the_order(tmp_path, name, text):
    path = make_csv(tmp_path, "path,label,fold", "a.wav,dog,1", "b.wav,rain,2")
    (tmp_path / name).write_text(text)
    train, _ = read_csv(path, fold=2, class_list=tmp_path / name)
    assert train.class_names == ("rain", "dog", "cat")
    assert train.labels.tolist() == [1]
    (tmp_path / name).write_text(text.replace("dog", "frog"))
    with pytest.raises(ValueError, match="Line 2 of .* label 'dog'"):
        read_csv(path, fold=2, class_list=tmp_path / name)
    (tmp_path / name).write_text(text.replace("cat", "dog"))
    with pytest.raises(ValueError, match="names 'dog' twice"):
        read_csv(path, fold=2, class_list=tmp_path / name)
    with pytest.raises(ValueError, match="no class list"):
        read_csv(path, fold=2, class_list=tmp_path / "none.txt")


@pytest.mark.parametrize(
    "lines, options, message",
    [
        (["file,label", "a.wav,x"], {}, "no column 'path'"),
        (["path,label"], {}, "only a header"),
        (["path,class", "a.wav,x"], {}, "needs one column 'label'"),
        (["path,label,labels", "a.wav,x,x"], {}, "needs one column 'label'"),
        (["path,label", "a.wav,x", "b.wav,"], {}, "Line 3 .* label ''"),
        (["path,label", "a.wav,x", "b.wav"], {}, "Line 3 .* fewer columns"),
        (["path,label,fold", "a.wav,x,1"], {}, "give the `fold`"),
        (["path,label", "a.wav,x"], {"fold": 1}, "no column 'fold'"),
        (["path,label,fold", "a.wav,x,one"], {"fold": 1}, "Received: 'one'"),
        (
            ["path,label,fold", "a.wav,x,1", "b.wav,y,3"],
            {"fold": 2},
            "no fold 2. Choose from: 1, 3",
        ),
        (["path,label,fold", "a.wav,x,1"], {"fold": 1}, "leaves none to train"),
        (
            ["path,label,split", "a.wav,x,train", "b.wav,y,test"],
            {},
            "no split 'validation'. Choose from: 'test', 'train'",
        ),
        (["path,label,split", "a.wav,x,dev"], {}, "Received: 'dev'"),
        (
            ["path,label,split", "a.wav,x,train"],
            {"validate_on": "dev"},
            "`validate_on` is one of validation, test. Received: .*'dev'",
        ),
        (["path,label", "a, b.wav,x"], {}, "Line 2 .* has more columns"),
        (
            ["path,label,fold", "a.wav,x,2", "q.wav,y,1", "r.wav,y,1"],
            {"fold": 1},
            "to validate on: 0 of 2 clips found in .* missing: '.*q.wav'",
        ),
        (["path,label", "a.wav,x", "b.wav,x"], {}, "at least two"),
    ],
)
def test_csv_errors(tmp_path, lines, options, message):
    with pytest.raises(ValueError, match=message):
        read_csv(make_csv(tmp_path, *lines), **options)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "txt"])
def test_lists_that_are_not_utf8_are_named(tmp_path, ending):
    """As Excel writes them on a Western European Windows."""
    path = tmp_path / f"list.{ending}"
    path.write_bytes('path,label\n{"path": "bär.wav"}'.encode("cp1252"))
    header, line = "index,mid,display_name", "0,/a,a"
    classes = make_csv(tmp_path, header, line, name="classes.csv", files="")
    clips = make_csv(tmp_path, "path,label", "a.wav,x", name="clips.csv")
    read = {
        "csv": read_csv,
        "jsonl": read_jsonl,
        "json": lambda path: read_ast_json(path, path, classes),
        "txt": lambda path: read_csv(clips, class_list=path),
    }[ending]
    with pytest.raises(ValueError, match=rf"list.{ending}' is not UTF-8.*Save"):
        read(path)


def test_missing_csv(tmp_path):
    with pytest.raises(ValueError, match="There is no file"):
        read_csv(tmp_path / "none.csv")


# ESC-50. Layout and numbers: the official meta/esc50.csv.


def make_esc50(root):
    make_tree(root / "audio", [f"{name}.wav" for name in "abcd"])
    make_csv(
        root,
        "filename,fold,target,category,esc10,src_file,take",
        "a.wav,1,0,dog,True,1,A",
        "b.wav,2,36,vacuum_cleaner,False,2,A",
        "c.wav,2,10,rain,True,3,A",
        "d.wav,3,0,dog,True,4,A",
        name="meta/esc50.csv",
        files="",
    )
    return root


def test_esc50_holds_out_a_fold(tmp_path):
    train, validation = read_esc50(make_esc50(tmp_path), fold=2)
    assert train.class_names == ("dog", "rain", "vacuum_cleaner")
    assert named(train) == {"a.wav": "dog", "d.wav": "dog"}
    assert named(validation) == {"b.wav": "vacuum_cleaner", "c.wav": "rain"}


def test_esc10_is_renumbered(tmp_path):
    train, validation = read_esc50(make_esc50(tmp_path), fold=3, esc10=True)
    assert train.class_names == ("dog", "rain")
    assert train.labels.tolist() == [0, 1]
    assert named(validation) == {"d.wav": "dog"}


def test_esc50_errors(tmp_path):
    root = make_esc50(tmp_path)
    with pytest.raises(ValueError, match="no fold 4. Choose from: 1, 2, 3"):
        read_esc50(root, fold=4)
    table = root / "meta" / "esc50.csv"
    table.write_text(table.read_text().replace("True", "False"))
    with pytest.raises(ValueError, match="no clip as ESC-10"):
        read_esc50(root, esc10=True)


def test_esc50_recordings(shared_data):
    train, validation = read_esc50(shared_data / "esc50", fold=5)
    assert (len(train), len(validation)) == (1600, 400)
    assert set(Counter(train.labels.tolist()).values()) == {32}
    for audio, label in zip(validation.audio, validation.labels, strict=True):
        fold, *_, target = Path(audio).stem.split("-")  # as files are named
        assert (int(fold), int(target)) == (5, label)
    train, validation = read_esc50(shared_data / "esc50", esc10=True)
    assert (len(train), len(validation)) == (320, 80)
    # Piczak 2015, table 1
    assert sorted(train.class_names) == sorted(
        "dog rooster rain sea_waves crackling_fire crying_baby sneezing "
        "clock_tick helicopter chainsaw".split()
    )


# Free Spoken Digit Dataset


@pytest.mark.parametrize("listed", [True, False])
def test_digits_of_both_layouts(tmp_path, listed):
    names = "7_theo_0.wav 7_theo_5.wav 0_lucas_4.wav 0_lucas_49.wav".split()
    make_tree(tmp_path / ("audio" if listed else "recordings"), names)
    if listed:
        make_csv(tmp_path, "filename", *names, name="meta.csv", files="")
    train, validation = read_digits(tmp_path)
    assert named(train) == {"7_theo_5.wav": "7", "0_lucas_49.wav": "0"}
    assert named(validation) == {"7_theo_0.wav": "7", "0_lucas_4.wav": "0"}
    train, validation = read_digits(tmp_path, speaker="theo")
    assert named(train) == {"0_lucas_4.wav": "0", "0_lucas_49.wav": "0"}
    assert set(named(validation)) == {"7_theo_0.wav", "7_theo_5.wav"}
    assert train.num_classes == 10
    with pytest.raises(ValueError, match="speaker 'Theo'. .* 'lucas', 'theo'"):
        read_digits(tmp_path, speaker="Theo")


def test_digits_errors(tmp_path):
    with pytest.raises(ValueError, match="no file '.*meta.csv'"):
        read_digits(tmp_path)
    (tmp_path / "recordings").mkdir()
    with pytest.raises(ValueError, match="has no audio in it"):
        read_digits(tmp_path)
    write_wav(tmp_path / "recordings" / "seven.wav")
    with pytest.raises(ValueError, match="Received: 'seven.wav'"):
        read_digits(tmp_path)


def test_digits_recordings(shared_data):
    train, validation = read_digits(shared_data / "fsdd")
    assert (len(train), len(validation)) == (2700, 300)
    train, validation = read_digits(shared_data / "fsdd", speaker="nicolas")
    assert (len(train), len(validation)) == (2500, 500)
    assert Counter(validation.labels.tolist()) == dict.fromkeys(range(10), 50)


# Data sets by name


def test_open_dataset_passes_options_on(tmp_path):
    make_esc50(tmp_path)
    assert len(open_dataset(f"esc50:{tmp_path}")[0]) == 3
    assert len(open_dataset(f"esc50:{tmp_path}", fold=2)[0]) == 2
    assert open_dataset(f"esc10:{tmp_path}")[0].num_classes == 2
    make_tree(tmp_path / "sorted", ["a/1.wav", "a/2.wav", "b/1.wav", "b/2.wav"])
    assert len(open_dataset(f"folder:{tmp_path / 'sorted'}")[1]) == 2


def test_made_data_sets_have_no_path():
    for name in ("timing", "timbre"):
        train, validation = open_dataset(
            name, clips_per_class=2, validation_clips_per_class=1
        )
        assert len(train) == 2 * len(validation) == 2 * train.num_classes


@pytest.mark.parametrize(
    "spec, options, message",
    [
        ("esc5:x", {}, "'esc5'. Did you mean 'esc50'"),
        ("zzz:x", {}, "'zzz'. Known: folder:PATH, .* keywords"),
        ("{path}", {}, "Did you mean 'folder:"),
        ("{path}/a.wav", {}, "Did you mean 'csv:"),
        ("{path}/a.jsonl", {}, "Did you mean 'jsonl:"),
        ("{path}/a.json", {}, "Did you mean 'ast:"),
        ("folder", {}, "Write `folder:PATH`. Received: 'folder'"),
        ("keywords:x", {}, "Write `keywords`"),
        ("timing:x", {}, "Write `timing`"),
        ("digits:x", {"fold": 1}, "no option 'fold'. Known: speaker"),
        ("digits:x", {"speakr": "x"}, "Did you mean 'speaker'"),
        ("esc10:x", {"esc10": False}, "no option 'esc10'"),
        ("voxceleb1:x", {}, "Did you mean 'voxceleb'"),
        ("audioset:x", {"validate_on": "test"}, "Known: train"),
        ("vggsound:x", {"fold": 1}, "Known: none"),
        ("folder:/no/such", {}, "'/no/such' is not there"),
    ],
)
def test_open_dataset_errors(tmp_path, spec, options, message):
    for name in ("a.wav", "a.json", "a.jsonl"):
        write_wav(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        open_dataset(spec.format(path=tmp_path), **options)


@pytest.mark.parametrize(
    "kind, part, option",
    [
        ("esc50", "2", {"fold": 2}),
        ("digits", "theo", {"speaker": "theo"}),
        ("digits", "7", {"speaker": "7"}),
        ("csv", "test", {"validate_on": "test"}),
        ("ast", "eval.json", {"validate_on": "eval.json"}),
        ("nothing", "1", {"validate_on": "1"}),  # refused as a whole
    ],
)
def test_parts_to_hold_out(kind, part, option):
    assert holding_out(kind, part) == option


@pytest.mark.parametrize(
    "spec, drawn", [("folder:x", True), ("esc10:x", False), ("timing", False)]
)
def test_which_parts_may_be_drawn(spec, drawn):
    assert draws_parts(spec) == drawn


@pytest.mark.parametrize(
    "kind, part, message",
    [
        ("vggsound", "1", "'vggsound' has no split '1' .* its own"),
        ("folder", "test", "'folder' has no split 'test' .* or draws them"),
        ("esc50", "test", "Name the number of a fold"),
    ],
)
def test_parts_that_are_not_there(kind, part, message):
    with pytest.raises(ValueError, match=message):
        holding_out(kind, part)
