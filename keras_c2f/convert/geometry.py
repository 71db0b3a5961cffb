"""A network with trained weights, built again at another geometry."""

from dataclasses import replace

from keras_c2f.convert.positions import cut_positions
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models import AudioClassifier, MaskedPatchModel
from keras_c2f.phases import TransplantReport, transplant

HEAD_OPTIONS = ("num_classes", "pooling", "input_kind")


def at_geometry(network, filled, wanted, positions, frontend):
    """The network as wanted, its weights transplanted into it.

    Args:
        network: `AudioClassifier`, `MaskedPatchModel` or backbone, filled
            from a file.
        filled: `TransplantReport` of that.
        wanted: dict, arguments of backbone and classifier to have otherwise.
        positions: `"interpolate"`, `"cut"` or `"lead"`: see `load_checkpoint`.
        frontend: `Frontend`, or another or `None` if it is not known.

    Returns:
        `(model, TransplantReport)`; those given if nothing is otherwise.

    Raises:
        ValueError: if an argument is unknown, or needs what is not there.
    """
    backbone = getattr(network, "backbone", network)
    head = {n: wanted.pop(n) for n in HEAD_OPTIONS if n in wanted}
    config = backbone.get_config()
    for name in wanted:
        if name not in config:
            raise ValueError(
                f"{type(backbone).__name__} has no argument {name!r}. It has "
                f"{', '.join([*config, *HEAD_OPTIONS])}."
            )
    other = backbone.with_arguments(**wanted)
    if other.get_config() == config and not head:
        return network, filled
    refuse_squeezed(other)
    if head.get("input_kind") == "waveform":
        if not isinstance(frontend, Frontend):
            raise ValueError(
                "The front end of this checkpoint is not known here, so "
                "`input_kind='waveform'` cannot be had. Name its `preset`, "
                "give its `frontend` (--frontend), or feed log-mel."
            )
        head["frontend"] = with_mel_bins(frontend, other)
    if isinstance(network, AudioClassifier):
        head = {**_head_of(network, other), **head}
    if "num_classes" in head:
        target = AudioClassifier(other, **head)
    elif head:
        raise ValueError(
            f"The file has no classifier, so {', '.join(head)} needs "
            "`num_classes` beside it."
        )
    elif isinstance(network, MaskedPatchModel):
        target = MaskedPatchModel(other, name=network.name)
    else:
        target = other
    moved = transplant(network, target, carry_trainable=False)
    if positions != "interpolate":
        cut_positions(network, target, positions)
    return target, TransplantReport(
        moved.copied,
        moved.resized,
        moved.fresh,
        filled.dropped + moved.dropped,
    )


def _head_of(classifier, backbone):
    """dict, arguments of the same classifier on another backbone."""
    keep = "name num_classes input_kind pooling dropout head_epsilon".split()
    frontend = with_mel_bins(classifier.frontend, backbone)
    return {
        **{name: getattr(classifier, name) for name in keep},
        "frontend": frontend,
    }


def refuse_squeezed(backbone):
    """HTS-AT squeezes no clip: see the error."""
    most = getattr(backbone, "stretch_to", None)
    if most is not None and backbone.num_frames > most:
        raise ValueError(
            f"num_frames={backbone.num_frames} is above the {most} that a clip "
            "of this checkpoint is stretched to. Its authors cut longer clips "
            "into parts and average their scores, as `predict` does with "
            f"windows: convert it for {most} frames or fewer, or give "
            "`stretch_to=None` in Python, which folds longer clips as they are."
        )


def with_mel_bins(frontend, model):
    """`frontend` with as many mel bins as the model takes, if it is ours."""
    if not isinstance(frontend, Frontend):
        return frontend
    backbone = getattr(model, "backbone", model)
    return replace(frontend, num_mel_bins=backbone.num_mel_bins)
