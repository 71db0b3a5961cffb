"""Elastic runs and cascades from the command line, and their page."""

import csv
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_cli import run
from test_training import OPTIONS, write_audio

from keras_c2f.phases import PhaseSchedule
from keras_c2f.training.from_recipe import phase_costs, spend_budget
from keras_c2f.training.recipe import Recipe
from keras_c2f.utils.files import read_json, read_rows

pytestmark = pytest.mark.once
pytest.importorskip("soundfile", reason="needs the extra `audio`")
pytest.importorskip("matplotlib", reason="needs the extra `report`")

PAGE = Path(__file__).parents[1] / "docs" / "elastic.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
ELASTIC = "pool:4@25%, full@75%"
TRAIN = (
    *("--clip-seconds=0.32", "--schedule=pool:4@2, full@3", "--batch-size=4"),
    *("--depth=1", "--patch-size=2x128", f"--elastic={ELASTIC}"),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("elastic")
    write_audio(root / "audio")
    return root


@pytest.fixture(scope="module")
def folder(root):
    """A run of the command line."""
    from keras_c2f import cli

    arguments = ["--run", root / "run", f"--data=folder:{root / 'audio'}"]
    cli.run(cli.parse(["keras-c2f", "train", *map(str, arguments), *TRAIN]))
    return root / "run" / "coarse_to_fine"


def test_a_run_says_what_each_resolution_is_worth(folder, capsys):
    result = read_json(folder / "evaluation.json")
    assert list(result["resolutions"]) == ["pool:4", "full"]
    fine = result["resolutions"]["full"]
    assert fine["accuracy"] == result["accuracy"]
    config = read_json(folder / "config.json")
    gmacs = config["phases"][1]["elastic"]
    mean = 0.25 * gmacs["pool:4"] + 0.75 * gmacs["full"]
    assert config["phases"][1]["gmacs"] == pytest.approx(mean, rel=1e-6)
    assert gmacs["full"] == pytest.approx(fine["gmacs"])
    rows = read_rows(folder / "history.csv")
    assert float(rows[-1]["gmacs"]) == pytest.approx(mean, rel=1e-6)
    code, out, _ = run(capsys, "evaluate", "--run", folder)
    assert code == 0
    for text, row in result["resolutions"].items():
        line = next(x for x in out.splitlines() if x.startswith(text))
        assert f"accuracy {row['accuracy']:.1%}" in line.replace(" %", "%")
    again = read_json(folder / "evaluation.json")
    for text, row in again["resolutions"].items():
        assert row == pytest.approx(result["resolutions"][text], rel=1e-5)


def test_cascade(folder, root, capsys):
    """Calibrated, kept, drawn, used on files; scored on other data."""
    from keras_c2f.report import write_report

    cascade = "--cascade=pool:4, full"
    code, _, err = run(capsys, "predict", "--run", folder, "--cascade", root)
    assert code and "has no cascade.json" in err
    code, out, _ = run(
        capsys, "evaluate", "--run", folder, cascade, "--max-loss=99"
    )
    assert code == 0 and "Cascade pool:4, full: accuracy" in out
    kept = read_json(folder / "cascade.json")
    assert kept["resolutions"] == ["pool:4", "full"]
    assert kept["threshold"] is not None and kept["num_clips"] == 2
    page = write_report(folder.parent).read_text(encoding="utf-8")
    assert "Cascade of coarse_to_fine" in page
    assert "accuracy by threshold" in page
    assert "One set of weights at several resolutions" in page
    code, out, err = run(
        *(capsys, "predict", "--run", folder, "--cascade", "--format=csv"),
        root / "audio",
    )
    assert code == 0 and len(out.splitlines()) == 1 + 10 * 2
    ended = re.search(r"10 windows ended: (\d+) at pool:4, (\d+) at full", err)
    assert sum(map(int, ended.groups())) == 10
    code, out, _ = run(
        *(capsys, "evaluate", "--run", folder, cascade),
        f"--data=folder:{root / 'audio'}",
    )
    assert code == 0 and "on 2 clips" in out


def test_a_cascade_exported_and_used(folder, root, capsys):
    """As one file, measured beside Keras, noted, and used on files."""
    for module in ("ai_edge_quantizer", "tensorflow"):
        pytest.importorskip(module, reason="needs the extra `export`")
    if not (folder / "cascade.json").exists():
        pytest.skip("needs the cascade that the test above makes")
    export = ("export", "--run", folder, "--variant=float32", "--cascade")
    code, _, err = run(capsys, *export, "--resolution=pool:4")
    assert code and "resolutions of its own" in err
    code, out, err = run(capsys, *export)
    assert code == 0, err
    path = folder / "export" / "classifier-cascade-float32.tflite"
    assert f"Written: {path}" in out and "pool:4, full" in out
    rows = {row["file"]: row for row in read_rows(folder / "exports.csv")}
    assert float(rows[str(path)]["largest_difference"]) < 1e-4
    files = root / "audio"
    ends, scores = [], []
    for options in ((f"--run={folder}", "--cascade"), (f"--model={path}",)):
        code, out, err = run(capsys, "predict", *options, "--format=csv", files)
        assert code == 0
        ends.append(err.splitlines()[-1])
        found = csv.DictReader(out.splitlines())
        scores.append([float(row["score"]) for row in found])
    assert ends[0] == ends[1] and "10 windows ended" in ends[0]
    np.testing.assert_allclose(*scores, atol=1e-4)
    alone = run(capsys, *export[:-1], "--clips=0")
    assert alone[0] == 0
    model = path.with_name("classifier-float32.tflite")
    code, _, err = run(
        capsys, "predict", f"--model={model}", "--cascade", files
    )
    assert code and "is not a cascade" in err


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("evaluate", "--cascade=pool:4,full", "--crops=2"), "--crops"),
        (("evaluate", "--cascade=pool:4"), "two or more"),
        (("evaluate", "--cascade=full,pool:4"), "cannot be computed"),
        (("evaluate", "--cascade=pool:x,full"), "resolution reads"),
    ],
)
def test_cascades_that_cannot_be(arguments, words, folder, capsys):
    command, *options = arguments
    code, _, err = run(capsys, command, "--run", folder, *options)
    assert code and words in err and "Traceback" not in err


def test_a_killed_run_ends_like_one_that_was_not(folder, root):
    """Killed in the elastic phase, from the command line."""
    other = root / "killed"
    arguments = ["--run", other, f"--data=folder:{root / 'audio'}", *TRAIN]
    program = (
        "import os, signal, sys\n"
        "from keras_c2f import cli\n"
        "from keras_c2f.training import checkpoints\n"
        "from keras_c2f.training.run import Run\n"
        "checkpoints.PAUSE = 0\n"
        "save = Run.save_epoch\n"
        "def killed(run, model, rows):\n"
        "    save(run, model, rows)\n"
        "    if len(rows) == 4:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "Run.save_epoch = killed\n"
        "cli.run(cli.parse(sys.argv))\n"
    )
    command = [sys.executable, "-c", program, "train", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    command[2] = "import sys; from keras_c2f import cli\n"
    command[2] += "cli.run(cli.parse(sys.argv))"
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [
        [float(row["val_loss"]) for row in read_rows(path / "history.csv")]
        for path in (folder, other / "coarse_to_fine")
    ]
    np.testing.assert_allclose(*rows, rtol=1e-4)  # float32


def test_recipes(tmp_path):
    recipe = Recipe(**OPTIONS, elastic="pool:4, full")
    assert str(recipe.phases[-1]) == "full@2 elastic=pool:4/full"
    assert recipe.baseline().elastic == ""
    assert str(recipe.baseline().phases) == "full@4"
    # 30 frames: whole patches of 16 frames at factor 4, of the last phase
    assert recipe.frames(recipe.frontend) == 64
    for elastic, words in (
        ("pool:4", "full, among them"),
        ("pool:4@5%, full@95%", "is none"),
    ):
        with pytest.raises(ValueError, match=words):
            Recipe(**OPTIONS, elastic=elastic)


def test_a_budget_buys_more_epochs_of_a_cheaper_phase():
    options = {"backbone": "ast_micro", "depth": 1, "clip_seconds": 1.0}
    recipe = Recipe(
        schedule="pool:4, full", budget=20.0, elastic="pool:4, full", **options
    )
    spent = spend_budget(recipe)
    assert spent.phases[-1].elastic == recipe.phases[-1].elastic
    from keras_c2f.training.from_recipe import build_classifier

    network = build_classifier(spent, 2, spent.frontend)
    costs = [cost.macs for cost in phase_costs(spent, network)]
    macs = [
        phase.epochs * cost
        for phase, cost in zip(spent.phases, costs, strict=True)
    ]
    full = 2 * costs[1] - costs[0]  # the mean of both is what a clip costs
    assert sum(macs) == pytest.approx(20 * full, rel=0.05)
    assert macs[0] == pytest.approx(macs[1], rel=0.1)
    assert PhaseSchedule(spent.schedule).phases == spent.phases.phases


def test_the_page(folder, tmp_path, monkeypatch):
    """Its Python, block by block as a reader pastes it."""
    names = {}
    exec(BLOCKS[0], names)  # noqa: S102
    assert str(names["coarse"].resolution) == "pool:2"
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "digits").symlink_to(folder.parent)
    if not (folder / "cascade.json").exists():
        pytest.skip("needs the cascade that the test above makes")
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS[1].replace("8000", "5000"), names)  # noqa: S102
    assert names["scores"].shape == (2, 2)
