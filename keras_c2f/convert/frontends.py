"""The front end that belongs to a checkpoint, from whatever describes it."""

import json
from pathlib import Path

from keras_c2f.convert.kwt import Mfcc
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models.presets import FRONTENDS, WHISPER_FRONTEND
from keras_c2f.utils.suggestions import did_you_mean


def named_frontend(name):
    """`Frontend` of a key of `FRONTENDS`, or of a JSON file of its arguments.

    Raises:
        ValueError: if it is neither, or an argument of the file is not one of
            `Frontend`.
    """
    if name in FRONTENDS:
        return Frontend(**FRONTENDS[name])
    path = Path(name)
    if path.is_file():
        try:
            return Frontend(**json.loads(path.read_text()))
        except TypeError as error:
            raise ValueError(
                f"{path} holds other than the arguments of `Frontend`: {error}."
            ) from error
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is no JSON: {error}.") from error
    hint = did_you_mean(name, FRONTENDS, most=2)
    raise ValueError(
        f"{name!r} is no front end and no file.{hint} Known front ends: "
        f"{', '.join(FRONTENDS)}; or a JSON file of `Frontend`'s arguments."
    )


def frontend_of(checkpoint, entry, source):
    """`Frontend`, `Mfcc`, or `None` where it is not known.

    Args:
        checkpoint: `Checkpoint`, its fields known (`fields.py`).
        entry: `Published` or `None`.
        source: str, a key of `SOURCES`.
    """
    if source == "kwt":
        return Mfcc.from_tensors(checkpoint.tensors)
    if source == "whisper":  # that of all its files, but for the mel bins
        kernel = next(
            value
            for key, value in checkpoint.tensors.items()
            if key.endswith("conv1.weight")
        )
        return Frontend(**{**WHISPER_FRONTEND, "num_mel_bins": kernel.shape[1]})
    features = checkpoint.features
    if features and source == "ast":
        return _of_ast(features)
    if features and source == "hts_at":
        return _of_clap(features)
    return Frontend(**entry.frontend) if entry and entry.frontend else None


def _of_ast(features):
    scale = {"mean": features["mean"], "std": features["std"]}
    if not features["do_normalize"]:
        scale = {"mean": 0.0, "std": 0.5}  # no change
    return Frontend(
        sample_rate=features["sampling_rate"],
        num_mel_bins=features["num_mel_bins"],
        **scale,
    )


def _of_clap(features):
    fused = features["truncation"] == "fusion"
    rate = features["sampling_rate"]
    return Frontend(
        sample_rate=rate,
        num_mel_bins=features["feature_size"],
        frame_length_ms=1000 * features["fft_window_size"] / rate,
        frame_shift_ms=1000 * features["hop_length"] / rate,
        low_hz=features["frequency_min"],
        high_hz=features["frequency_max"],
        preemphasis=0.0,
        mean=0.0,
        std=0.5,  # no change
        style="torchaudio" if fused else "librosa",
    )
