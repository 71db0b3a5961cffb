"""Training from weights: what they tell about model, front end and recipe."""

import json
import re

import keras
import numpy as np
import pytest

from keras_c2f import cli
from keras_c2f.convert.pretrained import Pretrained
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models import (
    AST,
    HTSAT,
    KWT,
    AudioClassifier,
    WhisperEncoder,
    preset_frontend,
)
from keras_c2f.training.choices import choose
from keras_c2f.training.facts import Facts
from keras_c2f.training.init_from import start_from
from keras_c2f.training.initial import Initial, initial_frontend, read_initial
from keras_c2f.training.recipe import Recipe
from keras_c2f.utils.files import read_json

pytestmark = pytest.mark.once
WHISPER = Initial(
    "WhisperEncoder",
    6,
    is_converted=True,
    settings={"backbone": "whisper_base"},
)
OTHERS = Initial(
    "AST",
    12,
    is_converted=True,
    settings={
        "backbone": "ast_base",
        "patch_size": "16x16",
        "patch_stride": "10x10",
        "pooling": "prefix",
    },
)


def settings(init_from, **given):
    facts = Facts(40, 4, 2.0, 1.0, 100.0, init_from=init_from)
    chosen = choose(facts, {"init_from": "weights", **given})
    assert all(reason for _, reason in chosen.values())
    return {name: value for name, (value, _) in chosen.items()}


def test_whisper_is_frozen_and_its_head_solved():
    assert settings(WHISPER) == {
        "freeze": "all",
        "depth": 2,
        "backbone": "whisper_base",
        "pooling": "statistics",
        "schedule": "full@1",
        "clip_seconds": 2.0,
    }


@pytest.mark.parametrize(
    "given",
    [
        {"freeze": ""},
        {"budget": 3.0},
        {"schedule": "token:2@1, full@1"},
        {"mixup": 0.5},
        {"learning_rate": 1e-5},
    ],
)
def test_whisper_is_trained_if_settings_of_training_are_given(given):
    found = settings(WHISPER, **given)
    assert "freeze" not in found
    assert found["pooling"] == "statistics" and found["depth"] == 2
    rate = {**found, **given}["learning_rate"]
    assert rate <= 1e-4
    assert "token" in {**found, **given}["schedule"]
    Recipe(**{"init_from": "weights", **found, **given})


def test_a_frozen_run_is_trained_further():
    run = Initial(
        "WhisperEncoder",
        2,
        is_converted=True,
        is_run=True,
        settings={
            "backbone": "whisper_base",
            "depth": 2,
            "pooling": "statistics",
        },
    )
    found = settings(run)
    assert "freeze" not in found and found["depth"] == 2
    assert found["schedule"] == "token:4, token:2, full"


def test_weights_bring_their_geometry():
    found = settings(OTHERS)
    assert found.items() >= OTHERS.settings.items()
    assert (found["learning_rate"], found["budget"]) == (1e-4, 20.0)
    assert not {"freeze", "mixup", "ema"} & set(found)
    # a stride that was given leaves the patches those of the weights
    found = settings(OTHERS, patch_stride="16x16")
    assert found["patch_size"] == "16x16" and "patch_stride" not in found


@pytest.mark.parametrize("init_from", [WHISPER, OTHERS])
@pytest.mark.parametrize(
    "given", [{}, {"backbone": "ast_tiny"}, {"pooling": "mean"}, {"depth": 3}]
)
@pytest.mark.parametrize("num_clips", [40, 100_000])
def test_freeze_all_needs_no_other_flag(init_from, given, num_clips):
    facts = Facts(num_clips, 4, 2.0, 9.0, 100.0, init_from=init_from)
    given = {"init_from": "weights", "freeze": "all", **given}
    chosen = choose(facts, given)
    recipe = Recipe(**given, **{name: v for name, (v, _) in chosen.items()})
    assert recipe.schedule == "full@1"


def test_a_head_that_is_no_dense_layer_is_not_taken_over_frozen():
    weights = Initial("HTSAT", 0, True, settings={"pooling": "token_semantic"})
    assert settings(weights, freeze="all")["pooling"] == "statistics"
    assert settings(weights)["pooling"] == "token_semantic"


# What is read from files


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            lambda: WhisperEncoder.from_size("tiny", num_frames=20, depth=1),
            {"backbone": "whisper_tiny", "depth": 1},
        ),
        (
            lambda: AudioClassifier(
                AST.from_size(
                    "micro",
                    num_frames=32,
                    num_mel_bins=64,
                    patch_size=(8, 64),
                    patch_stride=(4, 64),
                ),
                3,
            ),
            {
                "backbone": "ast_micro",
                "patch_size": "8x64",
                "patch_stride": "4x64",
                "pooling": "prefix",
            },
        ),
        (
            lambda: HTSAT.from_size("micro", num_frames=64),
            {"backbone": "hts_at_micro", "patch_size": "4x4"},
        ),
        (
            lambda: AST.from_size(
                "conv", num_frames=32, patch_size=(4, 128), depth=1
            ),
            {"backbone": "ast_conv", "depth": 1, "patch_size": "4x128"},
        ),
        (
            lambda: AST.from_size("micro", num_frames=32, stem_channels=(4,)),
            {},
        ),
        (lambda: AST(32, 32, (8, 8), width=12, depth=1, num_heads=3), {}),
    ],
)
def test_settings_of_weights(network, expected, as_file, tmp_path):
    path = tmp_path / ("weights.keras" if as_file else "weights")
    Pretrained(network()).save(path)
    found = read_initial(str(path))
    assert found.settings == expected
    assert found.is_converted and not found.is_run


def test_front_end_is_that_of_the_weights(tmp_path):
    """Of another rate, with other mel bins; and the preset's where unknown."""
    frontend = Frontend(sample_rate=32000, num_mel_bins=64, mean=-4.5, std=2.5)
    backbone = AST.from_size("micro", num_frames=32, num_mel_bins=64)
    Pretrained(backbone, frontend).save(tmp_path / "a")
    Pretrained(backbone).save(tmp_path / "b")
    recipes = [Recipe(init_from=str(tmp_path / name)) for name in "ab"]
    assert recipes[0].frontend == frontend
    assert recipes[1].frontend == preset_frontend("ast_micro")
    assert initial_frontend("") is initial_frontend("a name") is None


@pytest.mark.parametrize(
    ("frontend", "message"),
    [
        (Frontend(), None),
        (Frontend(mean=-1.0, std=3.0), None),  # measured on other data
        (
            Frontend(sample_rate=8000),
            r"sample_rate=8000 \(16000 here\).*Convert",
        ),
    ],
)
def test_weights_of_another_front_end_are_refused(frontend, message, tmp_path):
    backbone = AST(32, 128, (16, 16), width=12, depth=1, num_heads=3)
    Pretrained(backbone, frontend).save(tmp_path / "weights")
    network = AudioClassifier(backbone, 2, frontend=Frontend())
    if message is None:
        start_from(network, tmp_path / "weights")
        return
    with pytest.raises(ValueError, match=message):
        start_from(network, tmp_path / "weights")


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="is no model that Keras saved"):
        read_initial(str(tmp_path / "a.keras"))


# As a user meets it


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile", reason="needs `audio`")
    pytest.importorskip("matplotlib", reason="needs the extra `report`")
    monkeypatch.setenv("KERAS_C2F_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    times = np.arange(4800) / 16000
    for name, hertz in {"high": 3000, "low": 300}.items():
        (tmp_path / "audio" / name).mkdir(parents=True)
        for index in range(12):
            tone = 0.1 * np.sin(2 * np.pi * hertz * times)
            audio = tone + 0.02 * rng.normal(size=times.size)
            path = tmp_path / "audio" / name / f"{index}.wav"
            soundfile.write(path, audio, 16000)
    return tmp_path / "audio"


def run(capsys, *arguments):
    code = cli.run(cli.parse(["keras-c2f", *map(str, arguments)])) or 0
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_train_from_a_converted_whisper_with_no_other_flag(
    recordings, tmp_path, capsys
):
    keras.utils.set_random_seed(0)
    backbone = WhisperEncoder.from_size("tiny", num_frames=200)
    weights = tmp_path / "whisper"
    Pretrained(backbone, preset_frontend("whisper_tiny")).save(weights)
    code, out, err = run(
        *(capsys, "train", "--run", tmp_path / "run"),
        *(f"--data=folder:{recordings}", f"--init-from={weights}"),
    )
    assert code == 0, err
    for line in (
        r"--freeze +all .*\S",
        r"--depth +2 .*\S",
        r"--backbone +whisper_tiny .*\S",
        r"--pooling +statistics .*\S",
        r"Head solved in closed form on \d+ clips, penalty",
        r"coarse_to_fine: accuracy 100",
    ):
        assert re.search(line, out), out
    config = read_json(tmp_path / "run" / "coarse_to_fine" / "config.json")
    assert config["recipe"]["freeze"] == "all"
    assert config["frontend"]["style"] == "whisper"
    assert config["frontend"]["mean"] == -4.0
    assert config["head"]["left_out_accuracy"] == 1.0
    assert config["chosen"]["freeze"]


def test_weights_that_no_model_is_like_are_a_sentence(
    recordings, tmp_path, capsys
):
    backbone = KWT(20, 8, (1, 8), width=12, depth=1, num_heads=3)
    Pretrained(backbone).save(tmp_path / "kwt")
    code, _, err = run(
        *(capsys, "train", "--run", tmp_path / "run"),
        *(f"--data=folder:{recordings}", f"--init-from={tmp_path / 'kwt'}"),
    )
    assert code == 2 and "holds a KWT, and no --backbone is like it" in err
    assert json.dumps(err).count("\\n") == 1
