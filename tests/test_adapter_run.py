"""A run that trains low-rank adapters, killed, resumed, merged at its end."""

import json

import keras
import numpy as np
import pytest
from kills import killed_after
from test_training import write_audio

from keras_c2f.inference import load_classifier, load_embedder
from keras_c2f.phases.transplant import weights_by_path
from keras_c2f.report import write_report
from keras_c2f.training.from_recipe import build_backbone, build_classifier
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run

pytest.importorskip("soundfile", reason="needs the extra `audio`")
once = pytest.mark.once
OPTIONS = {
    "clip_seconds": 0.32,
    "schedule": "token:2@2, full@1",  # resizes no position
    "depth": 1,
    "batch_size": 4,
    "learning_rate": 0.01,
    "weight_decay": 0.0,
    "lora": 2,
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("audio")
    write_audio(root)
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A backbone with one prefix token, as of an image transformer."""
    keras.utils.set_random_seed(0)
    recipe = Recipe(**{**OPTIONS, "lora": 0})
    backbone = build_backbone(recipe, recipe.frontend)
    path = tmp_path_factory.mktemp("weights") / "initial.keras"
    backbone.with_arguments(num_prefix_tokens=1).save(path)
    return str(path)


def make_run(folder, recordings, weights):
    recipe = Recipe(data=f"folder:{recordings}", init_from=weights, **OPTIONS)
    return Run(str(folder), recipe, recipe.open_data())


def values(network):
    pairs = weights_by_path(network).items()
    return {
        path: keras.ops.convert_to_numpy(variable)
        for path, (variable, _) in pairs
        if "seed" not in path
    }


def test_kernels_move_by_low_rank_alone(recordings, weights, tmp_path):
    run = make_run(tmp_path / "run", recordings, weights)
    run.train()
    before = values(keras.models.load_model(weights))
    after = values(keras.models.load_model(run.path("model.keras")))
    assert not any("lora" in path for path in after)
    moved = 0
    for path, value in before.items():
        change = after[path] - value
        if path.endswith("/kernel") and "block" in path:
            sizes = np.linalg.svd(change, compute_uv=False)
            assert sizes[1] > 1e-4 > sizes[2]  # float32 of the sum
            moved += 1
        else:
            np.testing.assert_array_equal(after[path], value, err_msg=path)
    assert moved == 4
    network = keras.models.load_model(run.path("phase-1.keras"))
    assert network.backbone.lora_rank == 0 and str(network.resolution) != "full"

    config = json.loads((tmp_path / "run" / "config.json").read_text())
    phase = config["phases"][-1]
    recipe = run.recipe
    whole = build_classifier(recipe, 2, recipe.frontend)
    count = sum(int(np.prod(v.shape)) for v in whole.trainable_variables)
    assert phase["num_trained"] == count < phase["num_parameters"] / 5
    page = write_report(tmp_path).read_text("utf-8")
    text = " ".join(page.split())
    assert f"run trains {count} of its" in text
    assert "adapters of rank 2 among them" in text

    wav = str(recordings / "low" / "0.wav")
    scores = load_classifier(tmp_path / "run").predict(wav)
    assert next(iter(scores)).scores.shape == (2,)
    assert load_embedder(tmp_path / "run").embed(wav).shape == (1, 2 * 96)


@once
def test_a_killed_run_ends_like_another(recordings, weights, tmp_path):
    whole = make_run(tmp_path / "whole", recordings, weights)
    whole.train()

    run = make_run(tmp_path / "killed", recordings, weights)
    with killed_after(1):
        run.train()
    make_run(tmp_path / "killed", recordings, weights).train()
    first, second = (
        values(keras.models.load_model(r.path("model.keras")))
        for r in (whole, run)
    )
    for path, value in first.items():
        np.testing.assert_allclose(second[path], value, atol=1e-5)


@once
@pytest.mark.parametrize(
    "options, sentence",
    [
        ({}, "with `init_from`. Received: lora=4"),
        ({"init_from": "x", "frozen_blocks": 1}, "Leave `frozen_blocks` out"),
        ({"init_from": "x", "position_resize": "random"}, "begin anew"),
        ({"init_from": "x", "freeze": "all"}, "lora would change nothing"),
        ({"lora": -1}, "at least 0"),
    ],
)
def test_what_does_not_go_together_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Recipe(**{"lora": 4, **options})
