"""Each source against its original: tiny, random, saved as its authors do."""

import keras
import numpy as np
import pytest
import torch
import torch_hts_at
import torch_vit
from contract import numpy
from oracle import check_logits, check_states
from torch.nn import functional
from transformers import (
    DeiTConfig,
    DeiTForImageClassificationWithTeacher,
    DeiTModel,
    ViTConfig,
    ViTModel,
)

from keras_c2f.convert import load_checkpoint
from keras_c2f.models import AST, AudioClassifier, MaskedPatchModel

RNG = np.random.default_rng(0)
CLIPS = RNG.normal(size=(2, 53, 38)).astype("float32")
TRAINED = {"num_frames": 53, "num_mel_bins": 38, "num_heads": 3}


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


@pytest.mark.parametrize(
    "stride, grid", [((10, 10), (3, 4)), ((16, 16), (2, 3)), ((12, 5), (2, 8))]
)
def test_ast_of_its_authors(stride, grid, tmp_path):
    original = torch_vit.randomize(torch_vit.Ast(stride=stride, grid=grid))
    path = torch_vit.save_pth(original, tmp_path / "ast.pth", "module.")
    trained = {**TRAINED, "patch_stride": stride[::-1]}
    converted = load_checkpoint(path, trained=trained)
    states, logits = original(torch.tensor(CLIPS))
    check_states(converted.model.backbone, CLIPS, states, grid)
    check_logits(converted.model, CLIPS, logits)
    assert set(converted.report.dropped) == {
        f"module.v.{head}.{part}"
        for head in ("head", "head_dist")
        for part in ("weight", "bias")
    }
    assert not converted.report.fresh and not converted.report.resized


@pytest.mark.parametrize(
    "patch, grid, num_tokens",
    [((16, 16), (2, 3), 2), ((38, 2), (1, 26), 2), ((16, 16), (2, 3), 1)],
    ids=["patch", "frame", "without distillation"],
)
def test_ssast(patch, grid, num_tokens, tmp_path):
    original = torch_vit.randomize(
        torch_vit.Ssast(38, 53, patch=patch, grid=grid, num_tokens=num_tokens)
    )
    path = torch_vit.save_pth(original, tmp_path / "SSAST.pth", "module.")
    converted = load_checkpoint(path, trained={"num_heads": 3})
    assert isinstance(converted.model, AST)
    assert converted.model.patch_size == patch[::-1]
    states = original(torch.tensor(CLIPS))
    check_states(converted.model, CLIPS, states, grid, num_tokens)
    assert {"module.mask_embed", "module.cpredlayer.2.bias"} < set(
        converted.report.dropped
    )


def test_ssast_with_its_heads(tmp_path):
    """What they compute: `test_masked_patches.py`."""
    original = torch_vit.randomize(torch_vit.Ssast(38, 53))
    path = torch_vit.save_pth(original, tmp_path / "SSAST.pth", "module.")
    options = {"source": "ssast_pretraining", "trained": {"num_heads": 3}}
    converted = load_checkpoint(path, **options)
    assert isinstance(converted.model, MaskedPatchModel)
    dropped = {key.split(".")[2] for key in converted.report.dropped}
    assert dropped == {"head", "head_dist"}  # ImageNet's
    converted = load_checkpoint(path, **options, num_frames=80)
    assert isinstance(converted.model, MaskedPatchModel)
    (resized,) = converted.report.resized
    assert resized[0] == "positions/grid" and not converted.report.fresh
    converted = load_checkpoint(path, **options, num_classes=4)
    assert isinstance(converted.model, AudioClassifier)
    with pytest.raises(ValueError, match="pooling needs `num_classes`"):
        load_checkpoint(path, **options, pooling="mean")


@pytest.mark.parametrize("num_tokens", [1, 2])
def test_passt(num_tokens, tmp_path):
    sizes = {"stride": (10, 12), "grid": (3, 4), "num_tokens": num_tokens}
    original = torch_vit.randomize(torch_vit.Passt(**sizes))
    path = torch_vit.save_pth(original, tmp_path / "passt.pt")
    trained = {**TRAINED, "patch_stride": (12, 10)}
    converted = load_checkpoint(path, trained=trained)
    states, logits = original(torch.tensor(CLIPS))
    check_states(
        converted.model.backbone, CLIPS, states, sizes["grid"], num_tokens
    )
    check_logits(converted.model, CLIPS, logits)


@pytest.mark.parametrize("num_frames", [53, 37, 60])
def test_passt_with_an_entry_more_than_patches(num_frames, tmp_path):
    """The table has `input_tdim // stride`: the leading entries are used.

    Five entries and four patches; at 37 frames, with `positions="lead"`, two.
    """
    sizes = {"stride": (10, 12), "grid": (3, 4), "entries": 5}
    if num_frames == 53:
        sizes |= {"stride": (10, 10), "grid": (3, 4)}
    original = torch_vit.randomize(torch_vit.Passt(**sizes))
    path = torch_vit.save_pth(original, tmp_path / "passt.pt")
    trained = {**TRAINED, "patch_stride": sizes["stride"][::-1]}
    trained["num_frames"] = max(num_frames, 53)
    if num_frames == 37:
        trained["num_frames"] = 60
    clips = RNG.normal(size=(2, num_frames, 38)).astype("float32")
    options = {"num_frames": num_frames, "positions": "lead"}
    converted = load_checkpoint(path, trained=trained, **options)
    _, logits = original(torch.tensor(clips))
    check_logits(converted.model, clips, logits)
    if num_frames == 37:
        assert converted.notes == ()  # what the original computes
        options.pop("positions")
        (note,) = load_checkpoint(path, trained=trained, **options).notes
        assert "positions='lead'" in note
    with pytest.raises(ValueError, match="positions for 15 patches"):
        load_checkpoint(path, trained={**trained, "num_frames": 90})


@pytest.mark.parametrize(
    "patch, grid", [((16, 16), (2, 3)), ((38, 2), (1, 26))]
)
def test_fine_tuned_ssast(patch, grid, tmp_path):
    """Its head takes the mean of the patches; a file alike is named so."""
    sizes = {"patch": patch, "stride": patch, "grid": grid}
    original = torch_vit.randomize(torch_vit.Ast(average_patches=True, **sizes))
    path = torch_vit.save_pth(original, tmp_path / "best.pth", "module.")
    trained = {**TRAINED, "patch_stride": patch[::-1]}
    converted = load_checkpoint(path, source="ssast", trained=trained)
    _, logits = original(torch.tensor(CLIPS))
    check_logits(converted.model, CLIPS, logits)
    assert converted.notes == ()
    unnamed = load_checkpoint(path, trained=trained)
    if patch == (16, 16):
        assert "give source='ssast'" in unnamed.notes[0]
    else:
        check_logits(unnamed.model, CLIPS, logits)
    original.average_patches = False  # `ft_cls`
    _, logits = original(torch.tensor(CLIPS))
    by_token = load_checkpoint(
        path, source="ssast", trained=trained, pooling="prefix"
    )
    check_logits(by_token.model, CLIPS, logits)


def test_sum_of_tables_resizes_as_each_table_would(tmp_path):
    original = torch_vit.randomize(torch_vit.Passt(grid=(2, 3)))
    path = torch_vit.save_pth(original, tmp_path / "passt.pt")
    trained = {**TRAINED, "patch_stride": (16, 16)}
    longer = load_checkpoint(path, trained=trained, num_frames=106)
    grid = numpy(longer.model.backbone.get_layer("positions").grid)
    time = functional.interpolate(
        original.time_new_pos_embed, size=(1, 6), mode="bilinear"
    )
    expected = (original.freq_new_pos_embed + time)[0].permute(2, 1, 0)
    np.testing.assert_allclose(grid, expected.numpy(), atol=1e-5)


def ast_from_imagenet(image_model, side, grid):
    """AST's way from an image model to audio, for a grid `(freq, time)`."""
    audio = torch_vit.Vit(
        stride=(10, 10), grid=grid, num_tokens=image_model.prefix().shape[1]
    )
    state = image_model.state_dict()
    kernel = state["patch_embed.proj.weight"]
    state["patch_embed.proj.weight"] = kernel.sum(1, keepdim=True)
    count = image_model.prefix().shape[1]
    table = state["pos_embed"]
    image = table[:, count:].mT.unflatten(-1, (side, side))
    for axis, new in ((3, grid[1]), (2, grid[0])):
        if new <= side:
            image = image.narrow(axis, side // 2 - new // 2, new)
        else:
            size = list(image.shape[2:])
            size[axis - 2] = new
            image = functional.interpolate(image, size, mode="bilinear")
    state["pos_embed"] = torch.cat([table[:, :count], image.flatten(2).mT], 1)
    audio.load_state_dict(state)
    return audio.eval()


@pytest.mark.parametrize("num_tokens", [1, 2], ids=["plain", "distilled"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_ast_starts_from_imagenet(num_tokens, wrapped, tmp_path):
    side, grid = 5, (3, 9)  # cut in frequency, grown in time
    image_model = torch_vit.randomize(
        torch_vit.Vit(grid=(side, side), channels=3, num_tokens=num_tokens)
    )
    path = tmp_path / "deit.pth"
    state = image_model.state_dict()
    torch.save({"model": state} if wrapped else state, path)
    clips = RNG.normal(size=(2, 96, 38)).astype("float32")
    converted = load_checkpoint(
        path, trained={"num_heads": 3}, num_frames=96, num_mel_bins=38
    )
    audio = ast_from_imagenet(image_model, side, grid)
    states = audio.depths(audio.embed(torch.tensor(clips).mT[:, None]))
    check_states(converted.model, clips, states, grid, num_tokens)
    heads = {"head.weight", "head.bias"}
    if num_tokens == 2:
        heads |= {"head_dist.weight", "head_dist.bias"}
    assert set(converted.report.dropped) == heads
    resized = [path for path, _, _ in converted.report.resized]
    assert resized == ["positions/grid"]


SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 60,
    "image_size": 48,
}


@pytest.mark.parametrize(
    "model, num_tokens",
    [
        (ViTModel(ViTConfig(**SIZES)), 1),
        (DeiTModel(DeiTConfig(**SIZES)), 2),
        (DeiTForImageClassificationWithTeacher(DeiTConfig(**SIZES)), 2),
    ],
    ids=["ViT", "DeiT", "DeiT with heads"],
)
def test_image_transformers_of_hugging_face(model, num_tokens, tmp_path):
    """A grey image is a clip: its kernel summed over colours is all it has."""
    torch_vit.randomize(model).save_pretrained(tmp_path)
    converted = load_checkpoint(
        tmp_path, num_frames=48, num_mel_bins=48, patch_stride=(16, 16)
    )
    assert "positions/grid" in converted.report.copied
    assert converted.class_names is None  # those of the images
    clips = RNG.normal(size=(2, 48, 48)).astype("float32")
    image = torch.tensor(clips).mT[:, None].expand(-1, 3, -1, -1)
    body = getattr(model, "deit", model)
    output = body(image, output_hidden_states=True)
    states = [*output.hidden_states, output.last_hidden_state]
    check_states(converted.model, clips, states, (3, 3), num_tokens)


def test_audio_tower_of_clap(tmp_path):
    tower, _ = torch_hts_at.original()
    tower.save_pretrained(tmp_path)
    converted = load_checkpoint(tmp_path)
    backbone = converted.model
    assert (backbone.num_folds, backbone.stretch_to) == (4, 256)
    clips = RNG.normal(size=(2, 256, 16)).astype("float32")
    output = tower(torch.tensor(clips)[:, None], output_hidden_states=True)
    layers = ("patch_norm", "merging_1", "merging_2")
    inside = keras.Model(
        backbone.input, [backbone.get_layer(name).output for name in layers]
    )
    states = [*output.hidden_states[:3], output.last_hidden_state]
    for mine, theirs in zip(
        [*inside(clips), backbone(clips)], states, strict=True
    ):
        # (b, d, f, t) -> (b, t*f, d)
        theirs = theirs.permute(0, 3, 2, 1).flatten(1, 2).numpy()
        assert np.ptp(theirs) > 1
        np.testing.assert_allclose(numpy(mine), theirs, atol=1e-4)
    assert all(
        "relative_position_index" in key or "num_batches" in key
        for key in converted.report.dropped
    )


def test_head_of_hts_at_without_token_semantics(tmp_path):
    """`enable_tscam=False`: a layer on the mean of the last tokens."""
    tower, head = torch_hts_at.original()
    state = torch_hts_at.official_state(tower, head)
    linear = torch_hts_at.randomize(torch.nn.Linear(32, 7), 0.4)
    for name in ("weight", "bias"):
        del state[f"sed_model.tscam_conv.{name}"]
        state[f"sed_model.head.{name}"] = getattr(linear, name)
    torch.save({"state_dict": state}, tmp_path / "HTSAT.ckpt")
    converted = load_checkpoint(
        tmp_path / "HTSAT.ckpt", trained={"num_folds": 4}
    )
    clips = RNG.normal(size=(2, 256, 16)).astype("float32")
    tokens = tower(torch.tensor(clips)[:, None]).last_hidden_state
    check_logits(converted.model, clips, linear(tokens.mean((2, 3))))
    with pytest.raises(ValueError, match="above the 256 .*stretch_to=None"):
        load_checkpoint(
            tmp_path / "HTSAT.ckpt", trained={"num_folds": 4}, num_frames=300
        )


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("scalar", [np.float64, np.int64])
def test_clap_of_laion(fused, scalar, tmp_path):
    """Its audio tower; text, projections and the untrained head are left."""
    tower, head = torch_hts_at.original()
    state = torch_hts_at.laion_state(tower, head)
    if fused:
        patch = "module.audio_branch.patch_embed."
        state |= {
            f"{patch}mel_conv2d.weight": torch.ones(8, 1, 4, 12),
            f"{patch}fusion_model.local_att.0.weight": torch.ones(2, 8, 1, 1),
        }
    content = {"epoch": scalar(3), "name": "clap", "state_dict": state}
    torch.save(content, tmp_path / "630k.pt")
    converted = load_checkpoint(tmp_path / "630k.pt")
    clips = RNG.normal(size=(2, 256, 16)).astype("float32")
    tokens = tower(torch.tensor(clips)[:, None]).last_hidden_state
    mine = numpy(converted.model(clips))
    theirs = tokens.permute(0, 3, 2, 1).flatten(1, 2).numpy()
    np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert "module.audio_branch.tscam_conv.bias" in converted.report.dropped
    assert any("fusion" in note for note in converted.notes) == fused
    assert "repeat a short clip" in converted.notes[-1]


def test_masks_of_the_original_tell_its_folds(tmp_path):
    """Named as dropped too: buffers of the front end, and the unused head."""
    tower, head = torch_hts_at.original()
    state = torch_hts_at.official_state(tower, head)
    # an image of 64 in patches of 4 and windows of 4: 16 windows of 16
    mask = "sed_model.layers.0.blocks.1.attn_mask"
    path = tmp_path / "HTSAT.ckpt"
    torch.save({"state_dict": state}, path)
    with pytest.raises(ValueError, match="how often its spectrograms are"):
        load_checkpoint(path)
    torch.save({"state_dict": {**state, mask: torch.zeros(16, 16, 16)}}, path)
    converted = load_checkpoint(path)
    assert converted.model.backbone.num_folds == 4
    assert {
        mask,
        "sed_model.head.bias",
        "sed_model.logmel_extractor.melW",
        "sed_model.spectrogram_extractor.stft.conv_real.weight",
        "sed_model.layers.0.blocks.0.attn.relative_position_index",
        "sed_model.bn0.num_batches_tracked",
    } < set(converted.report.dropped)
    assert not any("weight" in key for key in converted.report.fresh)


def test_keyword_transformer(shared_data):
    """A trained network: logits of the original TFLite file."""
    folder = shared_data / "pretrained" / "kwt1"
    converted = load_checkpoint(folder / "kwt1.npz", preset="kwt1")
    reference = np.load(folder / "reference.npz")
    mfcc = reference["fsdd_mfcc"]
    logits = converted.model.predict(mfcc, verbose=0)
    np.testing.assert_allclose(logits, reference["fsdd_logits"], atol=1e-4)
    noise = converted.frontend(reference["noise"])
    logits = converted.model.predict(noise, verbose=0)
    np.testing.assert_allclose(logits, reference["noise_logits"], atol=1e-4)
    assert converted.class_names[2:4] == ["yes", "no"]
    assert isinstance(converted.model, AudioClassifier)
