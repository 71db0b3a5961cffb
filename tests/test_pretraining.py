"""Pre-training runs: files, resuming, and what starts from them."""

import dataclasses
import os

import keras
import numpy as np
import pytest
from kills import killed_after
from test_training import OPTIONS, write_audio

from keras_c2f.convert import Pretrained
from keras_c2f.models import AST, AudioClassifier, MaskedPatchModel
from keras_c2f.phases import PhasedModel
from keras_c2f.report import write_report
from keras_c2f.training.from_recipe import make_pipeline
from keras_c2f.training.init_from import start_from
from keras_c2f.training.pretrain_recipe import PretrainRecipe
from keras_c2f.training.pretraining import (
    PretrainRun,
    evaluate_masked_patches,
    reconstruct,
)
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run
from keras_c2f.utils.files import read_json, read_rows, write_rows

pytest.importorskip("soundfile", reason="needs the extra `audio`")

PRETRAIN = {**OPTIONS, "schedule": "patch:2@1, full@1", "batch_size": 5}
del PRETRAIN["depth"]  # masked patches are those of a whole network


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("audio")
    write_audio(root)
    return root


@pytest.fixture(scope="module")
def pretrained(recordings, tmp_path_factory):
    """A run pre-trained to the end on recordings without labels."""
    recipe = PretrainRecipe(data=f"audio:{recordings}", **PRETRAIN)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run = PretrainRun(str(folder), recipe, recipe.open_data())
    return run, run.train()


def test_run_is_complete(pretrained):
    run, result = pretrained
    assert set(os.listdir(run.folder)) == {
        "clips.npz",
        "config.json",
        "evaluation.json",
        "example.npz",
        "history.csv",
        "model.keras",
        "phase-1.keras",
        "phase-2.keras",
        "reconstruction.npz",
        "tensorboard",
    }
    assert run.train_clips.num_classes == 0
    assert result["num_clips"] == len(run.validation_clips) == 1
    rows = read_rows(run.path("history.csv"))
    assert [row["resolution"] for row in rows] == ["patch:2", "full"]
    for name in ("accuracy", "discriminative_loss", "generative_loss"):
        assert np.isfinite(float(rows[-1][name]))
        assert float(rows[-1][f"val_{name}"]) == pytest.approx(
            result[name], rel=1e-3, abs=1e-6
        )
    assert result["loss"] == pytest.approx(float(rows[-1]["val_loss"]), 1e-3)


@pytest.mark.once
def test_stopped_run_ends_like_an_uninterrupted_one(pretrained, tmp_path):
    run, result = pretrained
    other = PretrainRun(
        str(tmp_path), run.recipe, (run.train_clips, run.validation_clips)
    )
    with killed_after(1):
        other.train()
    (row,) = read_rows(other.path("history.csv"))
    del row["cpu_seconds"]  # as histories were before it was kept
    write_rows(other.path("history.csv"), [row])
    resumed = other.train()
    rows = read_rows(other.path("history.csv"))
    assert rows[0]["cpu_seconds"] == rows[0]["switch_accuracy"] == ""
    whole = read_rows(run.path("history.csv"))
    for name in ("loss", "val_loss", "val_accuracy", "switch_accuracy"):
        expected = pytest.approx(float(whole[1][name]), rel=1e-3, abs=1e-6)
        assert float(rows[1][name]) == expected, name
    for name in ("loss", "accuracy", "discriminative_loss", "generative_loss"):
        # float32 sums in another order of threads
        assert resumed[name] == pytest.approx(result[name], 1e-3), name


@pytest.mark.once
def test_training_starts_from_a_pretrained_run(
    pretrained, recordings, tmp_path
):
    before, _ = pretrained
    options = {**OPTIONS, "schedule": "pool:2@1", "clip_seconds": 0.5}
    recipe = Recipe(
        data=f"folder:{recordings}",
        init_from=before.folder,
        patch_stride="10x10",
        learning_rate=1e-30,
        weight_decay=0.0,
        **options,
    )
    run = Run(str(tmp_path), recipe, recipe.open_data())
    run.train()
    started = read_json(run.path("config.json"))["model"]["init_from"]
    assert "resized positions/grid (2, 8, 96) -> (5, 12, 96)" in started
    assert "left fresh head_norm/gamma" in started
    old, new = (
        {w.path: w.numpy() for w in keras.models.load_model(path).weights}
        for path in (before.path("model.keras"), run.path("model.keras"))
    )
    path = "block_0/mlp_in/kernel"  # the rate is lost in float32
    np.testing.assert_array_equal(old[path], new[path])


@pytest.mark.once
def test_starts_from_a_file_of_another_kind(tmp_path):
    backbone = AST(32, 16, (4, 4), width=8, depth=1, num_heads=2)
    models = {
        "masked": MaskedPatchModel(backbone),
        "classifier": AudioClassifier(backbone, 3),
        "phased": PhasedModel(MaskedPatchModel(backbone)),
        "backbone": backbone,
    }
    paths = {name: str(tmp_path / f"{name}.keras") for name in models}
    for name, model in models.items():
        model.save(paths[name])
    paths["preset"] = str(tmp_path / "preset")
    Pretrained(backbone).save(paths["preset"])
    for name, path in paths.items():
        target = AudioClassifier(
            AST(40, 16, (4, 8), (2, 8), width=8, depth=1, num_heads=2), 5
        )
        report = start_from(target, path)
        resized = {path for path, _, _ in report.resized}
        assert resized == {"positions/grid", "patch_embedding/kernel"}, name
        assert {"head/kernel", "head/bias"} <= set(report.fresh)


@pytest.mark.parametrize(
    "sizes, sentence",
    [
        ({"width": 12}, r"its .* is \(.*8.*, and this network's \(.*12"),
        ({"depth": 2}, "block_1/.* is missing, and this network's"),
        ({"num_prefix_tokens": 1}, r"prefix/tokens is \(2, 8\)"),
        ({"num_prefix_tokens": 0}, "and this network's missing"),
    ],
)
def test_backbone_of_other_sizes_is_refused(sizes, sentence, tmp_path):
    small = {"width": 8, "depth": 1, "num_heads": 2}
    path = str(tmp_path / "model.keras")
    MaskedPatchModel(AST(32, 16, (4, 4), **small)).save(path)
    backbone = AST(32, 16, (4, 4), **{**small, **sizes})
    target = AudioClassifier(backbone, 2, pooling="mean")
    with pytest.raises(ValueError, match=f"{sentence}.*Choose the model"):
        start_from(target, str(tmp_path))


def test_model_without_a_backbone_is_refused(tmp_path):
    path = str(tmp_path / "plain.keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    backbone = AST(32, 16, (4, 4), width=8, depth=1, num_heads=2)
    target = AudioClassifier(backbone, 2)
    with pytest.raises(ValueError, match="Sequential, which has no backbone"):
        start_from(target, path)


@pytest.mark.once
def test_evaluation_reads_every_clip(pretrained):
    run, result = pretrained
    network = keras.models.load_model(run.path("model.keras"))
    pipeline = make_pipeline(run.recipe, network.frontend)
    scores = evaluate_masked_patches(network, pipeline, run.train_clips)
    assert scores["num_clips"] == len(run.train_clips) == 9
    again = evaluate_masked_patches(network, pipeline, run.validation_clips)
    assert again["accuracy"] == pytest.approx(result["accuracy"])


def test_reconstruction_replaces_masked_patches_alone():
    backbone = AST(24, 9, (4, 4), width=8, depth=1, num_heads=2)
    network = MaskedPatchModel(backbone, mask_ratio=0.5)
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(2, 24, 9)).astype("float32")
    pictures = reconstruct(network, clips)
    np.testing.assert_array_equal(pictures["original"], clips[..., :8])
    masked = np.isnan(pictures["masked"])
    assert masked.mean() == 0.5
    for name in ("masked", "reconstructed"):
        np.testing.assert_array_equal(
            pictures[name][~masked], clips[..., :8][~masked]
        )
    error = (pictures["reconstructed"] - clips[..., :8])[masked]
    outcome = np.asarray(network.predict_on_batch(clips))
    np.testing.assert_allclose(
        (error**2).mean(), outcome[..., 1].mean(), rtol=1e-5
    )


def test_report_shows_masked_patches(pretrained):
    run, _ = pretrained
    pytest.importorskip("matplotlib", reason="needs the extra `report`")
    page = write_report(os.path.dirname(run.folder)).read_text("utf-8")
    assert "Masked patches reconstructed by whole" in page
    for name in ("original", "masked", "reconstructed"):
        assert f"{name}: 32 frames" in page
    assert "val_discriminative_loss" in page or "discriminative loss" in page


def test_labels_are_needed_to_train(recordings, tmp_path):
    recipe = Recipe(data=f"audio:{recordings}", **OPTIONS)
    with pytest.raises(ValueError, match="has no labels.*--init-from"):
        Run(str(tmp_path), recipe, recipe.open_data()).train()


def test_training_does_not_go_on_in_a_pretrained_run(pretrained):
    run, _ = pretrained
    recipe = Recipe(data=run.recipe.data, **PRETRAIN)
    with pytest.raises(ValueError, match="task='masked patches'; this one"):
        Run(run.folder, recipe, (run.train_clips, run.validation_clips))


def test_run_of_an_older_version_is_recognised(pretrained):
    """Its recipe lacks what has been added since."""
    run, result = pretrained
    clips = (run.train_clips, run.validation_clips)
    path = run.path("config.json")
    with open(path) as file:
        text = file.read()
    assert '"init_from": "",\n' in text
    with open(path, "w") as file:
        file.write(text.replace('"init_from": "",\n', "", 1))
    assert PretrainRun(run.folder, run.recipe, clips).train() == result
    other = dataclasses.replace(run.recipe, mask_ratio=0.5)
    with pytest.raises(ValueError, match="mask_ratio=0.78125; this one has"):
        PretrainRun(run.folder, other, clips)


@pytest.mark.parametrize(
    "text, sizes", [("", None), ("1", (1,)), ("3,4,5", (3, 4, 5))]
)
def test_cluster_sizes(text, sizes):
    assert PretrainRecipe(cluster=text).cluster_sizes == sizes


def test_cluster_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="`cluster` is written 3,4,5"):
        PretrainRecipe(cluster="3x4").cluster_sizes  # noqa: B018


def test_pretraining_is_not_adaptive():
    with pytest.raises(ValueError, match="Phases of pre-training cannot be"):
        PretrainRecipe(adaptive=True)
