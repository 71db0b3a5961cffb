"""The inputs of `../shared/cases` as users give them to the command line."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from test_cli import run

from keras_c2f.training.run import Run
from keras_c2f.utils.files import read_json

pytestmark = pytest.mark.once
pytest.importorskip("soundfile", reason="needs the extra `audio`")
SCRIPT = Path(__file__).parents[2] / "shared" / "cases" / "make_cases.py"
SMALL = ("--clip-seconds=0.32", "--batch-size=8", "--patch-size=16x128")
CLASSES = {"alto", "bass", "chirp"}


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


def replace(folder, content):
    shutil.rmtree(folder)
    shutil.copytree(content, folder)


@pytest.mark.parametrize("change", ["after", "swapped"])
def test_files_that_are_renamed_or_swapped(
    cases, tmp_path, capsys, monkeypatch, change
):
    """Two of 36 renamed; and one deleted, one added. Nothing is scored."""
    pytest.importorskip("matplotlib", reason="needs the extra `report`")
    data, renamed = tmp_path / "data", cases / "renamed"
    shutil.copytree(renamed / "before", data)
    train = ["train", f"--run={tmp_path / 'run'}", f"--data=folder:{data}"]
    train += ["--schedule=full@2", *SMALL]
    save_epoch = Run.save_epoch

    def save_and_stop(self, *args):
        save_epoch(self, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save_epoch", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run(capsys, *train)
    replace(data, renamed / change)
    code, _, err = run(capsys, *train)  # resumed
    assert code == 2 and "are not those of the run" in err, err
    replace(data, renamed / "before")
    assert run(capsys, *train)[0] == 0
    replace(data, renamed / change)
    for command in ("evaluate", "export"):
        code, out, err = run(capsys, command, f"--run={tmp_path / 'run'}")
        assert code == 2 and "Bring back what" in err, (command, err)
        assert "accuracy" not in out
    assert not list(tmp_path.glob("run/**/*.tflite"))
    replace(data, renamed / "before")
    assert run(capsys, "evaluate", f"--run={tmp_path / 'run'}")[0] == 0


@pytest.mark.parametrize(
    "name, classes",
    [
        ("twice", CLASSES),
        ("python_list", CLASSES | {"any"}),
        ("semicolon", CLASSES),
    ],
)
def test_lists_are_trained_on_as_meant(cases, tmp_path, capsys, name, classes):
    pytest.importorskip("matplotlib", reason="needs the extra `report`")
    data = f"--data=csv:{cases / 'listed' / name}.csv"
    train = ["train", f"--run={tmp_path}", data, "--schedule=full@1", *SMALL]
    code, _, err = run(capsys, *train)
    assert code == 0, err
    folder = tmp_path / "coarse_to_fine"
    config = read_json(folder / "config.json")
    assert set(config["class_names"]) == classes
    assert config["multi_label"] == ("any" in classes)
    # 12 files of each class, of which a fifth is drawn
    scores = read_json(folder / "evaluation.json")
    assert scores["num_clips"] == 6
    assert ("36 lines repeat a file" in err) == (name == "twice")


@pytest.mark.parametrize(
    "name, options, count",
    [
        ("comma", [], 30),
        ("bar", [], 30),
        ("float_folds", ["--held-out=2"], 24),
        ("trailing_rows", [], 30),
    ],
)
def test_other_lists_are_read_as_meant(cases, capsys, name, options, count):
    data = f"--data=csv:{cases / 'listed' / name}.csv"
    code, out, err = run(capsys, "stats", data, SMALL[0], *options)
    assert code == 0, err
    assert f"{count} clips of 30 frames" in out
    several = name in ("comma", "bar")
    assert ("'labels' are separated by" in err) == several


def test_files_on_both_sides_are_named(cases, tmp_path, capsys):
    data = f"--data=csv:{cases / 'listed' / 'both_sides.csv'}"
    code, _, err = run(capsys, "train", f"--run={tmp_path / 'run'}", data)
    assert code == 2 and err.count("\n") == 1
    assert "both to train on and to validate on, 9 in all: " in err
    assert "alto00.wav" in err and not (tmp_path / "run").exists()
