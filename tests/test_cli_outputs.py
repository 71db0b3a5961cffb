"""What commands write: each output by a name of its own, or a sentence."""

import csv
import json
import os
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from inference.fake import INFO, make_classifier

from keras_c2f import cli
from keras_c2f.export import NotNotedError, conversion
from keras_c2f.models.metadata import FILE_NAME
from keras_c2f.training.recipe import Recipe
from keras_c2f.utils.folder_lock import alone_in

soundfile = pytest.importorskip("soundfile", reason="needs the extra `audio`")
pytestmark = pytest.mark.once


def run(capsys, *arguments):
    """Exit code and output of `keras-c2f ARGUMENTS`."""
    try:
        code = cli.run(cli.parse(["keras-c2f", *map(str, arguments)])) or 0
    except SystemExit as error:
        code = error.code
    return (code, *capsys.readouterr())


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """Paths of recordings with difficult names; scored without a network."""
    pytest.importorskip("matplotlib", reason="needs the extra `report`")
    pytest.importorskip("soxr")
    names = ["a/b.wav", "a-b.wav", "A-B.WAV", "con.wav", "$a$_{.wav"]
    names += [f"{240 * 'x'}{end}.wav" for end in "yz"]
    names += [f"{n}/{'ä' * 100}/1.wav" for n in "12"]
    for number, name in enumerate(names):
        path = tmp_path / "audio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(100, number / 20), 100)
    (tmp_path / "audio" / "x").touch()  # as if it were a classifier
    monkeypatch.chdir(tmp_path / "audio")
    monkeypatch.setattr(
        "keras_c2f.inference.load_classifier", lambda _: make_classifier()
    )
    return names


def test_each_recording_has_a_picture(recordings, capsys):
    code, out, err = run(
        *(capsys, "predict", "--model=x", "--format=csv", "--top=1"),
        *("--timeline=../pictures", *recordings),
    )
    assert code == 0, err
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["path"] for row in rows[::2]] == recordings  # two windows each
    pictures = os.listdir("../pictures")
    assert len({name.casefold() for name in pictures}) == len(recordings)
    printed = [line.removeprefix("Picture: ") for line in err.splitlines()]
    assert sorted(map(os.path.basename, printed)) == sorted(pictures)


def test_a_picture_that_cannot_be_written(recordings, capsys):
    os.makedirs("../pictures/a-b.wav.png/in the way")
    code, out, err = run(
        *(capsys, "predict", "--model=x", "--format=csv", "--top=1"),
        *("--timeline=../pictures", "a/b.wav", "con.wav"),
    )
    assert code == 1 and len(out.splitlines()) == 1 + 2 * 2
    problem, picture = err.splitlines()
    assert "a-b.wav.png cannot be written" in problem
    assert picture.endswith("_con.wav.png")
    (recorded,) = [n for n in os.listdir("../pictures") if "con" in n]
    assert recorded == "_con.wav.png"
    assert not [n for n in os.listdir("../pictures") if "unfin" in n]


def test_a_folder_that_cannot_be_made_is_said_first(
    recordings, capsys, monkeypatch
):
    monkeypatch.setattr("keras_c2f.inference.load_classifier", None)
    code, out, err = run(
        capsys, "predict", "--model=x", "--timeline=con.wav", "a/b.wav"
    )
    assert code == 2 and not out and "con.wav" in err


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """A run whose scores are made up."""
    trained = SimpleNamespace(
        folder=str(tmp_path),
        config={"recipe": {}},
        network=None,
        frontend=None,
    )
    pipeline = SimpleNamespace(skipped=[])
    summary = {
        **{"accuracy": 0.25, "num_clips": 4, "loss": 1.5, "crops": 1},
        **{"mean_average_precision": 0.5, "mean_auc": 0.5, "d_prime": 0.0},
        **{"num_ranked_classes": 2},
    }
    for name, value in {
        "training.trained_run.read_trained_run": lambda _: trained,
        "training.from_recipe.make_pipeline": lambda *_: pipeline,
        "evaluation.evaluate.evaluate": lambda *_: (
            summary,
            [{"name": "a", "num_clips": 4}],
        ),
        "evaluation.table.evaluation_table": lambda *_: "the table",
        "evaluation.table.evaluation_line": lambda *_: "the line",
        "cli.evaluation.data_of_run": lambda _: "folder:own",
        "cli.evaluation._clips_to_score": lambda given, *_: (
            Recipe(given.data or "folder:own"),
            None,
        ),
        "cli.evaluation._with_classes_of": lambda config, clips, data: clips,
    }.items():
        monkeypatch.setattr(f"keras_c2f.{name}", value)
    return tmp_path


def test_scores_of_data_with_a_long_path(scored, capsys):
    command = capsys, "evaluate", "--run=x"
    paths = [f"folder:/{'ä' * 100}/{'b' * 200}{end}" for end in "12"]
    for data in paths:
        code, out, err = run(*command, f"--data={data}")
        assert code == 0, err
    found = [json.loads(p.read_text()) for p in scored.glob("*.json")]
    assert sorted(row["data"] for row in found) == paths
    assert len(list(scored.glob("evaluation_*.csv"))) == 2


def test_scores_that_cannot_be_written_are_printed(scored, capsys):
    (scored / "evaluation_gain_-6.json").mkdir()
    (scored / "evaluation_gain_-6.json" / "in the way").touch()
    command = capsys, "evaluate", "--run=x", "--corrupt=gain:-6,gain:6"
    code, out, err = run(*command)
    assert code == 1 and out.count("the line") == 2
    (problem,) = err.splitlines()
    assert "gain_-6.json cannot be written" in problem
    assert (scored / "evaluation_gain_-6.csv").exists()
    assert (scored / "evaluation_gain_6.json").exists()
    assert "evaluation_gain_6.json" in out and "gain_-6.json" not in out


def test_a_run_is_scored_by_one_process_at_a_time(scored, capsys):
    with alone_in(str(scored)):
        code, out, err = run(capsys, "evaluate", "--run=x")
    assert code == 2 and not out and "is at work in" in err


def test_measurements_that_cannot_be_kept_are_printed(capsys, monkeypatch):
    def export_run(*_):
        raise NotNotedError("exports.csv cannot be written.", [{"file": "a"}])

    monkeypatch.setattr("keras_c2f.export.export_run", export_run)
    monkeypatch.setattr(
        "keras_c2f.cli.export.data_of_run", lambda _: "folder:own"
    )
    code, out, err = run(capsys, "export", "--run=x", "--clips=0")
    assert (code, out) == (1, "Written: a\n")
    assert err == "exports.csv cannot be written.\n"


def test_other_variants_are_written_still(tmp_path, monkeypatch):
    archive = tmp_path / "a.keras"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(FILE_NAME, INFO.to_json())
    (tmp_path / "1.tflite").mkdir()
    for name, function in {
        "keras.models.load_model": lambda _: None,
        "convert_to_litert": lambda *_: b"",
        "quantize_litert": lambda *_: b"",
        "write_litert": lambda content, info, to: open(to, "wb").close(),
    }.items():
        monkeypatch.setattr(f"{conversion.__name__}.{name}", function)
    variants = ("float32", "float16", "dynamic")
    paths = {v: str(tmp_path / f"{n}.tflite") for n, v in enumerate(variants)}
    with pytest.raises(OSError, match=r"1\.tflite cannot be written"):
        conversion._convert(str(archive), paths, "litert", 1)
    for number in (0, 2):
        assert (tmp_path / f"{number}.tflite").is_file()
