"""Names of outputs, on the file system that the tests run on and on others."""

import itertools
import os
import unicodedata

import pytest

from keras_c2f.training.run_folder import evaluation_name, write_evaluation
from keras_c2f.utils.file_names import FileNames, file_name
from keras_c2f.utils.files import UNFINISHED, write_json

pytestmark = pytest.mark.once
LIMIT = 143  # bytes, of eCryptfs; others take 255
WINDOWS = set('<>:"/\\|?*') | set(map(chr, range(32)))
DEVICES = ("con", "PRN.wav", "aux", "nul.tar.gz", "COM1", "lpt9.x", "con .a")


@pytest.mark.parametrize(
    "character", ["a", "é", "語", "𝄞", "e\u0301", "\udcff"]
)
@pytest.mark.parametrize("length", [0, 1, 100, 117, 118, 119, 128, 255, 5000])
@pytest.mark.parametrize("distinct", ["", "b"])
def test_every_name_can_be_written(character, length, distinct, tmp_path):
    name = file_name(length * character, ".json", distinct)
    assert name.endswith(".json") and len(name.encode()) + len(UNFINISHED) < (
        LIMIT
    )
    write_json(str(tmp_path / name), {})
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("text", [*DEVICES, 'a<b>c:d"e/f\\g|h?i*j\n\x7fk'])
def test_names_that_windows_has_reserved(text):
    name = file_name(text, ".png")
    assert not WINDOWS & set(name)
    stem = name.partition(".")[0].strip().lower()
    assert stem not in {d.partition(".")[0].strip().lower() for d in DEVICES}


def test_long_texts_that_differ_in_the_middle_have_names_of_their_own():
    texts = [200 * "a" + middle + 200 * "a" for middle in "xyz"]
    names = {file_name(text, ".png") for text in texts}
    assert len(names) == 3 and all("aaa" in name for name in names)


def test_no_two_files_of_a_folder_are_one():
    paths = ["a/b.wav", "a-b.wav", "A/B.WAV", "a/\xe9.wav", "a/e\u0301.wav"]
    paths += ["../a/b.wav", "/a/b.wav", 300 * "x", 300 * "x" + "/"]
    for order in itertools.permutations(paths[:5]):
        names = FileNames()
        found = {}
        for path in [*order, *paths]:
            text = path.strip("./").replace("/", "-")
            name = names.of(text, ".png", path)
            assert found.setdefault(path, name) == name  # the same file
        alike = {
            unicodedata.normalize("NFC", n.casefold()) for n in found.values()
        }
        assert len(alike) == len(paths)


def test_scores_of_other_settings_do_not_replace_scores(tmp_path):
    settings = [
        {"data": "folder:a/b"},
        {"data": "folder:a_b"},
        {"data": "folder:a-b"},
        {"data": "folder:a/b", "crops": 2},
        {"data": "folder:a/b 2 crops"},
        {"held_out": "folder_a_b"},
        {"corruption": "gain:-6"},
        {"corruption": "gain:6"},
        {"data": f"folder:/{'語' * 300}"},
        {"data": f"folder:/{'語' * 300}", "crops": 2},
    ]
    full = {"data": "", "held_out": "", "crops": 1, "corruption": ""}
    found = []
    for _ in range(2):  # the second time each finds its own
        names = [evaluation_name(tmp_path, **full | s) for s in settings]
        for name, setting in zip(names, settings, strict=True):
            if not found:
                name = evaluation_name(tmp_path, **full | setting)
            summary = {**full, "data": "own", **setting}
            write_evaluation(tmp_path, summary, [{"name": "a"}], name)
        found.append([evaluation_name(tmp_path, **full | s) for s in settings])
    assert found[0] == found[1] and len(set(found[0])) == len(settings)
    assert found[0][0] == "evaluation_folder_a_b"
    assert len(os.listdir(tmp_path)) == 2 * len(settings)
    assert evaluation_name(tmp_path, **full) == "evaluation"
