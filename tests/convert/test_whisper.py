"""Whisper's encoder against Hugging Face's, tiny and random."""

import json
import struct

import keras
import numpy as np
import pytest
import torch
from contract import numpy
from transformers import WhisperConfig, WhisperModel

from keras_c2f.convert import PUBLISHED, load_checkpoint, load_preset
from keras_c2f.cost import count_macs
from keras_c2f.models import WhisperEncoder, backbone_from_size
from keras_c2f.models.presets import WHISPER_PRESETS
from keras_c2f.resolution import Resolution

RNG = np.random.default_rng(0)
CLIPS = RNG.normal(size=(2, 60, 20)).astype("float32")


def original(**options):
    """A `WhisperModel` of 4 blocks whose every weight is random."""
    config = WhisperConfig(
        vocab_size=20,
        num_mel_bins=20,
        d_model=24,
        encoder_layers=4,
        encoder_attention_heads=3,
        encoder_ffn_dim=60,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=30,
        max_source_positions=30,
        max_target_positions=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        **options,
    )
    model = WhisperModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory):
    torch.manual_seed(0)
    model = original()
    folder = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(folder)
    with torch.no_grad():
        states = model.encoder(
            torch.tensor(CLIPS).transpose(1, 2), output_hidden_states=True
        )
    states = [state.numpy() for state in states.hidden_states]
    return folder, model, states


def check(backbone, states):
    """Tokens before the blocks, after the third, and after the last norm."""
    inside = keras.Model(
        backbone.input,
        [
            backbone.get_layer(name).output
            for name in ("positions", "block_2", "norm")
        ],
    )
    for mine, depth in zip(inside(CLIPS), (0, 3, 4), strict=True):
        assert np.ptp(states[depth]) > 1
        np.testing.assert_allclose(numpy(mine), states[depth], atol=1e-4)


def test_equals_hugging_face(hugging_face):
    folder, _, states = hugging_face
    converted = load_checkpoint(str(folder), num_frames=60)
    backbone = converted.model
    assert isinstance(backbone, WhisperEncoder)
    check(backbone, states)
    assert converted.report.fresh == ()
    assert all("decoder" in key for key in converted.report.dropped)
    assert converted.frontend.style == "whisper"
    assert converted.frontend.num_mel_bins == 20


def test_first_blocks_alone(hugging_face):
    folder, _, states = hugging_face
    backbone = load_checkpoint(str(folder), num_frames=60, depth=3).model
    assert not backbone.final_norm
    np.testing.assert_allclose(
        backbone.predict(CLIPS, verbose=0), states[3], atol=1e-4
    )
    backbone = load_checkpoint(
        str(folder), num_frames=60, depth=3, final_norm=True
    ).model
    assert backbone.final_norm


@pytest.mark.parametrize("num_frames", [60, 41])
def test_shorter_clips_have_the_first_positions(hugging_face, num_frames):
    """The original would pad with silence; here its convolutions end."""
    folder, model, _ = hugging_face
    backbone = load_checkpoint(str(folder), num_frames=num_frames).model
    inputs = torch.tensor(CLIPS[:, :num_frames]).transpose(1, 2)
    with torch.no_grad():
        encoder = model.encoder
        stem = torch.nn.functional.gelu(encoder.conv1(inputs))
        stem = torch.nn.functional.gelu(encoder.conv2(stem)).transpose(1, 2)
        expected = stem + encoder.embed_positions.weight[: stem.shape[1]]
    tokens = keras.Model(backbone.input, backbone.get_layer("positions").output)
    np.testing.assert_allclose(
        numpy(tokens(CLIPS[:, :num_frames])), expected.numpy(), atol=1e-4
    )


@pytest.mark.parametrize("factor", [2, 4])
def test_compression_pools_positions_alike(hugging_face, factor):
    folder, model, states = hugging_face
    full = load_checkpoint(str(folder), num_frames=60).model
    token = load_checkpoint(
        str(folder), num_frames=60, resolution=f"token:{factor}"
    )
    assert (
        token.report.resized == (("positions/table", (30, 24), (30, 24)),)
        or not token.report.resized
    )
    kept = 30 // factor
    windows = states[0][:, : kept * factor].reshape(2, kept, factor, 24)
    stem = keras.Model(
        token.model.input, token.model.get_layer("dropout").input
    )
    np.testing.assert_allclose(
        numpy(stem(CLIPS)), windows.mean(axis=2), atol=1e-4
    )
    # log-mel pooled: the stem of fewer frames, and the mean of positions
    pool = load_checkpoint(
        str(folder), num_frames=60, resolution=f"pool:{factor}"
    ).model
    pooled = Resolution.parse(f"pool:{factor}").compress(CLIPS, np)
    stem = keras.Model(pool.input, pool.get_layer("dropout").input)
    stemmed = keras.Model(pool.input, pool.get_layer("convolution_1").output)
    table = model.encoder.embed_positions.weight.detach().numpy()
    count = -(-(60 // factor) // 2)
    positions = np.stack(
        [table[i * factor : (i + 1) * factor].mean(0) for i in range(count)]
    )
    np.testing.assert_allclose(
        numpy(stem(pooled)) - numpy(stemmed(pooled)),
        np.broadcast_to(positions, (2, count, 24)),
        atol=1e-4,
    )
    assert full.num_tokens == 30


def openai_names(state):
    """Hugging Face's keys of the encoder by OpenAI's names."""
    names = {
        "embed_positions.weight": "positional_embedding",
        "self_attn_layer_norm": "attn_ln",
        "self_attn.q_proj": "attn.query",
        "self_attn.k_proj": "attn.key",
        "self_attn.v_proj": "attn.value",
        "self_attn.out_proj": "attn.out",
        "final_layer_norm": "mlp_ln",
        "fc1": "mlp.0",
        "fc2": "mlp.2",
        "layers.": "blocks.",
    }
    for key, value in state.items():
        if not key.startswith("encoder."):
            continue
        key = key.replace("encoder.layer_norm", "encoder.ln_post")
        for old, new in names.items():
            key = key.replace(old, new)
        yield key, value


def test_openai_file(hugging_face, tmp_path):
    _, model, states = hugging_face
    state = dict(openai_names(model.state_dict()))
    state |= {"decoder.positional_embedding": torch.zeros(8, 24)}
    path = tmp_path / "tiny.pt"
    dims = {"n_mels": 20, "n_audio_head": 3}
    torch.save({"dims": dims, "model_state_dict": state}, path)
    converted = load_checkpoint(
        str(path), num_frames=60, trained={"num_heads": 3}
    )
    check(converted.model, states)
    assert converted.report.dropped == ("decoder.positional_embedding",)


def write_ctranslate2(path, model, quantize=False):
    """A `model.bin` of version 6, written from its documented layout."""
    state = {k: v.numpy() for k, v in model.encoder.state_dict().items()}
    found = {
        "position_encodings/encodings": state["embed_positions.weight"],
        "num_heads": np.array(3, "int16"),
        "layer_norm/gamma": state["layer_norm.weight"],
        "layer_norm/beta": state["layer_norm.bias"],
    }
    for name in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            found[f"{name}/{part}"] = state[f"{name}.{part}"]
    for i in range(4):
        old, new = f"layers.{i}.", f"layer_{i}/"
        attention = f"{old}self_attn."
        for theirs, norm in (
            ("self_attention", "self_attn_layer_norm"),
            ("ffn", "final_layer_norm"),
        ):
            for gamma, part in (("gamma", "weight"), ("beta", "bias")):
                found[f"{new}{theirs}/layer_norm/{gamma}"] = state[
                    f"{old}{norm}.{part}"
                ]
        for part in ("weight", "bias"):
            query, value = (state[f"{attention}{p}_proj.{part}"] for p in "qv")
            key = state.get(f"{attention}k_proj.{part}", np.zeros(24))
            fused = np.concatenate([query, key, value]).astype("float32")
            found[f"{new}self_attention/linear_0/{part}"] = fused
            for theirs, linear in (
                ("self_attention/linear_1", "self_attn.out_proj"),
                ("ffn/linear_0", "fc1"),
                ("ffn/linear_1", "fc2"),
            ):
                found[f"{new}{theirs}/{part}"] = state[f"{old}{linear}.{part}"]
    if quantize:
        for name in [n for n in found if "linear" in n and "weight" in n]:
            scale = 127 / np.abs(found[name]).max(axis=1)
            found[name] = np.rint(found[name] * scale[:, None]).astype("int8")
            found[f"{name}_scale"] = scale.astype("float32")

    def text(value):
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    kinds = ["float32", "int8", "int16", "int32", "float16"]
    with open(path, "wb") as file:
        file.write(struct.pack("<I", 6) + text("WhisperSpec"))
        file.write(struct.pack("<II", 3, len(found)))
        for name, array in found.items():
            file.write(text(f"encoder/{name}"))
            file.write(struct.pack("<B", array.ndim))
            file.write(struct.pack(f"<{array.ndim}I", *array.shape))
            kind = kinds.index(str(array.dtype))
            file.write(struct.pack("<BI", kind, array.nbytes))
            file.write(np.ascontiguousarray(array).tobytes())
        file.write(struct.pack("<I", 0))  # no aliases


def test_ctranslate2_file(hugging_face, tmp_path):
    _, model, states = hugging_face
    write_ctranslate2(tmp_path / "model.bin", model)
    converted = load_checkpoint(
        str(tmp_path), num_frames=60, trained={"num_heads": 3}
    )
    check(converted.model, states)
    assert converted.report.dropped == ()
    write_ctranslate2(tmp_path / "model.bin", model, quantize=True)
    eight_bits = load_checkpoint(
        str(tmp_path), num_frames=60, trained={"num_heads": 3}
    ).model
    mine = eight_bits.predict(CLIPS, verbose=0)
    error = np.abs(mine - states[-1]).max() / np.abs(states[-1]).max()
    assert 1e-5 < error < 0.1


@pytest.mark.parametrize("size", [10, 3000, 20000])
def test_cut_ctranslate2_file_is_refused(hugging_face, tmp_path, size):
    path = tmp_path / "model.bin"
    write_ctranslate2(path, hugging_face[1])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="cut short"):
        load_checkpoint(str(path))


def test_what_would_be_another_model_is_refused(hugging_face, tmp_path):
    folder, _, _ = hugging_face
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")

    def convert(**changes):
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**config, **changes}))
        return load_checkpoint(str(tmp_path))

    with pytest.raises(ValueError, match="activation_function='relu'"):
        convert(activation_function="relu")
    with pytest.raises(ValueError, match=r"lacks the key .*layers\.4\."):
        convert(encoder_layers=5)
    with pytest.raises(ValueError, match=r"no place for.*layers\.3\."):
        convert(encoder_layers=3)
    with pytest.raises(ValueError, match="20 channels.* not resized to 80"):
        load_checkpoint(str(folder), num_mel_bins=80)


def test_converted_folder_is_read_back(hugging_face, tmp_path):
    folder, _, states = hugging_face
    converted = load_checkpoint(str(folder), num_frames=60)
    converted.save(tmp_path / "out")
    loaded = load_preset(str(tmp_path / "out"))
    assert loaded.frontend == converted.frontend
    np.testing.assert_allclose(
        loaded.model.predict(CLIPS, verbose=0), states[-1], atol=1e-4
    )


@pytest.mark.once
@pytest.mark.parametrize("name", WHISPER_PRESETS)
def test_every_preset_builds(name):
    backbone = backbone_from_size(name, num_frames=100, depth=1)
    assert backbone.num_tokens == 50
    assert backbone.width // backbone.num_heads == 64
    assert not backbone.final_norm


@pytest.mark.once
def test_every_published_size_is_known():
    sizes = {n.split("-", 1)[1] for n in PUBLISHED if n.startswith("openai/")}
    assert sizes == {
        *("tiny", "base", "small", "medium", "large", "large-v2", "large-v3"),
        *("tiny.en", "base.en", "small.en", "medium.en", "large-v3-turbo"),
    }


@pytest.mark.once
def test_size_and_cost_of_base():
    """20.6 M numbers in 30 s, and MACs counted by hand."""
    backbone = WhisperEncoder.from_size("base")
    key_biases = 6 * 512
    assert backbone.count_params() - key_biases == 20_590_592
    stem = 3000 * 3 * 80 * 512 + 1500 * 3 * 512 * 512
    block = 1500 * (4 + 8) * 512**2 + 2 * 1500**2 * 512
    assert count_macs(backbone) == stem + 6 * block
    coarse = backbone.at_resolution("token:4")
    block = 375 * (4 + 8) * 512**2 + 2 * 375**2 * 512
    assert count_macs(coarse) == stem + 6 * block
