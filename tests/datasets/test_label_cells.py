"""Labels mean what they say, however a table writes them."""

import csv
import json

import pytest
from audio_trees import make_csv, named, write_wav

from keras_c2f.datasets import read_csv, read_jsonl
from keras_c2f.datasets.label_cells import read_labels
from keras_c2f.datasets.lines import number

pytestmark = pytest.mark.once
DOG_RAIN = [("dog", "rain"), ("cat", "rain"), ("dog",), ()]


def rows(column, *cells):
    return [(f"Row {i}", {column: cell}) for i, cell in enumerate(cells)]


def read(column, *cells, **options):
    return read_labels(rows(column, *cells), "clips.csv", **options)


@pytest.mark.parametrize(
    ("cells", "remark"),
    [
        (("dog;rain", "cat; rain", " dog ", ""), ""),
        (("dog;rain;", ";cat;;rain", "dog", " "), ""),
        (("dog|rain", "cat | rain", "dog", ""), "separated by '|'"),
        (("dog,rain", "cat,rain", "dog", ""), "separated by ','"),
        (("['dog', 'rain']", "['cat','rain',]", "['dog']", "[]"), ""),
        (('["dog", "rain"]', '["cat", "rain"]', "['dog']", "[]"), ""),
        (("('dog', 'rain')", "{'cat', 'rain'}", "('dog')", "[ ]"), ""),
        (("[dog, rain]", "[cat,rain]", "[dog]", "[]"), ""),
        ((["dog", "rain"], ["cat", " rain"], ["dog"], []), ""),
    ],
)
def test_several_labels_in_many_forms(cells, remark):
    names, several, said = read("labels", *cells)
    assert several and [sorted(row) for row in names] == [
        sorted(row) for row in DOG_RAIN
    ]
    assert remark in said and bool(said) == bool(remark)


def test_commas_in_names_stay_where_something_else_separates():
    names, _, _ = read("labels", "Dog, barking;Rain", "Speech, child")
    assert names == [("Dog, barking", "Rain"), ("Speech, child",)]
    names, _, _ = read("labels", '["Dog, barking", "it\'s; odd"]')
    assert names == [("Dog, barking", "it's; odd")]


def test_a_class_list_says_what_a_comma_is():
    cells = ("Dog, barking", "Rain")
    names, _, _ = read("labels", *cells, class_names=["Dog, barking", "Rain"])
    assert names == [("Dog, barking",), ("Rain",)]
    classes = ["Dog", "Rain", "barking"]
    names, _, _ = read("labels", *cells, class_names=classes)
    assert names == [("Dog", "barking"), ("Rain",)]


def test_one_label_keeps_its_comma_and_it_is_said():
    names, several, remark = read("label", "Dog, barking", "Rain")
    assert names == [("Dog, barking",), ("Rain",)] and not several
    assert "commas and all: 'Dog, barking'" in remark
    odd = ("[noise]", "(none)", "a|b", "it's {x}")
    names, _, remark = read("label", *odd)
    assert names == [(name,) for name in odd]
    assert not remark


@pytest.mark.parametrize(
    ("column", "cells", "sentence"),
    [
        (
            "labels",
            ("Dog, barking", "Rain"),
            "Row 0: .* a comma in its",
        ),
        ("labels", ("a;b", "a|b"), "Row 0 .*'a;b'.* Row 1 .*'a|b'"),
        ("labels", ("['dog' 'rain']",), "as a list and is none"),
        ("labels", ("['dog', 3]",), "as a list and is none"),
        ("labels", ("[dog] and [rain]",), "as a list and is none"),
        ("labels", ([["dog"]],), r"Row 0: 'labels' is \['dog'\], no text"),
        ("labels", ({"dog": 1},), "no text"),
        ("labels", (None,), "Row 0: 'labels' is None"),
        ("label", (True,), "Row 0: 'label' is True"),
        ("label", (1.5,), "no text"),
        ("label", (float("nan"),), "no text"),
        ("label", ("dog", " "), "Row 1 has the label ''"),
        ("label", ("['dog', 'rain']",), "names several.* column 'labels'"),
        ("label", ("['dog']",), "column 'labels'"),
        (
            "label",
            ("dog", "rain", "dog;rain"),
            "'dog;rain', which names",
        ),
        (
            "label",
            ("dog", "rain", "dog,rain"),
            "'dog,rain', which names",
        ),
        ("class", ("dog",), "needs one column 'label'"),
        ("labels", ("[1, 0, 0]", "[0, 1, 1]"), "a 0 or 1 for each class"),
        ("labels", ("1 0 0", "0 1.0 1"), "Row 0: .* a 0 or 1 for each class"),
        ("labels", ("dog", "rain;dog:0.5"), "'dog:0.5' .* a number behind the"),
        ("labels", (["rain = .25"],), "'rain = .25' .* a number behind the"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(column, cells, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(column, *cells)


def test_numbers_and_two_ways_to_write_a_name():
    names, _, remark = read("label", 3, "3", 3.0, "Vo\u0308gel", "V\xf6gel")
    assert names == [("3",)] * 3 + [("V\xf6gel",)] * 2 and not remark
    _, _, remark = read("label", "Dog", "dog", "rain")
    assert remark.endswith(" alone: 'Dog' and 'dog'")
    _, _, remark = read("label", "1", "1.0", "01", "2")
    assert remark.endswith(" alone: '01' and '1' and '1.0'")
    for name in ("dog\u200b", "\ufeffdog", "DOG"):
        _, _, remark = read("label", "dog", name)
        assert "alone: " in remark and repr(name) in remark
    for name in ("hot_dog", "hot  dog", "hot-dog"):
        assert "alone: " in read("label", "hot dog", name)[2]
    assert not read("labels", "0;1", "1;2", "GO:15", "a1")[2]
    _, _, remark = read("label", "dog", "NaN")
    assert remark == "a class is called 'NaN', which may be a gap"


@pytest.mark.parametrize("mark", [" ", "  ", "_", "-", " and ", "_and_"])
def test_words_that_are_names_are_said(mark):
    """Names of several words are none, but where each word is a class."""
    text = f"dog{mark}rain"
    _, _, remark = read("labels", text, "rain", "dog")
    assert f"{text!r} of 'labels' is one class" in remark
    assert not read("labels", text, "rain", "cat")[2]
    assert not read("labels", text, "rain;dog")[2]


@pytest.mark.parametrize("mark", ["/", "+", " & ", ":"])
def test_marks_that_do_not_separate_are_said(mark):
    names, _, remark = read("labels", f"dog{mark}rain", "rain")
    assert names == [(f"dog{mark}rain",), ("rain",)]
    assert f"'dog{mark}rain' of 'labels' is one class" in remark
    assert not read("labels", f"dog{mark}rain", "rain;dog")[2]


FILES = ("a.wav", "b.wav", "c.wav", "d.wav")
LABELS = ("dog", "rain", "dog", "rain")
RIGHT = dict(zip(FILES[:2], LABELS, strict=False))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("begin", ["", "\ufeff"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_tables_as_spreadsheets_write_them(
    tmp_path, delimiter, begin, line_end
):
    table = [("Path", " LABEL ", "Fold", "note")]
    for index, (file, label) in enumerate(zip(FILES, LABELS, strict=True)):
        write_wav(tmp_path / file)
        table.append((f" {file} ", f"{label} ", f"{1 + index // 2}.0", ""))
    table += [("", "", "", ""), (" ", "", "", "")]
    path = tmp_path / "clips.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        file.write(begin)
        writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end)
        writer.writerows(table)
        file.write(delimiter * 6 + line_end)  # more than there are columns
    train, validation = read_csv(path, fold=2)
    assert named(train) == RIGHT and len(validation) == 2
    assert not train.note


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column 'path'.* it is empty"),
        ("\n\n", "no column 'path'"),
        ("path,label\n\n,\n", "only a header"),
        ("path,Label,label\na.wav,x,y\n", "2 columns 'label'"),
        ("path,label,PATH\na.wav,x,y\n", "2 columns 'path'"),
        ('path,label\n"a.wav,x\nb.wav,y\n', "is no CSV file"),
        ("path,label\n\0,x\n", r"Line 2 .*'path' is '.x00'"),
        ("path,label\n,x\n", "Line 2 .*'path' is ''"),
        ("path:label\na.wav:x\n", r"columns: \['path:label'\]"),
        (f"path,label\na.wav,{'x' * 200_000}\n", "is no CSV file"),
    ],
)
def test_tables_that_are_none(tmp_path, text, sentence):
    (tmp_path / "clips.csv").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_csv(tmp_path / "clips.csv")


def test_how_labels_were_read_is_in_the_note(tmp_path):
    lines = [
        f"{name}.wav,{label}"
        for name, label in zip("abcd", "xyxy", strict=True)
    ]
    lines = [line.replace("x", "x|z") for line in lines]
    train, validation = read_csv(make_csv(tmp_path, "path,labels", *lines))
    assert train.note == validation.note == "'labels' are separated by '|'"
    assert train.class_names == ("x", "y", "z")


@pytest.mark.parametrize(
    ("entries", "classes"),
    [
        ([{"labels": ["dog", " rain"]}, {"labels": []}], ("dog", "rain")),
        ([{"labels": "dog;rain"}, {"labels": "['rain']"}], ("dog", "rain")),
        ([{"label": 10}, {"label": "2"}], ("10", "2")),
    ],
)
def test_json_lines(tmp_path, entries, classes):
    lines = []
    for index, entry in enumerate(entries * 2):
        write_wav(tmp_path / FILES[index])
        split = "train" if index < 2 else "validation"
        lines.append({"path": FILES[index], **entry, "split": split})
    path = tmp_path / "clips.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    train, _ = read_jsonl(path)
    assert train.class_names == classes


def test_a_key_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "clips.jsonl"
    path.write_text('{"path": "a.wav", "label": "x", "label": "y"}')
    with pytest.raises(ValueError, match="a key comes twice"):
        read_jsonl(path)


@pytest.mark.parametrize("text", ["1", " 1", "1.0", 1, 1.0])
def test_whole_numbers(text):
    assert number(text, "fold", "Row 0") == 1


@pytest.mark.parametrize("text", ["", "1.5", 1.5, "nan", "inf", None, [1], "a"])
def test_what_is_no_whole_number(text):
    with pytest.raises(ValueError, match="Row 0: 'fold' is a whole number"):
        number(text, "fold", "Row 0")
