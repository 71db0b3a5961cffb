"""A file of weights into a model of this package, at any geometry."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from keras_c2f.convert.checkpoint import read_checkpoint
from keras_c2f.convert.class_names import (
    check_names,
    find_class_names,
    numbered_names,
    read_class_names,
)
from keras_c2f.convert.fields import check_facts, known_config, known_features
from keras_c2f.convert.frontends import frontend_of, named_frontend
from keras_c2f.convert.geometry import at_geometry, with_mel_bins
from keras_c2f.convert.pretrained import Pretrained
from keras_c2f.convert.published import published
from keras_c2f.convert.rules import fill
from keras_c2f.convert.sources import SOURCES, source_of
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.values import Choice

POSITIONS = ("interpolate", "cut", "lead")
INTERPOLATED = (
    "Its grid of positions is interpolated from {} to {} patches (time, freq). "
    "With a shorter clip its authors' code cuts the grid, and logits differ by "
    "0.4 to 0.8: for use as it is, positions={!r} (--positions) gives theirs; "
    "for further training either will do."
)

POOLING = (
    "Taken for an AST, whose head takes the mean of its prefix tokens. SSAST "
    "fine-tuned by its authors' code has the same keys, and the mean of the "
    "patches: for that, give source='ssast' (--source)."
)


def load_checkpoint(
    path: PathLike,
    preset: str | None = None,
    source: str | None = None,
    trained: dict[str, Any] | None = None,
    positions: str | None = None,
    class_names: Sequence[str] | str | None = None,
    frontend: Frontend | str | None = None,
    part: str | None = None,
    multi_label: bool | None = None,
    **wanted: Any,
) -> Pretrained:
    """Converts a checkpoint of another project into a Keras model.

    The network is first built at the geometry it was trained at and filled,
    each key of the file used or named as dropped. If another geometry is
    wanted, its weights are then transplanted, position grid and patch kernel
    resized.

    Args:
        path: file or Hugging Face folder; see `read_checkpoint`.
        preset: str, the published checkpoint that it is (`PUBLISHED`); gives
            `trained`, front end, licence.
        source: str, a key of `SOURCES`; found by the keys if `None`. With
            `"ssast_pretraining"` SSAST keeps its heads.
        trained: dict, the geometry of training where neither file nor preset
            says it: `num_frames`, `num_mel_bins`, `patch_stride` (pair
            `(time, freq)`), `num_heads`.
        positions: str, how the grid follows a change of geometry.
            `"interpolate"`: bilinearly, so that positions stay where they
            were in relation to the whole clip; for further training, coarse
            resolutions and other strides. `"cut"`: an axis that shrinks keeps
            its centre, as AST's code does; `"lead"`: its first steps in time,
            as PaSST's does; for shorter clips without further training, where
            they give their authors' numbers. `None`: `"cut"` from ImageNet.
        class_names: list of str, or the name of a CSV or text file.
        frontend: `Frontend` that it was trained with, where neither file nor
            preset says it, or says it wrong; or see `named_frontend`.
        part: str, which of several networks in the file: see
            `read_checkpoint`.
        multi_label: bool, whether its scores are independent of each other;
            `None`: what config or preset say, else not.
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
    checkpoint = read_checkpoint(path, part)
    entry = published(preset) if preset else None
    name = source or (entry.source if entry else source_of(checkpoint))
    Choice(tuple(SOURCES)).check("source", name)
    if positions is not None:
        Choice(POSITIONS).check("positions", positions)
    labels = [checkpoint.config.get(n) for n in ("id2label", "label2id")]
    if multi_label is None:
        multi_label = _is_multi_label(checkpoint.config, entry)
    checkpoint = _with_known_fields(checkpoint, frontend)
    kind = SOURCES[name]
    if isinstance(frontend, str):
        frontend = named_frontend(frontend)
    trained = {**(entry.trained if entry else {}), **(trained or {})}
    plan = kind.plan(checkpoint, trained)
    _check_fields(checkpoint, plan, trained)
    filled = fill(plan, checkpoint)
    frontend = frontend or frontend_of(checkpoint, entry, name)
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
        class_names=_class_names(
            class_names, model, report, labels, checkpoint, entry
        ),
        about={"source": name, **(entry.about() if entry else {})},
        report=report,
        notes=(
            *plan.notes,
            *_doubts(checkpoint, source or entry, {"kind": name, **wanted}),
            *_cut_note(plan, model, positions, kind, name),
        ),
        multi_label=multi_label,
    )


def _is_multi_label(config, entry):
    if config.get("problem_type"):
        return config["problem_type"] == "multi_label_classification"
    return entry is not None and entry.multi_label


def _doubts(checkpoint, named, wanted):
    """Sentence about a head that could be that of another kind."""
    alike = any(key.endswith("mlp_head.1.weight") for key in checkpoint.tensors)
    unsure = alike and not named and "pooling" not in wanted
    return (POOLING,) if unsure and wanted["kind"] == "ast" else ()


def _cut_note(plan, model, positions, kind, source):
    """Sentence about positions that were interpolated to a shorter clip."""
    old, new = (
        getattr(network, "backbone", network)
        for network in (plan.network, model)
    )
    shorter = new.num_frames < old.num_frames
    unsaid = positions is None and kind.positions == "interpolate"
    if not unsaid or source == "hts_at" or not shorter:
        return ()
    theirs = "lead" if source == "passt" else "cut"
    return (INTERPOLATED.format(old.grid_size, new.grid_size, theirs),)


def _with_known_fields(checkpoint, frontend):
    """`Checkpoint` with known fields alone; a given front end needs none."""
    config = known_config(checkpoint)
    features = {}
    if frontend is None:
        features = known_features(checkpoint, config.get("model_type"))
    return replace(checkpoint, config=config, features=features)


def _check_fields(checkpoint, plan, trained):
    kind = checkpoint.config.get("model_type")
    overridden = set(trained)
    if "patch_stride" in trained:
        overridden |= {"time_stride", "frequency_stride"}
    for given, file in (
        (checkpoint.config, "config.json"),
        (checkpoint.features, "preprocessor_config.json"),
    ):
        check_facts(given, plan.facts, overridden, kind, file)


def _class_names(given, model, report, labels, checkpoint, entry):
    """list of as many names as the model has classes, or `None`.

    Raises:
        ValueError: if `given` names another number, or a config numbers its
            classes otherwise than the outputs of its head.
    """
    num_classes = getattr(model, "num_classes", None)
    if given is None:
        if num_classes is None or "head/bias" in report.fresh:
            return None
        if labels[0]:
            return numbered_names(labels[0], num_classes, labels[1])
        found = find_class_names(checkpoint, entry) or ()
        return found if len(found) == num_classes else None
    names = read_class_names(given) if isinstance(given, str) else list(given)
    if len(names) != num_classes:
        raise ValueError(
            f"{len(names)} class names are given, and the model has "
            f"{num_classes} classes."
        )
    check_names(names, "The list of class names")
    return names
