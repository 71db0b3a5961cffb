"""Runs know which clips they were trained on, whatever becomes of the files."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from test_cli import run
from test_training import write_audio

from keras_c2f.data import Clips, LabelSets
from keras_c2f.export.run import export_run
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run
from keras_c2f.training.run_clips import (
    check_sides,
    keep_clips,
    read_clips,
    trained_on,
)
from keras_c2f.utils.files import read_json, write_json

pytestmark = pytest.mark.once
soundfile = pytest.importorskip("soundfile", reason="needs the extra `audio`")

SMALL = (
    "--clip-seconds=0.32",
    "--schedule=full@1",
    "--batch-size=4",
    "--backbone=ast_micro",
    "--depth=1",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a folder of two classes, and on two folds of a list."""
    root = tmp_path_factory.mktemp("kept")
    write_audio(root / "audio", per_class=10)
    lines = [
        f"audio/{name}/{i}.wav,{name},{i % 2 + 1}"
        for name in ("high", "low")
        for i in range(10)
    ]
    (root / "folds.csv").write_text("\n".join(["path,label,fold", *lines]))
    for name, data, held_out in (
        ("drawn", f"folder:{root / 'audio'}", ""),
        ("folds", f"csv:{root / 'folds.csv'}", "2"),
    ):
        recipe = Recipe(
            data=data,
            held_out=held_out,
            clip_seconds=0.32,
            schedule="full@1",
            batch_size=4,
            depth=1,
        )
        Run(str(root / name), recipe, recipe.open_data()).train()
    return root


@pytest.fixture
def recordings(trained):
    """The folder that the run is of, and put back after each test."""
    folder, kept = trained / "audio", trained / "copy"
    shutil.copytree(folder, kept)
    yield folder
    shutil.rmtree(folder)
    kept.rename(folder)


def validated(trained):
    recipe = Recipe(**read_json(trained / "drawn" / "config.json")["recipe"])
    train, validation = recipe.open_data()
    return [*train.audio], [*validation.audio]


def test_a_run_keeps_fingerprints_of_its_clips(trained):
    kept = read_clips(trained / "drawn")
    assert (len(kept.train), len(kept.validation)) == (16, 4)
    assert not np.isin(kept.validation, kept.train).any()
    assert len(kept.earlier) == 0
    assert os.path.getsize(trained / "drawn" / "clips.npz") < 2000


def change_nothing(train, validation):
    pass


def rename(train, validation):
    """Names of validation that would be drawn last, or first."""
    for i, path in enumerate([*train[:8], *validation]):
        os.rename(path, os.path.join(os.path.dirname(path), f"take-{i}.wav"))


def swap(train, validation):
    same = [p for p in train if os.path.dirname(p) in validation[0]]
    os.rename(same[0], "x")
    os.rename(validation[0], same[0])
    os.rename("x", validation[0])


def swap_classes(train, validation):
    """Equal counts, equal names, and the same files on the same side."""
    high, low = validation[0], validation[-1]
    assert "high" in high and "low" in low
    os.rename(high, "x")
    os.rename(low, high)
    os.rename("x", low)


def replace_content(train, validation):
    samples, rate = soundfile.read(validation[0])
    soundfile.write(validation[0], samples[::-1], rate)


def delete_one_add_one(train, validation):
    samples, rate = soundfile.read(validation[0])
    os.remove(validation[0])
    # whatever its digest, a new file in place of one that is gone
    soundfile.write(validation[0], -samples, rate)


CHANGES = (rename, swap, swap_classes, replace_content, delete_one_add_one)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_noticed(
    trained, recordings, capsys, change, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    change(*validated(trained))
    folder = trained / "drawn"
    recipe = Recipe(**read_json(folder / "config.json")["recipe"])
    with pytest.raises(ValueError, match="are not those of the run in"):
        Run(str(folder), recipe, recipe.open_data())
    with pytest.raises(ValueError, match="not those .* or measure nothing: "):
        export_run(folder, "litert", "float32")
    code, _, err = run(capsys, "evaluate", "--run", folder)
    assert code == 2 and "to validate on" in err and "Bring back what" in err
    if change in (rename, swap):
        assert re.search(r"\d trained on \(.*\.wav", err)
    else:
        assert "trained on (" not in err
    if change is swap_classes:
        assert "the same with other labels" in err


def test_the_same_files_elsewhere_are_the_same(trained, recordings, capsys):
    """Copied, touched and under another path: as a run that has moved."""
    for path in recordings.rglob("*.wav"):
        os.utime(path, (1, 1))
    code, out, err = run(capsys, "evaluate", "--run", trained / "drawn")
    assert code == 0, err
    assert "trained on" not in out
    moved = trained / "copy"
    data = f"--data=folder:{moved}"
    code, out, _ = run(capsys, "evaluate", "--run", trained / "drawn", data)
    assert code == 0 and "trained on" not in out and "on 4 clips" in out
    both = (data, "--held-out=all")
    code, out, _ = run(capsys, "evaluate", "--run", trained / "drawn", *both)
    assert code == 0 and "16 of 20 clips were trained on: " in out


def test_scores_of_own_data_say_what_was_trained_on(
    trained, recordings, capsys
):
    train, validation = validated(trained)
    rename(train, validation)
    data = f"--data=folder:{recordings}"
    code, out, _ = run(capsys, "evaluate", "--run", trained / "drawn", data)
    assert code == 0
    count = int(re.search(r"(\d+) of 4 clips were trained on: ", out)[1])
    name = re.search(r"Written: (.*\.json)", out)[1]
    with open(name) as file:
        written = json.load(file)
    kept = read_clips(trained / "drawn").train
    _, now = validated(trained)
    from keras_c2f.audio.fingerprint import fingerprints

    expected = [
        p for p, f in zip(now, fingerprints(now), strict=True) if f in kept
    ]
    assert written["trained_on"] == expected and len(expected) == count > 0


def test_own_data_keep_the_fold_of_the_run(trained, capsys, monkeypatch):
    folder = trained / "folds"
    monkeypatch.chdir(trained)
    command = ("evaluate", "--run", folder)
    before = read_json(folder / "evaluation.json")
    for data in ("csv:folds.csv", f"csv:{trained}/audio/../folds.csv"):
        code, out, err = run(capsys, *command, "--data", data)
        assert code == 0, err
        assert "were trained on" not in out and "on 10 clips" in out
        found = read_json(re.search(r"Written: (.*\.json)", out)[1])
        assert found["confusion"] == before["confusion"]
    code, out, _ = run(capsys, "evaluate", "--run", folder, "--held-out=1")
    assert code == 0 and "10 of 10 clips were trained on: " in out


def test_a_run_of_the_version_before(trained, tmp_path, capsys):
    """Its random split was another; folds are what they were."""
    for name in ("drawn", "folds"):
        old = tmp_path / name
        shutil.copytree(trained / name, old)
        config = read_json(old / "config.json")
        del config["digests"]
        write_json(old / "config.json", config)
        os.remove(old / "clips.npz")
        recipe = Recipe(**config["recipe"])
        code, out, err = run(capsys, "evaluate", "--run", old)
        if name == "folds":
            assert code == 0 and "has no clips.npz, as it was" in out
            Run(str(old), recipe, recipe.open_data())
            continue
        assert code == 2 and "of an earlier version, which drew" in err
        with pytest.raises(ValueError, match="Train anew, or choose another"):
            Run(str(old), recipe, recipe.open_data())
        with pytest.raises(ValueError, match="earlier version"):
            export_run(old, "litert", "float32")


def test_what_a_run_started_from_was_trained_on(trained, tmp_path, capsys):
    """Fold 1 is new to the run of fold 2's network, and not to its network."""
    init_from = f"--init-from={trained / 'folds'}"
    data = f"--data=csv:{trained / 'folds.csv'}"
    code, out, err = run(
        *(capsys, "train", "--run", tmp_path, data, "--held-out=1", *SMALL),
        init_from,
    )
    assert code == 0, err
    assert "10 of 10 clips to validate on were trained on in " in out
    code, out, _ = run(capsys, "evaluate", "--run", tmp_path)
    assert "10 of 10 clips were trained on by the run that this one" in out


def test_a_clip_on_both_sides_is_named_before_training(trained, tmp_path):
    paths = sorted(map(str, (trained / "audio" / "low").glob("*.wav")))
    clips = [Clips(paths[a:b], [0, 1] * 3, "xy") for a, b in ((0, 6), (4, 10))]
    with pytest.raises(ValueError, match="2 of 6 clips .* too: .*4.wav, .*5"):
        check_sides(clips)
    recipe = Recipe(clip_seconds=0.32, schedule="full@1", batch_size=4, depth=1)
    with pytest.raises(ValueError, match="Keep each on one side"):
        Run(str(tmp_path), recipe, clips).train()
    copy = shutil.copy(paths[0], tmp_path / "copy.wav")
    clips = clips[0], Clips([str(copy), paths[9]], [0, 1], "xy")
    (line,) = check_sides(clips)
    assert line.startswith("1 of 2 clips") and "copy.wav" in line


@pytest.mark.parametrize("kind", ["single", "sets", "soft"])
def test_digests_are_of_clips_and_labels_not_of_order(tmp_path, kind):
    recordings = list(np.random.default_rng(0).uniform(-1, 1, (4, 50)))
    labels = {
        "single": np.array([0, 1, 1, 2]),
        "sets": LabelSets.of([[0], [1, 2], [], [2]]),
        "soft": np.array([[1, 0, 0], [0, 0.5, 1], [0, 0, 0], [0, 0, 1]]),
    }[kind]
    clips = Clips(recordings, labels, "xyz")
    order = [2, 0, 3, 1]
    first = keep_clips(tmp_path, (clips, clips))
    again = keep_clips(tmp_path, (clips.subset(order), clips))
    assert first == again and first["train"] == first["validation"]
    other = Clips(recordings, labels[[1, 0, 2, 3]], "xyz")
    assert keep_clips(tmp_path, (other, clips))["train"] != first["train"]
    names, lines = trained_on(tmp_path, clips.subset([1]))
    assert names == ["array number 0"] and lines[0].startswith("1 of 1 clips")


def test_a_folder_with_fewer_classes_is_scored(trained, tmp_path, capsys):
    """In another order and with one class too; what is absent is said."""
    for names in (["low"], ["low", "high"]):
        root = tmp_path / "_".join(names)
        for name in names:
            shutil.copytree(trained / "audio" / name, root / name)
        data = (f"--data=folder:{root}", "--held-out=all")
        code, out, err = run(
            capsys, "evaluate", "--run", trained / "drawn", *data
        )
        assert code == 0, err
        assert f"on {10 * len(names)} clips" in out
        path = re.search(r"Written: (.*)\.json", out)[1]
        found = read_json(f"{path}.json")
        confusion = np.array(found["confusion"])
        assert confusion.sum(1).tolist() == [10 * (len(names) - 1), 10]
        assert found["accuracy"] == np.trace(confusion) / confusion.sum()
        assert ("Absent: high." in out) == (len(names) == 1)
        assert found.get("absent_classes", []) == ["high"] * (2 - len(names))
    shutil.copytree(tmp_path / "low" / "low", root / "cat")
    code, _, err = run(capsys, "evaluate", "--run", trained / "drawn", *data)
    assert code == 2 and "'cat' (10 clips)" in err and "high, low" in err
