"""Run folders of which a file is damaged, missing or of another version."""

import json
import os
import shutil
import zipfile

import numpy as np
import pytest
from kills import killed_after
from test_training import OPTIONS, noise_clips

from keras_c2f.training.checkpoints import Checkpoints
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run
from keras_c2f.training.run_folder import NOTES, load_model
from keras_c2f.training.trained_run import read_trained_run
from keras_c2f.utils.files import read_rows
from keras_c2f.utils.folder_lock import alone_in

pytest.importorskip("soundfile", reason="needs the extra `audio`")
pytestmark = pytest.mark.once
RECIPE = Recipe(**OPTIONS | {"schedule": "pool:2@1, full@1"})
CHECKPOINT = "checkpoint-0001.keras"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run stopped after its first epoch, and one that has ended."""
    root = tmp_path_factory.mktemp("runs")
    run = Run(str(root / "run"), RECIPE, noise_clips())
    with killed_after(1):
        run.train()
    shutil.copytree(root / "run", root / "stopped")
    run.train()
    return root / "stopped", root / "run"


@pytest.fixture
def stopped(folders, tmp_path):
    return shutil.copytree(folders[0], tmp_path / "run")


@pytest.fixture
def ended(folders, tmp_path):
    return shutil.copytree(folders[1], tmp_path / "run")


def start(folder):
    """The run in a folder, up to where it would train."""
    run = Run(str(folder), RECIPE, noise_clips())
    run._frontend()
    return Checkpoints(run.folder).newest()


def change_config(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[int(position * len(data))] ^= 0x10
    path.write_bytes(data)


def weights_of(model):
    return {weight.path: np.array(weight) for weight in model.weights}


def test_a_stopped_run_goes_on_from_its_epoch(stopped):
    model, rows = start(stopped)
    assert model is not None and len(rows) == 1


@pytest.mark.parametrize("size", [0, 1000, -100])
def test_half_a_checkpoint(stopped, size):
    path = stopped / CHECKPOINT
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=f"{CHECKPOINT} is damaged.*Delete it"):
        start(stopped)
    path.unlink()
    assert start(stopped) == (None, [])


def test_flipped_bytes_of_a_checkpoint(stopped):
    """Refused, or of no weight: the date of a member has no checksum."""
    path, refused = stopped / CHECKPOINT, 0
    whole = path.read_bytes()
    expected = weights_of(load_model(str(path), "")[0])
    for position in np.linspace(0, 0.999999, 12):
        path.write_bytes(whole)
        flip(path, position)
        try:
            model, _ = load_model(str(path), "Delete it.")
        except ValueError as error:
            assert "Delete it." in str(error)
            refused += 1
        else:
            for name, weight in weights_of(model).items():
                np.testing.assert_array_equal(weight, expected[name])
    assert refused >= 10  # most bytes are weights


@pytest.mark.parametrize("damage", ["missing", "empty", "flipped", "no text"])
def test_history_that_is_not_the_checkpoints(stopped, damage, capsys):
    path = stopped / "history.csv"
    text = path.read_text()
    right = read_rows(str(path))
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_text("")
    elif damage == "flipped":
        loss = right[0]["loss"]
        path.write_text(text.replace(loss, f"9{loss[1:]}", 1))
    else:
        path.write_bytes(b"\xff" + text.encode())
    model, rows = start(stopped)
    assert rows == right == read_rows(str(path)) and model is not None
    assert "history.csv was missing or damaged" in capsys.readouterr().err


def test_checkpoint_of_an_earlier_version_without_its_history(stopped):
    with zipfile.ZipFile(stopped / CHECKPOINT) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert members.pop(NOTES)
    with zipfile.ZipFile(stopped / CHECKPOINT, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert len(start(stopped)[1]) == 1
    (stopped / "history.csv").unlink()
    with pytest.raises(
        ValueError, match="not the 1 epochs .* delete the check"
    ):
        start(stopped)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(parts=3), "does not know: 'parts'"),
        (lambda c: c["recipe"].update(speed=3), "does not know: 'speed'"),
        (lambda c: c["frontend"].update(pcen=3), "does not know: 'pcen'"),
        (lambda c: c.pop("frontend"), "has no frontend"),
        (
            lambda c: c["frontend"].update(mean=-4.0),
            "its mean of the front .*-4.0",
        ),
        (lambda c: c["phases"][0].update(gmacs=9.0), "its gmacs of phases was"),
        (lambda c: c.update(clip_seconds=0.3), "its clip_seconds was 0.32"),
    ],
)
def test_config_of_another_version_or_training(
    folders, tmp_path, change, words
):
    for number, original in enumerate(folders):
        folder = shutil.copytree(original, tmp_path / str(number))
        change_config(folder, change)
        if number and "speed" in words:
            continue  # scores do without; `evaluate` refuses it
        use = read_trained_run if number else start
        with pytest.raises(ValueError, match=words):
            use(folder)


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{\xff}"])
def test_config_that_is_lost(folders, tmp_path, content):
    for number, use in enumerate((start, read_trained_run)):
        folder = shutil.copytree(folders[number], tmp_path / str(number))
        if content is None:
            (folder / "config.json").unlink()
        else:
            (folder / "config.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"config\.json.*and train again"):
            use(folder)


def test_damaged_model(ended):
    flip(ended / "model.keras", 0.5)
    with pytest.raises(ValueError, match=r"model\.keras is damaged.*Delete"):
        read_trained_run(str(ended))


def test_scores_that_are_lost_need_no_training(ended):
    """Nor does a kill between the scores and the checkpoint leave that."""
    path = ended / "evaluation.json"
    expected = json.loads(path.read_text())
    history = (ended / "history.csv").read_bytes()
    path.write_text("{")
    run = Run(str(ended), RECIPE, noise_clips())
    with pytest.raises(
        ValueError, match=r"evaluation\.json is damaged.*Delete"
    ):
        run.train()
    path.unlink()
    result = run.train()
    assert result["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert (ended / "history.csv").read_bytes() == history
    (ended / CHECKPOINT).touch()
    assert run.train() == result and not (ended / CHECKPOINT).exists()


def test_a_second_run_is_refused(ended):
    run = Run(str(ended), RECIPE, noise_clips())
    with alone_in(str(ended)):
        with pytest.raises(ValueError, match="at work in .*run"):
            run.train()
    (ended / "unfinished-model.keras").touch()
    run.train()
    assert not [n for n in os.listdir(ended) if n.startswith(("unf", ".lock"))]
