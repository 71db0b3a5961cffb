"""The inputs of `../shared/cases` as users give them to the command line."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from test_cli import run

from keras_c2f.utils.files import read_json

pytestmark = pytest.mark.once
pytest.importorskip("soundfile", reason="needs the extra `audio`")
SCRIPT = Path(__file__).parents[2] / "shared" / "cases" / "make_cases.py"
SMALL = (
    "--clip-seconds=0.32",
    "--batch-size=8",
    "--backbone=ast_micro",
    "--patch-size=16x128",
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """A folder with `renamed` and `listed`."""
    if not SCRIPT.is_file():
        pytest.skip("needs ../shared/cases")
    spec = importlib.util.spec_from_file_location("make_cases", SCRIPT)
    make_cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_cases)
    folder = tmp_path_factory.mktemp("cases")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_cases.renamed()
        make_cases.listed_twice()
    return folder


def test_files_of_a_run_are_renamed_or_swapped(cases, tmp_path, capsys):
    """A clip that was trained on is never scored in silence."""
    pytest.importorskip("matplotlib", reason="needs the extra `report`")
    data, run_folder = tmp_path / "data", f"--run={tmp_path / 'run'}"

    def put(content):
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(cases / "renamed" / content, data)

    put("before")
    train = ["train", run_folder, f"--data=folder:{data}"]
    train += ["--schedule=full@1", "--depth=1", *SMALL]
    assert run(capsys, *train)[0] == 0
    put("after")  # 2 of 36 are renamed, one of them to validate on
    for command in (["evaluate", run_folder], ["export", run_folder], train):
        code, out, err = run(capsys, *command)
        assert code == 2 and "accuracy" not in out, (command, out)
        assert "are not those of the run" in err, (command, err)
        assert "1 trained on" in err and "take-bass00.wav" in err, err
    put("swapped")  # one to train on is deleted, another added
    code, _, err = run(capsys, *train)
    assert code == 2 and "of those to train on 1 new" in err, err
    code, _, err = run(capsys, "evaluate", run_folder)
    assert code == 0, err  # validated on as before
    scores = tmp_path / "run" / "coarse_to_fine" / "evaluation.json"
    assert read_json(scores)["num_clips"] == 6


@pytest.mark.parametrize(
    "name, counts, note",
    [
        ("twice", (30, 6, 3), "30 lines repeat a file"),
        ("python_list", (30, 6, 4), ""),
        ("comma", (30, 6, 4), "'labels' are separated by ','"),
        ("bar", (30, 6, 4), "'labels' are separated by '|'"),
        ("semicolon", (30, 6, 3), ""),
        ("trailing_rows", (30, 6, 3), ""),
        ("float_folds --held-out=2", (24, 12, 3), ""),
    ],
)
def test_lists_are_read_as_meant(cases, capsys, name, counts, note):
    """36 files in three classes; the fourth is a label beside them."""
    name, *options = name.split()
    data = f"--data=csv:{cases / 'listed' / name}.csv"
    code, out, err = run(capsys, "stats", data, SMALL[0], *options)
    assert code == 0, err
    shown = "{} clips to train on, {} to validate on, {} classes"
    assert shown.format(*counts) in out and note in out + err, out + err


def test_files_on_both_sides_are_named(cases, tmp_path, capsys):
    data = f"--data=csv:{cases / 'listed' / 'both_sides.csv'}"
    code, _, err = run(capsys, "train", f"--run={tmp_path / 'run'}", data)
    assert code == 2 and err.count("\n") == 1
    assert "both to train on and to validate on, 9 in all: " in err
    assert "alto00.wav" in err and not (tmp_path / "run").exists()
