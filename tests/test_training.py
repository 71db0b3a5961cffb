"""Runs from a recipe: files, resuming after a kill, errors in a sentence."""

import dataclasses
import json
import os
import shutil
import sys

import numpy as np
import pytest
from kills import killed_after

from keras_c2f.cost import network_cost
from keras_c2f.data import Clips, LabelSets
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.layers.resizing import resize_axes
from keras_c2f.phases import CarryOver
from keras_c2f.training.from_recipe import (
    baseline_cost,
    build_backbone,
    build_classifier,
    make_pipeline,
)
from keras_c2f.training.recipe import Recipe, parse_pair
from keras_c2f.training.run import Run
from keras_c2f.training.run_folder import write_example
from keras_c2f.training.run_log import SwitchScore
from keras_c2f.utils.files import read_rows

pytest.importorskip("soundfile", reason="needs the extra `audio`")

OPTIONS = {
    "clip_seconds": 0.32,
    "schedule": "pool:2@2, full@2",
    "backbone": "ast_micro",
    "depth": 1,
    "batch_size": 4,
    "dropout": 0.1,
    "time_mask": 8,
}


def write_audio(root, per_class=5):
    """Two classes, a low and a high tone in noise, as WAV files."""
    import soundfile

    rng = np.random.default_rng(0)
    times = np.arange(5120) / 16000
    for name, hertz in (("high", 3000), ("low", 300)):
        (root / name).mkdir(parents=True)
        for index in range(per_class):
            tone = 0.1 * np.sin(2 * np.pi * hertz * times)
            audio = tone + 0.01 * rng.normal(size=times.size)
            soundfile.write(root / name / f"{index}.wav", audio, 16000)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("audio")
    write_audio(root)
    return root


@pytest.fixture(scope="module")
def finished(recordings, tmp_path_factory):
    """A run trained to the end, in one go."""
    recipe = Recipe(data=f"folder:{recordings}", **OPTIONS)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run = Run(str(folder), recipe, recipe.open_data())
    return run, run.train()


def test_run_folder_is_complete(finished):
    run, result = finished
    names = {name for name in os.listdir(run.folder)}
    assert names == {
        "clips.npz",
        "config.json",
        "evaluation.csv",
        "evaluation.json",
        "example.npz",
        "history.csv",
        "model.keras",
        "phase-1.keras",
        "phase-2.keras",
        "tensorboard",
    }
    assert np.sum(result["confusion"]) == result["num_clips"] == 2
    with open(run.path("history.csv")) as file:
        lines = file.read().splitlines()
    assert len(lines) == 1 + 4
    assert lines[0].startswith("epoch,phase,resolution,num_tokens,gmacs")
    for row in read_rows(run.path("history.csv")):
        # all threads; a clock ticks every 10 ms at worst
        most = os.cpu_count() * float(row["seconds"]) + 0.1
        assert 0 < float(row["cpu_seconds"]) < most
    with np.load(run.path("example.npz")) as example:
        # 0.32 s: 30 frames, rounded up to patches of 16 x factor 2
        assert example["full"].shape == (32, 128)
        assert example["pool:2"].shape == (16, 128)


@pytest.mark.once
def test_run_without_tensorboard(recordings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    options = OPTIONS | {"schedule": "pool:2@1"}
    recipe = Recipe(data=f"folder:{recordings}", **options)
    run = Run(str(tmp_path / "run"), recipe, recipe.open_data())
    assert run.train()["num_clips"] == 2
    assert not os.path.exists(run.path("tensorboard"))


@pytest.mark.once
def test_network_is_scored_when_a_phase_begins(
    recordings, tmp_path, monkeypatch
):
    """At the new resolution, with the weights of the phase before."""
    recipe = Recipe(data=f"folder:{recordings}", **OPTIONS)
    scored = []
    validate = Run._validate

    def noting(run, network, pipeline):
        weights = {w.path: w.numpy() for w in network.trainable_weights}
        scored.append((str(network.resolution), weights))
        return validate(run, network, pipeline) | {"accuracy": len(scored)}

    monkeypatch.setattr(Run, "_validate", noting)
    run = Run(str(tmp_path / "run"), recipe, recipe.open_data())
    run.train()
    resolutions = ["pool:2", "pool:2", "full", "full", "full"]
    assert [resolution for resolution, _ in scored] == resolutions
    before, at_switch = (weights for _, weights in scored[1:3])
    grid = before.pop("positions/grid")
    resized = at_switch.pop("positions/grid")
    np.testing.assert_array_equal(resized, resize_axes(grid, resized.shape[:2]))
    for path, weight in before.items():
        np.testing.assert_array_equal(at_switch[path], weight, path)
    rows = read_rows(run.path("history.csv"))
    assert [row["switch_accuracy"] for row in rows] == ["", "", "3", ""]
    assert [row["val_accuracy"] for row in rows] == ["1", "2", "4", "5"]


def test_scoring_the_switch_leaves_training_as_it_is(
    finished, tmp_path, monkeypatch
):
    scored, _ = finished
    monkeypatch.setattr(SwitchScore, "on_epoch_begin", lambda *_: None)
    clips = (scored.train_clips, scored.validation_clips)
    plain = Run(str(tmp_path), scored.recipe, clips)
    plain.train()
    pairs = [read_rows(run.path("history.csv")) for run in (scored, plain)]
    assert "switch_accuracy" in pairs[0][0]
    assert "switch_accuracy" not in pairs[1][0]
    for with_score, without in zip(*pairs, strict=True):
        for name in ("loss", "accuracy", "val_loss", "learning_rate"):
            # float32 sums in another order of threads
            expected = pytest.approx(float(without[name]), rel=1e-3)
            assert float(with_score[name]) == expected, name


def test_complete_run_returns_its_result_at_once(finished):
    run, result = finished
    clips = run.train_clips, run.validation_clips
    again = Run(run.folder, run.recipe, clips).train()
    assert again == result


def test_other_recipe_in_the_same_folder_is_refused(finished):
    run, _ = finished
    other = Recipe(**{**run.recipe.to_dict(), "batch_size": 2})
    with pytest.raises(ValueError, match="batch_size=4; this one has"):
        Run(run.folder, other, (run.train_clips, run.validation_clips))


def test_run_that_is_older_than_an_option(finished, tmp_path):
    """It did what was done then, which need not be today's default."""
    run, result = finished
    folder = shutil.copytree(run.folder, tmp_path / "old")
    config = json.loads((folder / "config.json").read_text())
    del config["recipe"]["warm_restarts"], config["recipe"]["adaptive"]
    (folder / "config.json").write_text(json.dumps(config))
    clips = (run.train_clips, run.validation_clips)
    with pytest.raises(ValueError, match="warm_restarts=True; this one has"):
        Run(str(folder), run.recipe, clips)
    recipe = dataclasses.replace(run.recipe, warm_restarts=True)
    assert Run(str(folder), recipe, clips).train() == result


@pytest.mark.once
def test_another_architecture_brings_its_front_end(recordings, tmp_path):
    options = {
        "backbone": "hts_at_micro",
        "depth": 0,
        "pooling": "token_semantic",
        "schedule": "patch:2@1, full@1",
        "time_mask": 0,
        "dropout": 0.0,
    }
    recipe = Recipe(data=f"folder:{recordings}", **{**OPTIONS, **options})
    folder = tmp_path / "run"
    result = Run(str(folder), recipe, recipe.open_data()).train()
    assert np.isfinite(result["loss"])
    with open(folder / "config.json") as file:
        config = json.load(file)
    assert config["frontend"]["style"] == "librosa"
    assert config["frontend"]["sample_rate"] == 32000
    tokens = [phase["num_tokens"] for phase in config["phases"]]
    assert tokens == [8 * 64, 8 * 64]  # a column in the last map at least
    with np.load(folder / "example.npz") as example:
        # 0.32 s at 32 kHz: 33 centred frames, up to patches of 4 x factor 2
        assert example["full"].shape == (40, 64)


@pytest.mark.parametrize(
    "name, value",
    [
        ("position_resize", "nearest"),
        ("patchout", 0.5),
        ("token_merging", 0.2),
        ("frozen_blocks", 1),
    ],
)
def test_what_another_architecture_has_not_is_refused(name, value):
    """The default, which says nothing, is no error."""
    recipe = Recipe(
        backbone="hts_at_micro", init_from="runs/a", **{name: value}
    )
    with pytest.raises(ValueError, match=f"HTSAT.* has no {name}. Leave"):
        build_backbone(recipe, recipe.frontend)
    recipe = Recipe(clip_seconds=0.32, init_from="runs/a", **{name: value})
    backbone = build_backbone(recipe, recipe.frontend)
    assert getattr(backbone, name) == value


@pytest.mark.once
def test_stopped_run_needs_its_initial_weights_no_more(recordings, tmp_path):
    init_from = tmp_path / "initial.keras"
    options = {**OPTIONS, "schedule": "pool:2@2"}
    recipe = Recipe(f"folder:{recordings}", init_from=str(init_from), **options)
    build_backbone(recipe, recipe.frontend).save(init_from)
    run = Run(str(tmp_path / "run"), recipe, recipe.open_data())
    with killed_after(1):
        run.train()
    init_from.unlink()
    assert np.isfinite(run.train()["loss"])
    with open(run.path("config.json")) as file:
        assert "copied" in json.load(file)["model"]["init_from"]


@pytest.fixture
def moving(monkeypatch):
    """A rule that sees nothing carried over."""

    class Moving(CarryOver):
        def __init__(self, loss, *args, **options):
            def blind(network):
                return (
                    0.0 if str(network.resolution) == "full" else loss(network)
                )

            super().__init__(blind, *args, **options)

    monkeypatch.setattr("keras_c2f.training.run.CarryOver", Moving)


@pytest.mark.once
def test_adaptive_run_goes_on_as_if_never_stopped(moving, recordings, tmp_path):
    """Stopped before its phase ends early, and right after."""
    options = OPTIONS | {
        "schedule": "pool:2@4 lr=2e-3, full@2",
        "adaptive": True,
    }
    recipe = Recipe(f"folder:{recordings}", **options)
    clips = recipe.open_data()
    whole = Run(str(tmp_path / "whole"), recipe, clips)
    whole.train()
    stopped = Run(str(tmp_path / "stopped"), recipe, clips)
    for epochs in (1, 2):
        with killed_after(epochs):
            stopped.train()
    stopped.train()
    rows, resumed = [read_rows(r.path("history.csv")) for r in (whole, stopped)]
    assert [row["phase"] for row in rows] == ["1", "1", "2", "2", "2"]
    for row, again in zip(rows, resumed, strict=True):
        for name in ("phase", "loss", "val_loss", "learning_rate"):
            # float32 sums in another order of threads
            expected = pytest.approx(float(row[name]), rel=1e-3, abs=1e-8)
            assert float(again[name]) == expected, (name, row["epoch"])
    rates = [float(row["learning_rate"]) for row in rows]
    assert 1e-4 < rates[3] < rates[2] and rates[4] == pytest.approx(0, abs=1e-8)
    with open(stopped.path("config.json")) as file:
        config = json.load(file)
    assert config["schedule"] == "pool:2@2 lr=0.002, full@3"
    assert [phase["epochs"] for phase in config["phases"]] == [2, 3]
    assert config["recipe"]["schedule"] == "pool:2@4 lr=2e-3, full@2"


@pytest.mark.once
@pytest.mark.parametrize("options", [{}, {"warm_restarts": True}])
def test_learning_rate_goes_down_over_all_phases_or_each(options, tmp_path):
    recipe = Recipe(**OPTIONS, **options)
    run = Run(str(tmp_path), recipe, noise_clips())
    run._begin(make_pipeline(recipe, recipe.frontend))
    coarse, full = (p.learning_rate for p in run._with_rates(recipe.phases))
    assert coarse.steps == full.steps == 2  # two epochs of one batch
    assert (coarse.warmup, full.peak) == (recipe.warmup, recipe.learning_rate)
    if options:
        assert (coarse.end, full.begin) == (1.0, 0.0)
    else:  # two epochs at about half the cost
        assert coarse.end == full.begin == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("row, name", [([1], "b"), ([], "unlabelled")])
def test_example_of_a_clip_that_has_no_label(row, name, tmp_path):
    recordings = np.zeros((2, 5120), "float32")
    clips = Clips(recordings, LabelSets.of([row, [0]]), "ab")
    recipe = Recipe(**OPTIONS)
    pipeline = make_pipeline(recipe, recipe.frontend)
    write_example(tmp_path, pipeline, clips, recipe.phases)
    with np.load(tmp_path / "example.npz") as example:
        assert example["label"] == name


def test_statistics_are_those_of_the_features():
    rng = np.random.default_rng(0)
    recordings = [0.1 * rng.normal(size=5120).astype("float32") for _ in "abcd"]
    clips = Clips(recordings, [0, 1, 0, 1], ("a", "b"))
    recipe = Recipe(**OPTIONS)
    pipeline = make_pipeline(recipe, Frontend())
    frontend = pipeline.adapt(clips)
    features = np.concatenate(
        [x.numpy() for x, _ in make_pipeline(recipe, frontend).dataset(clips)]
    )
    assert features.mean() == pytest.approx(0, abs=1e-4)
    assert features.std() == pytest.approx(0.5, rel=1e-4)  # AST: 2 std


def noise_clips(broken=()):
    """Four clips to train on and four to validate on, some `broken`."""
    rng = np.random.default_rng(0)
    recordings = 0.1 * rng.normal(size=(2, 4, 5120)).astype("float32")
    for part, index in broken:
        recordings[part, index, 9] = np.nan
    return [Clips(list(part), [0, 1, 0, 1], ("a", "b")) for part in recordings]


@pytest.mark.once
@pytest.mark.parametrize("broken", [(0, 3), (1, 0), (1, 3)])
def test_broken_audio_ends_a_run_in_a_sentence(broken, tmp_path):
    """Met while measuring statistics, in the example, or inside `fit`."""
    recipe = Recipe(**OPTIONS, on_error="raise")
    run = Run(str(tmp_path), recipe, noise_clips([broken]))
    with pytest.raises(ValueError, match=f"^array number {broken[1]}: .* NaN"):
        run.train()


def test_data_of_broken_recordings_alone_is_refused(tmp_path):
    clips = noise_clips([(0, index) for index in range(4)])
    with pytest.raises(
        ValueError, match="None of the recordings .* number 0: has"
    ):
        Run(str(tmp_path), Recipe(**OPTIONS), clips).train()


def test_folder_without_an_epoch_is_free(finished, tmp_path):
    """A start that ended in an error keeps nothing worth guarding."""
    run, _ = finished
    shutil.copy(run.path("config.json"), tmp_path)
    other = dataclasses.replace(run.recipe, seed=5)
    Run(str(tmp_path), other, (run.train_clips, run.validation_clips))


def test_changed_data_are_refused(finished):
    run, _ = finished
    fewer = run.train_clips.subset(range(6))
    with pytest.raises(ValueError, match="num_train_clips=8; this one has"):
        Run(run.folder, run.recipe, (fewer, run.validation_clips))
    fewer = run.validation_clips.subset([0])
    with pytest.raises(ValueError, match="num_validation_clips=2; this one"):
        Run(run.folder, run.recipe, (run.train_clips, fewer))


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"clip_seconds": 0.0}, {"frozen_blocks": 1}]
)
def test_impossible_recipes_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Recipe(**options)


@pytest.mark.once
@pytest.mark.parametrize("data", ["keywords", "timing", "timbre"])
def test_made_recordings_have_the_rate_of_the_model(data):
    """HTS-AT takes 32 kHz, AST 16 kHz: the same clips, half as many samples."""
    coarse, fine = (
        Recipe(data=data, backbone=model).open_data()[1].audio[0]
        for model in ("ast_micro", "hts_at_micro")
    )
    assert len(fine) == 2 * len(coarse)


def test_baseline_has_as_many_epochs_and_no_padding_for_coarse_phases():
    recipe = Recipe(schedule="pool:4@3, full@1", clip_seconds=1.0)
    baseline = recipe.baseline()
    assert baseline.phases.epochs == 4
    # 98 frames, to a multiple of 16 x 4, and of 16
    assert recipe.frames(Frontend()) == 128
    assert baseline.frames(Frontend()) == 112
    spent = dataclasses.replace(recipe, num_frames=128)
    assert spent.baseline().frames(Frontend()) == 112
    given = dataclasses.replace(recipe, num_frames=192)
    assert given.baseline().frames(Frontend()) == 192


@pytest.mark.parametrize("pooling", ["mean", "prefix"])
def test_baseline_costs_what_its_own_network_does(pooling):
    """Up to the head, which is a millionth of it."""
    recipe = Recipe(
        schedule="pool:4@3, full@1", clip_seconds=3.0, pooling=pooling
    )
    network = build_classifier(recipe, 10, recipe.frontend)
    baseline = build_classifier(recipe.baseline(), 10, recipe.frontend)
    found = baseline_cost(recipe, network).macs
    assert found < 0.97 * network_cost(network).macs  # 304 of 320 frames
    assert found == pytest.approx(network_cost(baseline).macs, rel=1e-3)


@pytest.mark.parametrize(
    "options, num_trained",
    [  # a block of 12 and the last norm; two for each of 4 kernels, twice
        ({"frozen_blocks": 1}, 12 + 2),
        ({"lora": 2}, 2 * 4 * 2),
        ({"freeze": "all"}, 0),
    ],
)
def test_what_a_recipe_freezes_stays_frozen(options, num_trained):
    options = {**options, "init_from": "weights", "depth": 2}
    if "freeze" in options:
        options |= {"schedule": "full@1", "time_mask": 0, "dropout": 0.0}
    recipe = Recipe(**OPTIONS | options)
    network = build_classifier(recipe, 2, recipe.frontend)
    found = len(network.backbone.trainable_variables)
    assert found == num_trained < len(network.backbone.variables)
    assert network.trainable_variables[-1].path.endswith("/bias")  # its head's


@pytest.mark.parametrize(
    ("text", "pair"), [("16x10", (16, 10)), ("16", (16, 16)), ("", None)]
)
def test_parse_pair(text, pair):
    assert parse_pair(text) == pair


@pytest.mark.parametrize("text", ["16x", "axb", "1x2x3", "0x4"])
def test_parse_pair_refuses(text):
    with pytest.raises(ValueError, match="FRAMESxBINS"):
        parse_pair(text)
