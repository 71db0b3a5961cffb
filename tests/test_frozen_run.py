"""A frozen backbone: features once, a head in closed form, a usual run."""

import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from keras_c2f.data import LabelSets
from keras_c2f.evaluation.cascade import cross_entropy, log_scores
from keras_c2f.evaluation.evaluate import evaluate
from keras_c2f.inference import load_classifier
from keras_c2f.probe.ridge import fit_ridge, folds_of
from keras_c2f.report import write_report
from keras_c2f.training import clip_features
from keras_c2f.training.from_recipe import build_backbone, make_pipeline
from keras_c2f.training.frozen import of_last_phase
from keras_c2f.training.frozen_run import FrozenRun
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run
from keras_c2f.training.solved_head import solve_head
from keras_c2f.training.trained_run import read_trained_run

pytest.importorskip("soundfile", reason="needs the extra `audio`")

CLASSES = {"high": 3000, "low": 300, "middle": 1000}
OPTIONS = {
    "clip_seconds": 0.32,
    "schedule": "pool:2@2, token:2@3",
    "backbone": "whisper_tiny",
    "depth": 1,
    "pooling": "statistics",
    "freeze": "all",
    "batch_size": 4,
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_C2F_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Three tones in noise, twelve clips each, and a file that is none."""
    import soundfile

    root = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    times = np.arange(5120) / 16000
    for name, hertz in CLASSES.items():
        (root / name).mkdir()
        for index in range(12):
            tone = 0.1 * np.sin(2 * np.pi * hertz * times)
            audio = tone + 0.02 * rng.normal(size=times.size)
            soundfile.write(root / name / f"{index}.wav", audio, 16000)
    (root / "low" / "none.wav").write_text("no audio")
    return root


@pytest.fixture(scope="module")
def init_from(tmp_path_factory):
    """An encoder of two blocks, of which a run takes the first."""
    keras.utils.set_random_seed(0)
    recipe = Recipe(**{**OPTIONS, "freeze": "", "depth": 2})
    path = tmp_path_factory.mktemp("init_from") / "initial.keras"
    build_backbone(recipe, recipe.frontend).save(path)
    return str(path)


def frozen_run(folder, recordings, init_from, **options):
    recipe = Recipe(
        data=f"folder:{recordings}",
        init_from=init_from,
        **{**OPTIONS, **options},
    )
    recipe = of_last_phase(recipe)
    return FrozenRun(str(folder), recipe, recipe.open_data())


@pytest.fixture(scope="module")
def finished(recordings, init_from, tmp_path_factory):
    run = frozen_run(
        tmp_path_factory.mktemp("runs") / "a", recordings, init_from
    )
    return run, run.train()


def test_run_is_a_usual_one(finished, recordings):
    run, result = finished
    assert result["accuracy"] == 1.0
    assert [os.path.basename(path) for path, _ in result["skipped"]] == [
        "none.wav"
    ]
    trained = read_trained_run(run.folder)
    assert str(trained.network.resolution) == "token:2"
    assert trained.network.backbone.depth == 1
    assert result["epoch"] == 1
    config = json.loads(Path(run.path("config.json")).read_text())
    assert config["head"]["left_out_accuracy"] == 1.0
    assert "copied" in config["model"]["init_from"]
    # the network as a whole, on the recordings, has the figures of the head
    pipeline = make_pipeline(run.recipe, trained.frontend)
    summary, _ = evaluate(trained.network, pipeline, run.validation_clips)
    assert summary["loss"] == pytest.approx(result["loss"], rel=1e-3)
    assert summary["loss"] < 0.3  # scores are probabilities of some weight
    classifier = load_classifier(run.folder)
    (window,) = classifier.predict(str(recordings / "low" / "3.wav"))
    names = classifier.info.class_names
    assert names[window.scores.argmax()] == "low"
    assert os.path.exists(write_report(os.path.dirname(run.folder)))


@pytest.mark.once
def test_features_are_computed_once(
    finished, recordings, init_from, cache, monkeypatch
):
    run, result = finished
    computed = []
    compute = clip_features._compute

    def noting(network, pipeline, clips):
        computed.append(len(clips))
        return compute(network, pipeline, clips)

    monkeypatch.setattr(clip_features, "_compute", noting)
    assert run.train() == result
    other = os.path.join(os.path.dirname(run.folder), "b")
    again = frozen_run(other, recordings, init_from, seed=1).train()
    assert again["accuracy"] == 1.0
    assert sum(computed) <= 1  # the file that is none, wherever it falls
    changed = recordings / "low" / "5.wav"
    os.utime(changed, (1, 1))
    third = os.path.join(os.path.dirname(run.folder), "c")
    frozen_run(third, recordings, init_from, seed=2).train()
    assert 1 <= sum(computed) <= 3
    store = cache / "features"
    (text,) = [name for name in os.listdir(store) if name.endswith("json")]
    held = json.loads((store / text).read_text())
    assert held["clips"] == 37 and held["numbers_a_clip"] == 2 * 384
    assert held["resolution"] == "token:2" and held["megabytes"] > 0
    pool = os.path.join(os.path.dirname(run.folder), "d")
    computed.clear()
    frozen_run(pool, recordings, init_from, schedule="pool:2@1").train()
    assert sum(computed) == 37  # other features


@pytest.mark.once
def test_training_goes_on_from_a_solved_head(finished, recordings, tmp_path):
    """All of it is carried over, and then everything is trained."""
    frozen, _ = finished
    options = {**OPTIONS, "freeze": "", "schedule": "token:2@1"}
    recipe = Recipe(
        f"folder:{recordings}",
        init_from=frozen.folder,
        learning_rate=1e-6,
        **options,
    )
    run = Run(str(tmp_path / "run"), recipe, recipe.open_data())
    result = run.train()
    assert result["accuracy"] == 1.0
    config = json.loads(Path(run.path("config.json")).read_text())
    assert "fresh" not in config["model"]["init_from"]
    before, after = (
        read_trained_run(folder).network.backbone
        for folder in (frozen.folder, run.folder)
    )
    assert before.trainable is False and after.trainable is True
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(
            before.get_weights(), after.get_weights(), strict=True
        )
    ]
    assert np.mean(moved) > 0.9


def test_features_are_those_of_the_tokens(finished):
    run, _ = finished
    network = read_trained_run(run.folder).network
    batch = np.random.default_rng(0).normal(size=(3, *network.input_shape[1:]))
    tokens = keras.ops.convert_to_numpy(network.backbone(batch))
    tokens = tokens.astype("float64")
    features = np.concatenate([tokens.mean(1), tokens.std(1)], axis=1)
    kernel, bias = network.get_layer("head").get_weights()
    np.testing.assert_allclose(
        network.predict(batch, verbose=0), features @ kernel + bias, atol=2e-3
    )


# The solution


def made(count, size, num_classes=3):
    rng = np.random.default_rng(0)
    labels = np.arange(count) % num_classes
    features = rng.normal(size=(count, size)) + labels[:, None] / 2
    features[:, 1] = 5.0  # constant
    return features, np.eye(num_classes)[labels]


@pytest.mark.once
@pytest.mark.parametrize("count, size", [(60, 200), (60, 20), (61, 60)])
def test_kernel_equals_scikit_learn(count, size):
    features, targets = made(count, size)
    folds = np.arange(count) % 5
    for penalty in (1e-2, 10.0):
        ridge = fit_ridge(features, targets, folds, [penalty])
        # the penalty is for a sum of variances of 1, theirs for one of p
        model = Ridge(alpha=penalty * (size - 1))
        scaler = StandardScaler().fit(features)
        model.fit(scaler.transform(features), targets)
        new = np.random.default_rng(1).normal(size=(7, size))
        new[:, 1] = 5.0
        np.testing.assert_allclose(
            new @ ridge.kernel + ridge.bias,
            model.predict(scaler.transform(new)),
            atol=1e-8,
        )


@pytest.mark.once
@pytest.mark.parametrize("multi_label", [False, True])
def test_scale_is_that_of_least_loss_on_clips_left_out(multi_label):
    features, targets = made(90, 30)
    if multi_label:
        targets = np.maximum(targets, np.roll(targets, 1, axis=0))
    kernel, bias, found = solve_head(features, targets, multi_label)
    folds = folds_of(targets, multi_label, 10, np.random.default_rng(0))
    ridge = fit_ridge(features, 2 * targets - 1, folds, [found["penalty"]])
    np.testing.assert_allclose(kernel, found["scale"] * ridge.kernel)

    def loss(logits):
        scores = log_scores(logits, multi_label)
        return cross_entropy(targets, scores, multi_label).mean()

    best = minimize_scalar(
        lambda power: loss(10.0**power * ridge.left_out), (-1, 3)
    )
    # 81 scales from 0.1 to 1000
    assert abs(np.log10(found["scale"]) - best.x) < 4 / 80
    assert loss(features @ kernel + bias) < best.fun


@pytest.mark.once
def test_several_labels_a_clip(recordings, init_from, tmp_path):
    run = frozen_run(tmp_path / "runs" / "a", recordings, init_from)
    run.train_clips, run.validation_clips = (
        type(clips)(
            clips.audio,
            LabelSets.of([[int(label), 2] for label in clips.labels]),
            clips.class_names,
        )
        for clips in (run.train_clips, run.validation_clips)
    )
    result = run.train()
    assert result["mean_average_precision"] > 0.9


# What does not go together


@pytest.mark.once
@pytest.mark.parametrize(
    "options, message",
    [
        ({"freeze": "blocks"}, "`freeze` is one of all.*freeze='blocks'"),
        ({"ema": 0.9, "frozen_blocks": 1}, "ema, frozen_blocks would change"),
        ({"init_from": ""}, "needs trained weights.*`init_from`"),
        ({"mixup": 0.5, "dropout": 0.1}, "mixup, dropout would change nothing"),
        ({"adaptive": True}, "adaptive would change nothing"),
        ({"pooling": "token_semantic"}, "not solved in closed form"),
    ],
)
def test_settings_that_change_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**{**OPTIONS, "init_from": "runs/a", **options})


@pytest.mark.once
def test_fewer_blocks_are_taken_only_if_asked_for(
    recordings, init_from, tmp_path
):
    with pytest.raises(ValueError, match="does not fit: its block_"):
        frozen_run(tmp_path / "a", recordings, init_from, depth=0).train()
    with pytest.raises(ValueError, match="does not fit: its block_2"):
        frozen_run(tmp_path / "b", recordings, init_from, depth=3).train()


@pytest.mark.once
def test_a_head_needs_clips():
    with pytest.raises(ValueError, match="at least 2 clips.*Received: 1"):
        solve_head(np.ones((1, 3)), np.ones((1, 2)), False)
