"""Starting a training from the backbone of an earlier one."""

import os
from dataclasses import replace

from keras_c2f.convert import load_preset
from keras_c2f.convert.published import is_preset
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.phases import transplant
from keras_c2f.phases.transplant import weights_by_path
from keras_c2f.training.run_folder import find_run, load_model


def start_from(network, init_from, fewer_blocks=False):
    """Gives a network the weights of a trained one, wherever they fit.

    Clip length, mel bins, patch size, patch stride and resolution may differ:
    position grid and patch kernel are resized. What is not part of the
    backbone is taken over where it is of the same name and shape. What is
    frozen in `network` stays so, whatever was frozen in the earlier training.

    Args:
        network: model with a `backbone`, such as `AudioClassifier`.
        init_from: path of a run's folder or of a `.keras` file, or a preset,
            see `load_preset`: a backbone, or a model with one, such as
            `MaskedPatchModel`.
        fewer_blocks: bool, whether `network` may have fewer blocks, and then
            takes the first ones.

    Returns:
        `TransplantReport`.

    Raises:
        OSError: if a published checkpoint is neither here nor to be had.
        ValueError: if there is no such model, or its backbone has another
            width, depth, number of prefix tokens or front end.
    """
    source, frontend = _load(str(init_from))
    backbone = getattr(source, "backbone", source)
    if not hasattr(backbone, "at_resolution"):
        raise ValueError(
            f"{init_from} holds a {type(source).__name__}, which has no "
            "backbone to start from. Give an AudioClassifier, a "
            "MaskedPatchModel or a backbone such as AST."
        )
    _refuse_other_sizes(backbone, network.backbone, init_from, fewer_blocks)
    _refuse_other_frontend(frontend, network, init_from)
    report = transplant(source, network, carry_trainable=False)
    # adapters begin at zero, and change nothing yet
    fresh = tuple(path for path in report.fresh if "lora_kernel" not in path)
    return replace(report, fresh=fresh)


def _load(init_from):
    """A model, and the `Frontend` that it was trained with if that is known."""
    if is_preset(init_from):
        found = load_preset(init_from)
        return found.model, found.frontend
    if not init_from.endswith(".keras"):
        init_from = os.path.join(find_run(init_from), "model.keras")
    model, _ = load_model(init_from, "Start from another one.")
    # of a saved PhasedModel
    return getattr(model, "network", model), None


def _refuse_other_sizes(source, target, path, fewer_blocks):
    """Refuses a backbone of which a part would be lost or left untrained."""
    old, new = weights_by_path(source), weights_by_path(target)
    left_out = _parts_left_out(source, target) if fewer_blocks else ()
    for name in {**new, **old}:
        new_here = "seed_generator" in name or "lora_kernel" in name
        if name.startswith(left_out) or new_here:
            continue
        shapes = [
            tuple(weights[name][0].shape) if name in weights else ()
            for weights in (old, new)
        ]
        resizable = name in new and hasattr(new[name][1], "resize_weight")
        same_width = shapes[0][-1:] == shapes[1][-1:] != ()
        if shapes[0] != shapes[1] and not (resizable and same_width):
            there, here = (shape or "missing" for shape in shapes)
            raise ValueError(
                f"The backbone in {path} does not fit: its {name} is {there}, "
                f"and this network's {here}. Choose the model, and the number "
                "of prefix tokens, that it was trained with."
            )


def _refuse_other_frontend(trained, network, init_from):
    """Refuses log-mel of another kind; mean and deviation may be the data's."""
    own = getattr(network, "frontend", None)
    if own is None or trained is None:
        return
    if not isinstance(trained, Frontend):
        raise ValueError(
            f"{init_from} was trained on {type(trained).__name__}, and this "
            "network is trained on log-mel. Start from other weights."
        )
    old, new = trained.get_config(), own.get_config()
    free = {"mean", "std", "num_mel_bins"}
    differing = [k for k in old if k not in free and old[k] != new[k]]
    if differing:
        changes = ", ".join(f"{k}={old[k]} ({new[k]} here)" for k in differing)
        raise ValueError(
            f"{init_from} was trained with another front end: {changes}. "
            "Convert it into a folder (`keras-c2f convert`), and start from "
            "that, which brings its front end."
        )


def _parts_left_out(source, target):
    """Beginnings of paths that a network of fewer blocks does without."""
    depths = [getattr(network, "depth", 0) for network in (source, target)]
    blocks = tuple(f"block_{index}/" for index in range(*depths[::-1]))
    has_norm = getattr(target, "final_norm", True)
    return blocks if has_norm else (*blocks, "norm/")
