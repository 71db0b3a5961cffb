"""Files of weights into NumPy arrays, whoever wrote them."""

import json
import pickle
import re
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_c2f.convert.ctranslate2 import is_ctranslate2, read_ctranslate2
from keras_c2f.utils.optional import LazyModule

torch = LazyModule("torch")
safetensors = LazyModule("safetensors")
safetensors_numpy = LazyModule("safetensors.numpy")

PICKLES = (".pth", ".pt", ".bin", ".ckpt")
PATCH_KERNELS = (
    "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.weight",
)
HUB_FILES = ("model.safetensors", "pytorch_model.bin", "model.bin")


@dataclass(frozen=True)
class Checkpoint:
    """Arrays of one file, and what was written beside it.

    Attributes:
        path: `Path` of the file.
        tensors: dict of key -> array, float32 where it holds fractions.
        config: dict, `config.json` of a Hugging Face folder, or empty.
        features: dict, its `preprocessor_config.json`, or empty.
    """

    path: Path
    tensors: dict
    config: dict = field(default_factory=dict)
    features: dict = field(default_factory=dict)


def read_checkpoint(path, part=None):
    """Reads a file of weights, or the one in a Hugging Face folder.

    Safetensors and NumPy files are read without PyTorch; pickles with it, and
    only what is a tensor: no code of the file is run.

    Args:
        path: file (`.safetensors`, `.npz`, `.pth`, `.pt`, `.bin`, `.ckpt`),
            or a folder with `model.safetensors`, `pytorch_model.bin` or
            CTranslate2's `model.bin`.
        part: str, which of several networks in the file, such as a running
            average: its name in the pickle, or what its keys begin with.

    Returns:
        `Checkpoint`.

    Raises:
        ImportError: if the package that reads this kind is not installed.
        ValueError: if there is no such file, or it is of another kind, cut
            short, holds more than tensors, or several networks.
    """
    path = weights_file(path)
    if path.suffix == ".safetensors":
        tensors = _read_safetensors(path)
    elif path.suffix == ".npz":
        tensors = _read_npz(path)
    elif is_ctranslate2(path):
        tensors = _read_ctranslate2(path)
    else:
        tensors, part = _read_pickle(path, part)
    tensors = one_network(path, tensors, part)
    tensors = {key: _single(value) for key, value in tensors.items()}
    config = _json(path.with_name("config.json"))
    if not {"model_type", "architecture"} & set(config):  # of something else
        return Checkpoint(path, tensors)
    features = _json(path.with_name("preprocessor_config.json"))
    return Checkpoint(path, tensors, config, features)


def weights_file(path):
    """`Path` of the file that holds the weights; see `read_checkpoint`."""
    path = Path(path)
    if path.is_dir():
        path = _file_in(path)
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    if path.suffix not in (".safetensors", ".npz", *PICKLES):
        raise ValueError(
            f"{path} ends in none of .safetensors, .npz, "
            f"{', '.join(PICKLES)}: what wrote it? Save its state dict as one "
            "of these."
        )
    return path


def _file_in(folder):
    for name in HUB_FILES:
        if (folder / name).is_file():
            return folder / name
    raise ValueError(
        f"The folder {folder} has neither {' nor '.join(HUB_FILES)}. Give the "
        "file itself."
    )


def _read_safetensors(path):
    try:
        return safetensors_numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise _damaged(path, error) from error


def _read_npz(path):
    try:
        # opened here: NumPy leaves a file open that is no archive
        with open(path, "rb") as file, np.load(file) as arrays:
            return dict(arrays)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _read_ctranslate2(path):
    try:
        return read_ctranslate2(path)
    except (struct.error, ValueError, LookupError) as error:
        raise _damaged(path, error) from error


def _read_pickle(path, part):
    """`(tensors, part)` of a pickle, also where they lie further down.

    `part` comes back as `None` where it named a dict of the pickle.
    """
    load = torch.load  # says so if PyTorch is missing
    try:
        with torch.serialization.safe_globals(_plain_globals()):
            content = load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if not refused:
            raise _damaged(path, error) from error
        raise ValueError(
            f"{path} holds more than tensors ({refused[1]}), which could run "
            "code, so it was not read. If you trust its authors, save its "
            "tensors alone: torch.save(torch.load(FILE, weights_only=False)"
            "['state_dict'], NEW_FILE)."
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise _damaged(path, error) from error
    found = dict(_dicts_of_tensors(content, ""))
    if not found:
        raise ValueError(
            f"{path} holds no dict of tensors but {type(content).__name__}. "
            "Save the model's `state_dict()`."
        )
    if part in found:
        return _arrays(found[part]), None
    most = max(map(len, found.values()))
    # A criterion or a scheduler has a few; a copy of the network as many.
    large = [name for name, tensors in found.items() if 2 * len(tensors) > most]
    if part:  # a prefix of keys, of whichever dict has it
        has = [n for n in large if any(k.startswith(part) for k in found[n])]
        large = has or large[:1]
    if len(large) > 1:
        raise several(path, large)
    return _arrays(found[large[0]]), part


def _plain_globals():
    """What numbers of NumPy are pickled as: they run no code."""
    number = np.float32(0).__reduce__()[0]
    kinds = [type(np.dtype(name)) for name in ("float32", "float64", "int64")]
    return [
        number,
        (number, "numpy.core.multiarray.scalar"),  # before NumPy 2
        np.dtype,
        *kinds,
    ]


def _dicts_of_tensors(content, name):
    """`(name, dict)` of every dict that holds tensors itself."""
    if not isinstance(content, dict):
        return
    tensors = {
        key: value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }
    if tensors:
        yield name, tensors
    for key, value in content.items():
        if isinstance(key, str):
            yield from _dicts_of_tensors(value, f"{name}.{key}".lstrip("."))


def _arrays(tensors):
    return {
        key: (value.float() if value.is_floating_point() else value)
        .detach()
        .numpy()
        for key, value in tensors.items()
    }


def one_network(path, tensors, part):
    """The arrays of one network of a file.

    Args:
        path: `Path`, for the sentence of an error.
        tensors: dict of key -> array.
        part: str, what its keys begin with, or `None`.

    Raises:
        ValueError: if none begins so, or several kernels of patches say that
            there are several networks.
    """
    if part:
        chosen = {k: v for k, v in tensors.items() if k.startswith(part)}
        if not chosen:
            raise ValueError(
                f"No key in {path} begins with {part!r}, and no dict in it "
                "has that name. The first key is "
                f"{next(iter(tensors), None)!r}."
            )
        tensors = chosen
    prefixes = {
        key[: -len(ending)]
        for key, value in tensors.items()
        for ending in PATCH_KERNELS
        if key.endswith(ending) and value.ndim == 4
    }
    if len(prefixes) > 1:
        raise several(path, sorted(prefixes))
    return tensors


def several(path, names):
    """The error of a file with several networks."""
    return ValueError(
        f"{path} holds {len(names)} networks: {', '.join(map(repr, names))}. "
        f"Say which: part={names[-1]!r} (--part). A running average "
        "('ema', 'swa') is what its authors evaluate as a rule."
    )


def _single(array):
    """float32 for float16, bfloat16, float64; whole numbers as they are."""
    array = np.asarray(array)
    whole = array.dtype.kind in "biu"
    return array if whole else array.astype("float32")


def _json(path):
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise _damaged(path, error) from error


def _damaged(path, error):
    return ValueError(
        f"{path} cannot be read: it is cut short or not what its name says. "
        f"Get it again. ({_first_line(error)})"
    )


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
