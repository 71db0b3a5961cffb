"""A file of weights into a model of this package, at any geometry."""

from keras_c2f.convert.checkpoint import read_checkpoint
from keras_c2f.convert.class_names import find_class_names, read_class_names
from keras_c2f.convert.geometry import at_geometry, with_mel_bins
from keras_c2f.convert.kwt import Mfcc
from keras_c2f.convert.pretrained import Pretrained
from keras_c2f.convert.published import published
from keras_c2f.convert.rules import fill
from keras_c2f.convert.sources import SOURCES, source_of
from keras_c2f.frontend import Frontend

POSITIONS = ("interpolate", "cut")


def load_checkpoint(
    path,
    preset=None,
    source=None,
    trained=None,
    positions=None,
    class_names=None,
    **wanted,
):
    """Converts a checkpoint of another project into a Keras model.

    The network is first built at the geometry it was trained at and filled,
    each key of the file used or named as dropped. If another geometry is
    wanted, its weights are then transplanted, position grid and patch kernel
    resized.

    Args:
        path: file or Hugging Face folder; see `read_checkpoint`.
        preset: str, the published checkpoint that it is (`PUBLISHED`); tells
            `trained`, front end, licence.
        source: str, a key of `SOURCES`; found by the keys if `None`. With
            `"ssast_pretraining"` SSAST keeps its heads.
        trained: dict, the geometry of training where neither file nor preset
            tells it: `num_frames`, `num_mel_bins`, `patch_stride` (pair
            `(time, freq)`), `num_heads`.
        positions: str, how the grid follows a change of geometry.
            `"interpolate"`: bilinearly. `"cut"`: an axis that shrinks keeps
            its centre, as AST's code does. `None`: `"cut"` from ImageNet.
        class_names: list of str, or the name of a CSV or text file.
        wanted: arguments of the backbone to have otherwise, such as
            `num_frames=512`, `patch_stride`, `num_mel_bins`, `resolution`,
            and of the classifier: `num_classes` (a fresh head), `pooling`,
            `input_kind`.

    Returns:
        `Pretrained`: an `AudioClassifier` where the file has a head or
        `num_classes` is given, else the backbone, or a `MaskedPatchModel`.

    Raises:
        ValueError: if the file is damaged, of an unknown kind, lacks a key or
            has one too many, or the geometry does not fit it.

    Example:
        >>> load_checkpoint("audioset_10_10_0.4593.pth", num_frames=512)
        Traceback (most recent call last):
        ValueError: There is no file audioset_10_10_0.4593.pth.
    """
    checkpoint = read_checkpoint(path)
    entry = published(preset) if preset else None
    name = source or (entry.source if entry else source_of(checkpoint))
    if name not in SOURCES:
        raise ValueError(
            f"`source` is one of {', '.join(SOURCES)}. "
            f"Received: source={name!r}."
        )
    if positions not in (None, *POSITIONS):
        raise ValueError(
            f"`positions` is one of {POSITIONS}. Received: {positions!r}."
        )
    kind = SOURCES[name]
    trained = {**(entry.trained if entry else {}), **(trained or {})}
    plan = kind.plan(checkpoint, trained)
    filled = fill(plan, checkpoint)
    frontend = _frontend(checkpoint, entry, name)
    model, report = at_geometry(
        plan.network,
        filled,
        {**kind.wanted, **wanted},
        positions or kind.positions,
        frontend,
    )
    return Pretrained(
        model,
        frontend=with_mel_bins(frontend, model),
        class_names=_class_names(class_names, model, checkpoint, entry),
        about={"source": name, **(entry.about() if entry else {})},
        report=report,
    )


def _frontend(checkpoint, entry, source):
    """`Frontend`, `Mfcc`, or `None` where it is not known."""
    if source == "kwt":
        return Mfcc.from_tensors(checkpoint.tensors)
    features = checkpoint.features
    if "mean" in features and "std" in features and source == "ast":
        return Frontend(
            sample_rate=features["sampling_rate"],
            num_mel_bins=features["num_mel_bins"],
            mean=features["mean"],
            std=features["std"],
        )
    if features.get("truncation") == "rand_trunc" and source == "hts_at":
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
            style="librosa",
        )
    return Frontend(**entry.frontend) if entry and entry.frontend else None


def _class_names(given, model, checkpoint, entry):
    """list of as many names as the model has classes, or `None`.

    Raises:
        ValueError: if `given` names another number.
    """
    num_classes = getattr(model, "num_classes", None)
    if given is None:
        found = find_class_names(checkpoint, entry) or ()
        return found if len(found) == num_classes else None
    names = read_class_names(given) if isinstance(given, str) else list(given)
    if len(names) != num_classes:
        raise ValueError(
            f"{len(names)} class names are given, and the model has "
            f"{num_classes} classes."
        )
    return names
