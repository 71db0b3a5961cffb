"""A file of weights into a model of this package, at any geometry."""

from dataclasses import asdict
from typing import NamedTuple

from keras_c2f.convert.audio import ast_plan, ssast_plan
from keras_c2f.convert.checkpoint import read_checkpoint
from keras_c2f.convert.class_names import find_class_names, read_class_names
from keras_c2f.convert.imagenet import imagenet_plan
from keras_c2f.convert.kwt import Mfcc, kwt_plan
from keras_c2f.convert.passt import passt_plan
from keras_c2f.convert.positions import cut_positions
from keras_c2f.convert.pretrained import Pretrained
from keras_c2f.convert.published import published
from keras_c2f.convert.rules import fill
from keras_c2f.convert.vit import vit_of
from keras_c2f.frontend import Frontend
from keras_c2f.models import AudioClassifier
from keras_c2f.phases import TransplantReport, transplant

HEAD_OPTIONS = ("num_classes", "pooling", "input_kind")
POSITIONS = ("interpolate", "cut")


class Source(NamedTuple):
    """A kind of checkpoint: its `Plan`, and what is wanted of it if unsaid."""

    plan: object
    positions: str = "interpolate"
    wanted: dict = {}  # noqa: RUF012  never changed


SOURCES = {
    "ast": Source(ast_plan),
    "ssast": Source(ssast_plan),
    "passt": Source(passt_plan),
    "imagenet": Source(
        imagenet_plan,
        "cut",  # as AST starts from ImageNet
        {"num_frames": 1024, "num_mel_bins": 128, "patch_stride": (10, 10)},
    ),
    "kwt": Source(kwt_plan),
}
# A key that ends so tells the source; of the others, the kernel does.
MARKS = {
    "freq_new_pos_embed": "passt",
    "p_input_fdim": "ssast",
    "patch_embed/kernel": "kwt",
}


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
        source: str, a key of `SOURCES`; found by the keys if `None`.
        trained: dict, the geometry of training where neither file nor preset
            tells it: `num_frames`, `num_mel_bins`, `patch_stride` (pair
            `(time, freq)`), `num_heads`.
        positions: str, how the grid follows a change of geometry.
            `"interpolate"`: bilinearly. `"cut"`: an axis that shrinks keeps
            its centre, as AST's code does. `None`: `"cut"` from ImageNet.
        class_names: list of str, or a CSV or text file of them.
        wanted: arguments of the backbone to have otherwise, such as
            `num_frames=512`, `patch_stride`, `num_mel_bins`, `resolution`,
            and of the classifier: `num_classes` (a fresh head), `pooling`,
            `input_kind`.

    Returns:
        `Pretrained`: an `AudioClassifier` where the file has a head or
        `num_classes` is given, else the backbone.

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
    name = source or (entry.source if entry else _source_of(checkpoint))
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
    model, report = _at_geometry(
        plan.network,
        filled,
        {**kind.wanted, **wanted},
        positions or kind.positions,
        frontend,
    )
    if isinstance(class_names, (str, bytes)) or hasattr(
        class_names, "__fspath__"
    ):
        class_names = read_class_names(class_names)
    if class_names is None and "num_classes" not in wanted:
        class_names = find_class_names(checkpoint, entry)
    return Pretrained(
        model,
        frontend=_with_mel_bins(frontend, model),
        class_names=class_names,
        about={"source": name, **(entry.about() if entry else {})},
        report=report,
    )


def _source_of(checkpoint):
    tensors = checkpoint.tensors
    for ending, source in MARKS.items():
        if any(key.endswith(ending) for key in tensors):
            return source
    return "imagenet" if vit_of(checkpoint).kernel.shape[1] > 1 else "ast"


def _at_geometry(network, filled, wanted, positions, frontend):
    """`(model, TransplantReport)`: the network as wanted."""
    is_classifier = isinstance(network, AudioClassifier)
    backbone = network.backbone if is_classifier else network
    head = {n: wanted.pop(n) for n in HEAD_OPTIONS if n in wanted}
    config = backbone.get_config()
    for name in wanted:
        if name not in config:
            raise ValueError(
                f"{type(backbone).__name__} has no argument {name!r}. It has "
                f"{', '.join([*config, *HEAD_OPTIONS])}."
            )
    other = type(backbone).from_config({**config, **wanted})
    if other.get_config() == config and not head:
        return network, filled
    if head.get("input_kind") == "waveform":
        if not isinstance(frontend, Frontend):
            raise ValueError(
                "The front end of this checkpoint is not known here, so "
                "`input_kind='waveform'` cannot be had. Name its `preset`, or "
                "feed log-mel."
            )
        head["frontend"] = _with_mel_bins(frontend, other)
    if is_classifier:
        keep = ("num_classes", "pooling", "dropout", "head_epsilon")
        head = {**{name: getattr(network, name) for name in keep}, **head}
        target = AudioClassifier(other, name=network.name, **head)
    elif "num_classes" in head:
        target = AudioClassifier(other, **head)
    elif head:
        raise ValueError(
            f"The file has no classifier, so {', '.join(head)} needs "
            "`num_classes` beside it."
        )
    else:
        target = other
    moved = transplant(network, target)
    if positions == "cut":
        cut_positions(network, target)
    return target, TransplantReport(
        moved.copied,
        moved.resized,
        moved.fresh,
        filled.dropped + moved.dropped,
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
    return Frontend(**entry.frontend) if entry and entry.frontend else None


def _with_mel_bins(frontend, model):
    if not isinstance(frontend, Frontend):
        return frontend
    backbone = getattr(model, "backbone", model)
    return Frontend(
        **{**asdict(frontend), "num_mel_bins": backbone.num_mel_bins}
    )
