"""Files: of every kind, damaged, wrong, incomplete."""

import os
import pickle
import subprocess
import sys
from collections import OrderedDict

import keras
import numpy as np
import pytest
import safetensors.torch
import torch
import torch_vit
from contract import numpy

from keras_c2f.convert import load_checkpoint
from keras_c2f.convert.checkpoint import read_checkpoint

TRAINED = {
    "num_frames": 53,
    "num_mel_bins": 38,
    "patch_stride": (16, 16),
    "num_heads": 3,
}


@pytest.fixture(scope="module")
def state():
    model = torch_vit.randomize(torch_vit.Ast())
    return {f"module.{k}": v for k, v in model.state_dict().items()}


def save(state, path):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    elif path.suffix == ".npz":
        np.savez(path, **{key: value.numpy() for key, value in state.items()})
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize(
    "name", ["a.safetensors", "a.npz", "a.pth", "a.pt", "a.bin", "a.ckpt"]
)
def test_kinds_of_file(state, name, tmp_path):
    converted = load_checkpoint(save(state, tmp_path / name), trained=TRAINED)
    bias = converted.model.get_layer("head").bias
    np.testing.assert_array_equal(
        numpy(bias), state["module.mlp_head.1.bias"].numpy()
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_half_precision_becomes_float32(state, dtype, name, tmp_path):
    half = {key: value.to(dtype) for key, value in state.items()}
    tensors = read_checkpoint(save(half, tmp_path / name)).tensors
    for key, value in half.items():
        assert tensors[key].dtype == "float32"
        np.testing.assert_array_equal(tensors[key], value.float().numpy())


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz", "a.pth"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_cut_short_is_refused(state, name, share, tmp_path):
    path = save(state, tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"{name} cannot be read: it is cut"):
        load_checkpoint(path, trained=TRAINED)


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz", "a.pth"])
def test_a_file_of_something_else_is_refused(name, tmp_path):
    path = tmp_path / name
    path.write_text("<html>Sign in to download</html>")
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(path)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("/nowhere/at/all",)


def test_a_pickle_runs_no_code(tmp_path):
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": OrderedDict(), "callbacks": Evil()}, path)
    with pytest.raises(
        ValueError, match=r"mkdir\), which could run code.*save its"
    ):
        load_checkpoint(path)


def test_what_holds_no_tensors_is_refused(tmp_path):
    path = tmp_path / "list.pth"
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="no dict of tensors but list"):
        load_checkpoint(path)
    with pytest.raises(ValueError, match="There is no file .*nothing.pth"):
        load_checkpoint(tmp_path / "nothing.pth")
    with pytest.raises(ValueError, match="neither model.safetensors nor"):
        load_checkpoint(tmp_path)
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(ValueError, match=r"ends in none of \.safetensors"):
        load_checkpoint(path)


KEY = "module.v.blocks.1.mlp.fc2.bias"


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        "module.v.pos_embed",
        "module.v.cls_token",
        "module.v.dist_token",
        "module.v.norm.weight",
        "module.mlp_head.0.bias",
    ],
)
def test_a_missing_key_is_named(state, key, tmp_path):
    rest = {name: value for name, value in state.items() if name != key}
    if "dist" in key:  # then the grid has one patch more
        with pytest.raises(ValueError, match="positions for 7 patches"):
            load_checkpoint(save(rest, tmp_path / "a.pth"), trained=TRAINED)
        return
    with pytest.raises(ValueError, match=f"lacks the key '{key}'"):
        load_checkpoint(save(rest, tmp_path / "a.pth"), trained=TRAINED)


@pytest.mark.parametrize(
    "source, key",
    [
        ("hts_at", "a key with '.relative_position_bias_table'"),
        ("kwt", "the key 'patch_embed/kernel'"),
    ],
)
def test_a_file_of_another_kind_than_said_lacks_a_key(
    source, key, state, tmp_path
):
    with pytest.raises(ValueError, match=f"lacks {key}"):
        load_checkpoint(save(state, tmp_path / "a.pth"), source=source)


def test_a_surplus_key_is_named(state, tmp_path):
    more = {**state, "module.v.blocks.0.gamma_1": torch.ones(24)}
    with pytest.raises(ValueError, match="no place for.*'module.v.blocks.0.g"):
        load_checkpoint(save(more, tmp_path / "a.pth"), trained=TRAINED)


def test_a_key_of_another_shape_is_named(state, tmp_path):
    other = {**state, KEY: torch.ones(25)}
    with pytest.raises(ValueError, match=rf"'{KEY}'.*\(25,\).*\(24,\)"):
        load_checkpoint(save(other, tmp_path / "a.pth"), trained=TRAINED)


def test_an_unknown_kind_is_refused(tmp_path):
    state = {"encoder.conv1.weight": torch.ones(3)}
    path = save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="begins with 'encoder.conv1.weight'"):
        load_checkpoint(path)


def test_geometry_is_never_guessed(state, tmp_path):
    path = save(state, tmp_path / "a.pth")
    with pytest.raises(
        ValueError,
        match="num_frames, num_mel_bins, patch_stride.*gave 6 patches",
    ):
        load_checkpoint(path)
    for name, value in (("num_frames", 70), ("patch_stride", (16, 10))):
        with pytest.raises(ValueError, match="positions for 6 patches; .* = "):
            load_checkpoint(path, trained={**TRAINED, name: value})


def test_images_are_square(tmp_path):
    model = torch_vit.Vit(channels=3, grid=(2, 3))
    path = torch_vit.save_pth(model, tmp_path / "vit.pth")
    with pytest.raises(ValueError, match="6 patches, which are no square"):
        load_checkpoint(path)


@pytest.mark.once
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="is the backend")
def test_needs_no_torch_for_safetensors(state, tmp_path):
    for name in ("a.safetensors", "a.pth"):
        save(state, tmp_path / name)
    program = f"""
import sys


class Missing:  # JAX's SciPy minds a `None` among the modules
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError(name)


sys.meta_path.insert(0, Missing())
from keras_c2f.convert import load_checkpoint

load_checkpoint("a.safetensors", trained={TRAINED})
try:
    load_checkpoint("a.pth", trained={TRAINED})
except ImportError as error:
    assert "This needs torch" in str(error) and '-e ".[torch]"' in str(error)
else:
    raise SystemExit("read a pickle without torch")
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.returncode == 0, result.stderr[-2000:]
