"""Backbones by the name of a preset, whatever their architecture."""

import inspect
from typing import Any

from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models.ast_model import AST
from keras_c2f.models.hts_at import HTSAT
from keras_c2f.models.phase_network import Backbone
from keras_c2f.models.presets import (
    AST_PRESETS,
    HTS_AT_FRONTEND,
    HTS_AT_PRESETS,
    WHISPER_FRONTEND,
    WHISPER_PRESETS,
    preset_config,
)
from keras_c2f.models.whisper_model import WhisperEncoder

PREFIXES = {AST: "ast_", HTSAT: "hts_at_", WhisperEncoder: "whisper_"}
PRESETS = {**AST_PRESETS, **HTS_AT_PRESETS, **WHISPER_PRESETS}


def backbone_class(name):
    """The class that has the preset `name`.

    Raises:
        ValueError: if there is no such preset; near names are suggested.
    """
    preset_config(name, PRESETS)
    if name in WHISPER_PRESETS:
        return WhisperEncoder
    return HTSAT if name in HTS_AT_PRESETS else AST


def preset_frontend(name: str) -> Frontend:
    """`Frontend` that the model of the preset `name` was made for.

    Raises:
        ValueError: if there is no such preset; near names are suggested.
    """
    cls = backbone_class(name)
    if cls is WhisperEncoder:
        num_mel_bins = preset_config(name, PRESETS)["num_mel_bins"]
        return Frontend(**{**WHISPER_FRONTEND, "num_mel_bins": num_mel_bins})
    return Frontend(**HTS_AT_FRONTEND) if cls is HTSAT else Frontend()


def preset_patch(name: str) -> tuple[int, int]:
    """Pair `(time, freq)`: the patch of the preset `name` at factor 1.

    Of Whisper's encoder, what a token stands for.

    Raises:
        ValueError: if there is no such preset; near names are suggested.
    """
    cls, config = backbone_class(name), preset_config(name, PRESETS)
    if cls is WhisperEncoder:
        return (2, config["num_mel_bins"])
    default = inspect.signature(cls).parameters["patch_size"].default
    return config.get("patch_size", default)


def backbone_from_size(name: str, **overrides: Any) -> Backbone:
    """A randomly initialised backbone of a named size.

    Args:
        name: str, such as `"ast_tiny"` or `"hts_at_tiny"`.
        overrides: any argument of its class; `None` leaves one as it is.

    Raises:
        ValueError: if the preset, or an argument of its class, is unknown.

    Example:
        >>> backbone_from_size("hts_at_micro", num_frames=501).grid_size
        (16, 2)
    """
    cls = backbone_class(name)
    given = {k: v for k, v in overrides.items() if v is not None}
    unknown = given.keys() - inspect.signature(cls).parameters.keys()
    if unknown:
        raise ValueError(
            f"{cls.__name__}, the architecture of {name}, has no "
            f"{' or '.join(sorted(unknown))}. Leave it out."
        )
    return cls.from_size(name.removeprefix(PREFIXES[cls]), **given)
