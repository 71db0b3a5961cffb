"""Fields that others publish: obeyed as transformers does, or refused by name.

Expected values are those of transformers with the same folder.
"""

import json

import numpy as np
import pytest
import torch
import torch_ast
import torch_hts_at
import torch_vit
from contract import numpy
from oracle import check_logits
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ClapAudioConfig,
    ClapConfig,
    ClapFeatureExtractor,
    DeiTConfig,
    ViTConfig,
    ViTModel,
    ViTMSNConfig,
)

from keras_c2f.convert import load_checkpoint
from keras_c2f.convert.fields import (
    FEATURES,
    MODELS,
    NO_EFFECT,
    UNUSED_FEATURES,
)
from keras_c2f.convert.vit import ratio
from keras_c2f.layers.log_mel import Frontend, LogMel

pytestmark = pytest.mark.once

CLIPS = np.random.default_rng(0).normal(size=(2, 53, 38)).astype("float32")


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


def write(folder, file, **fields):
    """Changes fields of a JSON file; `...` removes one."""
    path = folder / file
    content = json.loads(path.read_text()) | fields
    content = {k: v for k, v in content.items() if v is not ...}
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    torch_ast.original(10, 10).save_pretrained(tmp_path)
    extractor = ASTFeatureExtractor(num_mel_bins=38, max_length=53)
    extractor.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "sizes",
    [
        {"layer_norm_eps": 0.5},
        {"qkv_bias": False},
        {"num_attention_heads": 4},
        {"intermediate_size": 47},
        {"hidden_size": 27, "intermediate_size": 61},
        {"patch_size": 8, "max_length": 45},
        {"num_hidden_layers": 1},
    ],
    ids=str,
)
def test_sizes_are_obeyed(sizes):
    original = torch_ast.original(10, 10, **sizes)
    clips = CLIPS[:, : sizes.get("max_length", 53)]
    check_logits(
        torch_ast.ours(original), clips, original(torch.tensor(clips)).logits
    )


def test_hidden_width_survives_a_ratio():
    for width in range(1, 400):
        for hidden in (1, 3, width - 1, width + 1, 4 * width - 1):
            assert int(width * ratio(hidden, width)) == hidden
    assert int(27 * (61 / 27)) == 60  # what a plain quotient gives


@pytest.mark.parametrize(
    "field, value",
    [
        ("hidden_act", "relu"),
        ("hidden_act", "gelu_new"),
        ("hidden_act", "quick_gelu"),
        ("hidden_act", "gelu_pytorch_tanh"),
        ("is_decoder", True),
        ("pruned_heads", {"0": [1]}),
        ("hidden_size", 32),
        ("num_hidden_layers", 4),
        ("intermediate_size", 61),
        ("patch_size", 8),
        ("qkv_bias", False),
        ("rope_theta", 10000.0),
        ("quantization_config", {"bits": 8}),
        ("auto_map", {"AutoModel": "modeling.Mine"}),
        ("model_type", "data2vec-audio"),
    ],
)
def test_what_is_not_computed_here_is_refused_by_name(folder, field, value):
    write(folder, "config.json", **{field: value})
    value = value if isinstance(value, str) else field
    with pytest.raises(ValueError, match=value):
        load_checkpoint(folder)


def test_fields_that_are_not_set_or_not_there(folder):
    logits = load_checkpoint(folder).model(CLIPS)
    write(
        folder,
        "config.json",
        rope_theta=None,
        layer_norm_eps=...,
        frequency_stride=...,
        time_stride=...,
        hidden_act=...,
        patch_size=[16, 16],
        initializer_range=7.0,
        label2id={},
    )
    mine = load_checkpoint(folder).model(CLIPS)
    np.testing.assert_array_equal(numpy(mine), numpy(logits))


@pytest.mark.parametrize(
    "config",
    [ASTConfig(), ViTConfig(), DeiTConfig(), ViTMSNConfig(), ClapAudioConfig()],
    ids=lambda config: config.model_type,
)
def test_every_field_of_transformers_is_known(config):
    known = set(MODELS[config.model_type]) | NO_EFFECT
    assert set(config.to_dict()) <= known


EMPTY_FILTERS = "ignore:At least one mel filter"  # AST's 128 mel bins have one


@pytest.mark.filterwarnings(EMPTY_FILTERS)
@pytest.mark.parametrize(
    "extractor, kind",
    [
        (ASTFeatureExtractor, "audio-spectrogram-transformer"),
        (ClapFeatureExtractor, "clap_audio_model"),
    ],
)
def test_every_setting_of_its_feature_extractors_is_known(extractor, kind):
    known = set(FEATURES[kind]) | UNUSED_FEATURES
    assert set(extractor().to_dict()) - {"mel_filters", "window"} <= known


def test_all_of_clap_and_its_audio_tower(tmp_path):
    tower, _ = torch_hts_at.original()
    tower.save_pretrained(tmp_path)
    whole = ClapConfig().to_dict()
    whole["audio_config"] = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(whole))
    assert load_checkpoint(tmp_path).model.num_folds == 4
    for field, value in (
        ("hidden_act", "relu"),
        ("layer_norm_eps", 1e-3),
        ("window_size", 8),
        ("depths", [2, 2]),
        ("patch_stride", [2, 2]),
        ("novelty", 1),
    ):
        audio = {**whole["audio_config"], field: value}
        write(tmp_path, "config.json", audio_config=audio)
        with pytest.raises(ValueError, match=field):
            load_checkpoint(tmp_path)
    write(tmp_path, "config.json", audio_config=whole["audio_config"], new=1)
    with pytest.raises(ValueError, match="'new'"):
        load_checkpoint(tmp_path)


# Feature extractors


@pytest.mark.parametrize(
    "settings",
    [
        {"do_normalize": False},
        {"mean": 1.5, "std": 0.25},
        {"padding_value": 7.0},
        {"return_attention_mask": True},
        {"padding_side": "left", "feature_size": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_settings_of_asts_feature_extractor(folder, settings, seconds):
    extractor = ASTFeatureExtractor(num_mel_bins=38, max_length=53, **settings)
    extractor.save_pretrained(folder)
    frontend = load_checkpoint(folder).frontend
    noise = np.random.default_rng(0).normal(size=int(16000 * seconds)) / 10
    theirs = extractor(noise, sampling_rate=16000)["input_values"][0]
    mine = numpy(LogMel(frontend, 53)(noise[None].astype("float32")))[0]
    scale = 1 if settings.get("do_normalize", True) else 9
    np.testing.assert_allclose(mine, theirs, atol=5e-3 * scale)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_mel_bins": 64},
        {"max_length": 1024},
        {"sampling_rate": 8000},
        {"window": "hamming"},
        {"feature_extractor_type": "WhisperFeatureExtractor"},
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(folder, settings):
    write(folder, "preprocessor_config.json", **settings)
    with pytest.raises(ValueError, match=next(iter(settings))):
        load_checkpoint(folder)
    given = Frontend(num_mel_bins=38)
    assert load_checkpoint(folder, frontend=given).frontend == given


# Classes


@pytest.mark.parametrize(
    "numbers", [range(1, 6), [0, 1, 2, 3, 7], range(4), range(6), "abcde"]
)
def test_classes_are_numbered_as_the_outputs_are(folder, numbers):
    labels = {str(number): f"class {number}" for number in numbers}
    write(folder, "config.json", id2label=labels)
    with pytest.raises(ValueError, match="id2label.*class_names"):
        load_checkpoint(folder)
    names = list("abcde")
    assert load_checkpoint(folder, class_names=names).class_names == names
    assert load_checkpoint(folder, num_classes=3).class_names is None


def test_classes_in_any_order_of_the_file(folder):
    labels = {str(number): f"class {number}" for number in (3, 1, 4, 0, 2)}
    write(folder, "config.json", id2label=labels)
    names = load_checkpoint(folder).class_names
    assert names == [f"class {number}" for number in range(5)]
    write(folder, "config.json", id2label=dict.fromkeys(labels, "same"))
    with pytest.raises(ValueError, match="two classes 'same'"):
        load_checkpoint(folder)
    write(folder, "config.json", id2label=labels | {"2": " "})
    with pytest.raises(ValueError, match="has the name ' ' for class 2"):
        load_checkpoint(folder)


def test_classes_that_are_numbered_in_two_ways(folder):
    labels = {str(number): f"class {number}" for number in range(5)}
    reverse = {name: int(number) for number, name in labels.items()}
    write(folder, "config.json", id2label=labels, label2id=reverse)
    assert load_checkpoint(folder).class_names == list(labels.values())
    reverse |= {"class 1": 2, "class 2": 1}
    write(folder, "config.json", label2id=reverse)
    match = "numbers 'class 1' 1 in id2label and 2 in label2id"
    with pytest.raises(ValueError, match=match):
        load_checkpoint(folder)


def test_a_kind_of_problem_without_classes_is_refused(folder):
    write(folder, "config.json", problem_type="regression")
    with pytest.raises(ValueError, match="problem_type='regression'"):
        load_checkpoint(folder)
    for multi_label, kind in enumerate(("single", "multi")):
        name = f"{kind}_label_classification"
        write(folder, "config.json", problem_type=name)
        assert load_checkpoint(folder).multi_label == multi_label


# Names of keys

TRAINED = {
    "num_frames": 53,
    "num_mel_bins": 38,
    "patch_stride": (10, 10),
    "num_heads": 3,
}


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "model.", "net.", "_orig_mod.", "model._orig_mod.module."],
)
@pytest.mark.parametrize("names", ["in memory", "in a file"])
def test_state_dict_of_transformers(prefix, names, tmp_path):
    original = torch_ast.original(10, 10)
    state = original.state_dict()
    if names == "in a file":
        original.save_pretrained(tmp_path, safe_serialization=True)
        from safetensors.torch import load_file

        state = load_file(tmp_path / "model.safetensors")
    path = tmp_path / "else" / "state.pt"
    path.parent.mkdir()
    torch.save({prefix + key: value for key, value in state.items()}, path)
    converted = load_checkpoint(path, trained=TRAINED)
    check_logits(converted.model, CLIPS, original(torch.tensor(CLIPS)).logits)
    assert converted.report.dropped == ()


def test_a_state_dict_beside_its_config(folder):
    """Whatever the file is called, the config beside it is obeyed."""
    original = torch_ast.original(10, 10, layer_norm_eps=0.5)
    original.save_pretrained(folder)
    torch.save(original.state_dict(), folder / "best.pt")
    converted = load_checkpoint(folder / "best.pt")
    check_logits(converted.model, CLIPS, original(torch.tensor(CLIPS)).logits)


def test_image_transformer_in_memory(tmp_path):
    sizes = {key: torch_ast.SIZES[key] for key in list(torch_ast.SIZES)[:4]}
    model = ViTModel(ViTConfig(**sizes, image_size=48))
    model = torch_vit.randomize(model)
    torch.save(model.state_dict(), tmp_path / "vit.pt")
    converted = load_checkpoint(
        tmp_path / "vit.pt",
        trained={"num_heads": 3},
        num_frames=48,
        num_mel_bins=48,
        patch_stride=(16, 16),
    )
    clips = np.random.default_rng(0).normal(size=(2, 48, 48))
    image = torch.tensor(clips, dtype=torch.float32).mT[:, None]
    tokens = model(image.expand(-1, 3, -1, -1)).last_hidden_state
    mine = numpy(converted.model(clips.astype("float32")))
    np.testing.assert_allclose(mine[:, 0], tokens[:, 0].numpy(), atol=1e-4)


def test_heads_are_not_guessed(tmp_path):
    torch.save(torch_ast.original(10, 10).state_dict(), tmp_path / "a.pt")
    rest = {k: v for k, v in TRAINED.items() if k != "num_heads"}
    with pytest.raises(ValueError, match="does not say num_heads"):
        load_checkpoint(tmp_path / "a.pt", trained=rest)


def test_checkpoint_of_lightning(tmp_path):
    original = torch_ast.original(10, 10)
    state = original.state_dict()
    content = {
        "epoch": 3,
        "global_step": np.float64(7.0),
        "best": np.float32(0.5),
        "state_dict": {f"model.{key}": value for key, value in state.items()},
        "hyper_parameters": {"lr": 1e-4, "layers": [1, 2]},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
        "callbacks": {"ModelCheckpoint": {"best": torch.tensor(0.1)}},
    }
    torch.save(content, tmp_path / "last.ckpt")
    model = load_checkpoint(tmp_path / "last.ckpt", trained=TRAINED).model
    check_logits(model, CLIPS, original(torch.tensor(CLIPS)).logits)


@pytest.mark.parametrize("where", ["dicts", "keys"])
def test_a_running_average_is_asked_for(where, tmp_path):
    """Two copies in one file: which is meant is unknown."""
    original = torch_ast.original(10, 10)
    state = original.state_dict()
    average = {key: 0.5 * value for key, value in state.items()}
    path = tmp_path / "both.pt"
    if where == "dicts":
        part = "state_dict_ema"
        torch.save({"state_dict": state, "state_dict_ema": average}, path)
    else:
        part = "ema_model.module."
        both = {f"model.{key}": value for key, value in state.items()}
        both |= {part + key: value for key, value in average.items()}
        torch.save({"state_dict": both}, path)
    with pytest.raises(ValueError, match=r"2 networks: .*--part"):
        load_checkpoint(path, trained=TRAINED)
    model = load_checkpoint(path, trained=TRAINED, part=part).model
    original.load_state_dict(average)
    theirs = original(torch.tensor(CLIPS)).logits.numpy()
    np.testing.assert_allclose(numpy(model(CLIPS)), theirs, atol=1e-4)
    with pytest.raises(ValueError, match="begins with 'swa'"):
        load_checkpoint(path, trained=TRAINED, part="swa")


def test_averaged_model_of_torch(tmp_path):
    original = torch_ast.original(10, 10)
    average = torch.optim.swa_utils.AveragedModel(original)
    torch.save(average.state_dict(), tmp_path / "swa.pt")
    converted = load_checkpoint(tmp_path / "swa.pt", trained=TRAINED)
    check_logits(converted.model, CLIPS, original(torch.tensor(CLIPS)).logits)
    assert converted.report.dropped == ("n_averaged",)


def test_model_arguments_of_timm(tmp_path):
    """They can change what is computed, and no key of the file shows it."""
    model = torch_vit.randomize(
        torch_vit.Vit(channels=3, grid=(3, 3), num_tokens=1)
    )
    state = model.state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin")
    config = {"architecture": "vit_tiny_patch16_224", "num_features": 24}
    path = tmp_path / "config.json"
    options = {"trained": {"num_heads": 3}}
    path.write_text(json.dumps(config))
    assert load_checkpoint(tmp_path, **options).model.width == 24
    path.write_text(json.dumps({**config, "model_args": {"act_layer": "silu"}}))
    with pytest.raises(ValueError, match="model_args"):
        load_checkpoint(tmp_path, **options)
