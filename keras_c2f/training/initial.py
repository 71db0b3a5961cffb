"""Settings that fit the initial weights, read without loading them."""

import functools
import json
import os
import zipfile
from dataclasses import dataclass, field

import keras

from keras_c2f.convert import CARD, PUBLISHED, load_preset
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models.presets import (
    AST_PRESETS,
    HTS_AT_PRESETS,
    WHISPER_PRESETS,
)
from keras_c2f.training.run_folder import NOTES, find_run, read_config
from keras_c2f.training.trained_run import read_frontend
from keras_c2f.utils.files import read_json

PRESETS = {
    "AST": AST_PRESETS,
    "HTSAT": HTS_AT_PRESETS,
    "WhisperEncoder": WHISPER_PRESETS,
}


@dataclass(frozen=True)
class Initial:
    """Trained weights that a run is to start from.

    Attributes:
        kind: str, class of the backbone, such as `"AST"`.
        depth: int, its blocks; 0 where they are not counted so.
        is_converted: bool, whether no training here has changed them.
        is_run: bool, whether they are of a run, which has a head too.
        settings: dict, those of a `Recipe` that fit the weights; without
            `backbone` where no preset does.
    """

    kind: str
    depth: int = 0
    is_converted: bool = False
    is_run: bool = False
    settings: dict = field(default_factory=dict)


def read_initial(init_from):
    """`Initial` of what `--init-from` names; `None` of an empty text.

    Args:
        init_from: str, see `start_from`. A published checkpoint is loaded for
            it, so perhaps downloaded.

    Raises:
        ValueError: if there is no model, or it cannot be read.
    """
    if not init_from:
        return None
    config, is_run, is_converted = _model_config(init_from)
    task, kind, backbone = _parts(config)
    return Initial(
        kind,
        backbone.get("depth", 0),
        is_converted,
        is_run,
        {
            **_geometry(kind, backbone),
            **{key: task[key] for key in ("pooling",) if key in task},
        },
    )


def initial_frontend(init_from):
    """`Frontend` that weights were trained with.

    Args:
        init_from: str, see `start_from`.

    Returns:
        `Frontend`; `None` where it is not known without loading a model.

    Raises:
        ValueError: if a folder holds no run, or a damaged one.
    """
    card = os.path.join(init_from, CARD)
    if init_from and os.path.isfile(card):
        known = read_json(card, "Convert the checkpoint again.")["frontend"]
        return known and Frontend.from_config(known)
    if init_from and os.path.isdir(init_from):
        folder = find_run(init_from)
        return read_frontend(read_config(folder), folder)
    return None


def initial_prefix_tokens(init_from):
    """int, prefix tokens of the weights: ViT and DINOv2 have 1, AST 2.

    `None` where there are no weights, or their backbone has no such argument.
    """
    is_name = init_from in PUBLISHED or init_from.startswith("hf://")
    if not is_name and not os.path.exists(init_from):
        return None
    _, _, backbone = _parts(_model_config(init_from)[0])
    return backbone.get("num_prefix_tokens")


def _parts(config):
    """Of Keras' config of a model: arguments, class and those of its backbone.

    The first are empty of a backbone alone.
    """
    task = {}
    for outer in ("network", "backbone"):  # of a checkpoint, of a task
        if outer in config["config"]:
            task, config = config["config"], config["config"][outer]
    return task, config["class_name"], config["config"]


def _model_config(init_from):
    """Keras' config of a model, whether it is of a run, whether converted."""
    if os.path.isfile(os.path.join(init_from, CARD)):
        path = os.path.join(init_from, "config.json")
        return read_json(path, "Convert the checkpoint again."), False, True
    if os.path.isdir(init_from):
        folder = find_run(init_from)
        frozen = read_config(folder)["recipe"].get("freeze", "")
        config, _ = _archived(os.path.join(folder, "model.keras"))
        return config, True, bool(frozen)
    if os.path.isfile(init_from):
        config, is_of_run = _archived(init_from)
        return config, is_of_run, not is_of_run
    return _published_config(init_from), False, True


@functools.cache
def _published_config(name):
    """Keras' config of a published checkpoint, which is loaded for it."""
    return keras.saving.serialize_keras_object(load_preset(name).model)


def _archived(path):
    """Keras' config in a `.keras` file, and whether a run saved it."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            return config, NOTES in archive.namelist()
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no model that Keras saved ({error}). Give a run's "
            "folder, what `keras-c2f convert` wrote, or a `.keras` file."
        ) from None


def _geometry(kind, backbone):
    """Settings for a backbone like that of a config; none if no preset fits.

    Of a preset, blocks behind the last one may be missing, and the front end
    decides on mel bins.
    """
    plain = {"stem_channels": ()}  # of all that do not say otherwise
    backbone = plain | {  # JSON has no tuples
        name: tuple(value) if isinstance(value, list) else value
        for name, value in backbone.items()
    }
    depth, bins = backbone.get("depth", 0), backbone["num_mel_bins"]
    fits = []
    for name, preset in PRESETS.get(kind, {}).items():
        wanted = {"depth": 0, "num_mel_bins": bins, **plain, **preset["config"]}
        other_bins = wanted.pop("num_mel_bins") != bins
        wanted.pop("patch_size", None)  # any is a setting
        further = wanted.pop("depth") - depth
        if further >= 0 and wanted.items() <= backbone.items():
            fits.append((other_bins, further, name))
    if not fits:
        return {}
    _, further, name = min(fits)
    size, stride = backbone.get("patch_size"), backbone.get("patch_stride")
    found = {"backbone": name}
    if further:
        found["depth"] = depth
    if size:
        found["patch_size"] = "{}x{}".format(*size)
    if stride and stride != size:
        found["patch_stride"] = "{}x{}".format(*stride)
    return found
