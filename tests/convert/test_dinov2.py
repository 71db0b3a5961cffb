"""DINOv2 against Hugging Face's own: layer scale, registers, patch of 14."""

import keras
import numpy as np
import pytest
import torch
import torch_vit
from contract import numpy
from oracle import time_first
from transformers import (
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
)

from keras_c2f.convert import load_checkpoint

RNG = np.random.default_rng(0)
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": 42,
    "patch_size": 14,
}
SAME = {"num_frames": 42, "num_mel_bins": 42, "patch_size": (14, 14)}
SAME |= {"patch_stride": (14, 14)}
EMBEDDING = "patch_embedding"
DEPTHS = {"dropout": 0, "block_0": 1, "block_2": 3, "norm": -1}
MODELS = {
    "plain": (Dinov2Model, Dinov2Config, {}),
    "with head": (Dinov2ForImageClassification, Dinov2Config, {}),
    "with registers": (
        Dinov2WithRegistersModel,
        Dinov2WithRegistersConfig,
        {"num_register_tokens": 3},
    ),
}


def make_original(kind, **options):
    """Random everywhere; layer scale too, far from 1."""
    cls, config, own = MODELS[kind]
    original = torch_vit.randomize(cls(config(**SIZES, **own, **options)))
    scales = [p for n, p in original.named_parameters() if "lambda1" in n]
    with torch.no_grad():
        for scale in scales:
            scale.copy_(torch.randn(scale.shape) * 0.7)
    assert len(scales) == 6
    return original


def check(original, backbone, num_prefix):
    """Tokens before the blocks, behind the first and last, after the norm."""
    clips = RNG.normal(size=(2, 42, 42)).astype("float32")
    image = torch.tensor(clips).mT[:, None].expand(-1, 3, -1, -1)
    body = getattr(original, "dinov2", original)
    with torch.no_grad():
        output = body(image, output_hidden_states=True)
    states = [*output.hidden_states, output.last_hidden_state]
    inside = keras.Model(
        backbone.input, [backbone.get_layer(name).output for name in DEPTHS]
    )
    order = time_first((3, 3), num_prefix)
    found = inside.predict_on_batch(clips)
    for mine, depth in zip(found, DEPTHS.values(), strict=True):
        theirs = states[depth].numpy()[:, order]
        assert np.ptp(theirs) > 1
        # float32 of two orders of summation, relative to the largest
        atol = 4e-6 * np.abs(theirs).max()
        np.testing.assert_allclose(numpy(mine), theirs, atol=atol, rtol=0)


@pytest.mark.parametrize("kind", MODELS)
def test_tokens_are_those_of_the_original(kind, tmp_path):
    original = make_original(kind)
    original.save_pretrained(tmp_path)
    converted = load_checkpoint(tmp_path, **SAME)
    num_prefix = 4 if "registers" in kind else 1
    assert converted.model.num_prefix_tokens == num_prefix
    assert converted.about["source"] == "dinov2"
    dropped = {"embeddings.mask_token"}
    if kind == "with head":
        dropped = {"dinov2.embeddings.mask_token"}
        dropped |= {"classifier.weight", "classifier.bias"}
    assert set(converted.report.dropped) == dropped
    check(original, converted.model, num_prefix)


def names_of_its_authors(state, order=("pos", "cls", "registers")):
    """Keys as in `dinov2_vits14_reg4_pretrain.pth`."""
    new = {}
    for key, value in state.items():
        key = key.replace("embeddings.register_tokens", "register_tokens")
        key = key.replace("embeddings.position_embeddings", "pos_embed")
        key = key.replace("embeddings.patch_embeddings.projection", "patch.P")
        key = key.replace("patch.P", "patch_embed.proj")
        key = key.replace("embeddings.", "").replace("layernorm.", "norm.")
        key = key.replace("encoder.layer.", "blocks.")
        key = key.replace("attention.o_proj", "attn.proj")
        for number in "12":
            key = key.replace(
                f"layer_scale{number}.lambda1", f"ls{number}.gamma"
            )
        new[key] = value
    for number in range(SIZES["num_hidden_layers"]):
        for part in ("weight", "bias"):
            block = f"blocks.{number}."
            new[f"{block}attn.qkv.{part}"] = torch.cat(
                [new.pop(f"{block}attention.{x}_proj.{part}") for x in "qkv"]
            )
    return new


@pytest.mark.parametrize("is_timm", [False, True], ids=["authors", "timm"])
def test_files_of_its_authors_and_of_timm(is_timm, tmp_path):
    original = make_original("with registers")
    state = names_of_its_authors(original.state_dict())
    assert "blocks.0.ls1.gamma" in state
    if is_timm:  # no position for the class token, another name
        state["reg_token"] = state.pop("register_tokens")
        positions = state.pop("pos_embed")
        state["cls_token"] = state["cls_token"] + positions[:, :1]
        state["pos_embed"] = positions[:, 1:]
        del state["mask_token"]
    torch.save(state, tmp_path / "dinov2_vits14_reg4_pretrain.pth")
    converted = load_checkpoint(
        tmp_path / "dinov2_vits14_reg4_pretrain.pth",
        trained={"num_heads": 3},
        **SAME,
    )
    check(original, converted.model, 4)


@pytest.mark.once
def test_what_ast_begins_with(tmp_path):
    """16 x 16 patches at stride 10 over AudioSet's clips, unless asked."""
    make_original("plain").save_pretrained(tmp_path)
    model = load_checkpoint(tmp_path).model
    assert (model.patch_size, model.patch_stride) == ((16, 16), (10, 10))
    assert model.grid_size == (101, 12)
    small = load_checkpoint(tmp_path, **SAME).model
    other = load_checkpoint(tmp_path, **{**SAME, "patch_size": (28, 14)}).model
    assert other.patch_size == (28, 14)
    # a patch that is stretched in time is the same under a grown kernel
    patch = RNG.normal(size=(14, 14))
    where = (np.arange(28) + 0.5) / 2 - 0.5
    columns = [np.interp(where, np.arange(14), column) for column in patch.T]
    first, second = (
        np.einsum("tf,tfd->d", x, numpy(m.get_layer(EMBEDDING).kernel)[:, :, 0])
        for x, m in ((patch, small), (np.stack(columns, 1), other))
    )
    np.testing.assert_allclose(first, second, atol=1e-4)


@pytest.mark.once
def test_gates_are_refused(tmp_path):
    original = torch_vit.randomize(
        Dinov2Model(Dinov2Config(**SIZES, use_swiglu_ffn=True))
    )
    original.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="use_swiglu_ffn=True"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match="SwiGLU.*small, base or large"):
        load_checkpoint(tmp_path)
