"""`train --more-epochs`: a run that is done goes on."""

import shutil

import keras
import numpy as np
import pytest
from kills import killed_after
from test_cli import run as run_command
from test_training import OPTIONS, write_audio

from keras_c2f.training.more_epochs import RATE, add_epochs
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run
from keras_c2f.utils.files import read_json, read_rows, write_json

pytest.importorskip("soundfile", reason="needs the extra `audio`")
pytest.importorskip("matplotlib", reason="needs the extra `report`")


SCHEDULE = {"schedule": "pool:2@1, full@1", "learning_rate": 1e-3}
NO_EPOCHS = {"schedule": "full@1", "time_mask": 0, "dropout": 0.0}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a run of two epochs, which is done."""
    root = tmp_path_factory.mktemp("more")
    write_audio(root / "audio")
    recipe = Recipe(data=f"folder:{root / 'audio'}", **OPTIONS | SCHEDULE)
    Run(str(root / "run"), recipe, recipe.open_data()).train()
    return root / "run"


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def weights(folder):
    return keras.models.load_model(folder / "model.keras").get_weights()


def go_on(folder, epochs):
    path, recipe, _ = add_epochs(str(folder), epochs)
    return Run(path, recipe, recipe.open_data())


@pytest.mark.once
def test_history_goes_on_and_the_best_epoch_is_kept(folder, capsys):
    more = ["train", f"--run={folder}", "--more-epochs=2"]
    code, out, err = run_command(capsys, *more)
    assert code == 0, err
    rows = read_rows(folder / "history.csv")
    assert [row["phase"] for row in rows] == ["1", "2", "3", "3"]
    assert [row["resolution"] for row in rows] == ["pool:2", *3 * ["full"]]
    # to a share of the recipe's rate, and down to 0
    rates = [float(row["learning_rate"]) for row in rows]
    assert 0 < rates[2] < RATE * SCHEDULE["learning_rate"] and rates[3] < 1e-9
    final = [row for row in rows if row["resolution"] == "full"]
    best = max(
        final, key=lambda r: (float(r["val_accuracy"]), -float(r["val_loss"]))
    )
    result = read_json(folder / "evaluation.json")
    assert result["epoch"] == int(best["epoch"]) + 1
    assert result["loss"] == pytest.approx(float(best["val_loss"]), rel=1e-5)
    assert not list(folder.glob("best-*")) + list(folder.glob("checkpoint-*"))
    assert str(folder.parent / "report.html") in out


@pytest.mark.once
def test_epochs_before_may_stay_the_best(folder, monkeypatch):
    """Then the network stays as it was."""
    before = weights(folder)
    scores = {"loss": 99.0, "accuracy": -1.0}
    monkeypatch.setattr(Run, "_validate", lambda *_: scores)
    assert go_on(folder, 1).train()["epoch"] == 2
    for old, new in zip(before, weights(folder), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.once
def test_killed_at_any_moment(folder, tmp_path, monkeypatch):
    """Between the files of `add_epochs`, and after an epoch."""
    whole = shutil.copytree(folder, tmp_path / "whole")
    go_on(whole, 2).train()

    def write_then_kill(*arguments):
        write_json(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            "keras_c2f.training.more_epochs.write_json", write_then_kill
        )
        add_epochs(str(folder), 2)
    run = go_on(folder, 2)
    with killed_after(3):
        run.train()
    assert not (folder / "evaluation.json").exists()
    # what was asked for before comes first
    resumed = go_on(folder, 7)
    assert resumed.recipe.schedule == run.recipe.schedule
    resumed.train()
    for kept, other in zip(weights(whole), weights(folder), strict=True):
        np.testing.assert_allclose(kept, other, atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize(
    "changes, sentence",
    [
        (
            {"freeze": "all", "init_from": "there", **NO_EPOCHS},
            "a head in closed form",
        ),
        ({"lora": 4, "init_from": "there"}, "has adapters"),
        ({"task": "pretraining"}, "is pre-trained"),
    ],
)
def test_runs_without_epochs_of_their_own(folder, changes, sentence):
    path = folder / "config.json"
    config = read_json(path)
    config["task"] = changes.pop("task", config["task"])
    config["recipe"].update(changes)
    write_json(path, config)
    with pytest.raises(ValueError, match=f"{sentence}.*--init-from="):
        add_epochs(str(folder), 1)


@pytest.mark.once
def test_recipe_is_that_of_the_run(folder, capsys):
    more = ["train", f"--run={folder}", "--more-epochs=2", "--ema=0.9"]
    code, _, err = run_command(capsys, *more)
    assert code == 2 and "Leave out --ema" in err and err.count("\n") == 1
