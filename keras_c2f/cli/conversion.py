"""The command that converts checkpoints of other projects."""

import argparse
import os

from keras_c2f.convert.published import PUBLISHED, is_preset, published
from keras_c2f.convert.published_file import HUB_ADDRESS
from keras_c2f.training.recipe import parse_pair
from keras_c2f.utils.packages import require
from keras_c2f.utils.values import Choice, Folder, Number, Text, add_option

COUNT = Number(int, at_least=1, at_most=1_000_000)
TEXT = Text(wanted=True)
# What may differ from how a checkpoint was trained: values, help.
WANTED = {
    "num_frames": (
        COUNT,
        "frames of 10 ms in a clip, fewer or more: --num-frames=512",
    ),
    "num_mel_bins": (COUNT, "bins of the mel bank: --num-mel-bins=64"),
    "patch_size": (TEXT, "time x frequency: --patch-size=32x16"),
    "patch_stride": (
        TEXT,
        "time x frequency, larger is cheaper: --patch-stride=16x16",
    ),
    "depth": (COUNT, "the first blocks alone: --depth=3"),
    "resolution": (TEXT, "a coarser network: --resolution=pool:2"),
    "num_classes": (
        COUNT,
        "outputs of a new, untrained head: --num-classes=10",
    ),
    "pooling": (
        Choice(("mean", "prefix", "token_semantic")),
        "input of the head, prefix, mean or token_semantic: --pooling=mean",
    ),
    "input_kind": (
        TEXT,
        "compressed, log_mel or waveform: --input-kind=waveform puts the "
        "front end into the model",
    ),
}
# What it was trained with, where neither file nor preset says.
TRAINED = {
    "num_frames": (COUNT, "--trained-num-frames=1024"),
    "num_mel_bins": (COUNT, "--trained-num-mel-bins=128"),
    "patch_stride": (TEXT, "time x frequency: --trained-patch-stride=10x10"),
    "num_heads": (
        COUNT,
        "if a head is not 64 wide: --trained-num-heads=3",
    ),
    "num_folds": (
        COUNT,
        "HTS-AT's folding: spec_size / mel bins: --trained-num-folds=4",
    ),
}


def add_commands(add):
    """Adds the command of this module; see `cli.parse`."""
    command = add(convert)
    command.add_argument(
        "checkpoint",
        help="file (.pth .pt .bin .ckpt .safetensors .npz), Hugging Face "
        "folder, published name, or hf://user/name: "
        "MIT/ast-finetuned-audioset-10-10-0.4593",
    )
    command.add_argument(
        "out",
        help="folder to write, for predict, evaluate, export and train "
        "--init-from; or a name that ends in .keras, the model alone",
    )
    command.add_argument(
        "--preset",
        help="the published name of a file, which gives its geometry, front "
        "end and licence: --preset=ast_audioset_10_10_0.4593",
    )
    command.add_argument(
        "--source",
        help="kind of file, where its keys do not say: --source=ssast for one "
        "fine-tuned with SSAST's own code",
    )
    command.add_argument(
        "--part",
        help="which of several networks in the file, such as a moving "
        "average: --part=state_dict_ema",
    )
    command.add_argument(
        "--frontend",
        help="front end it was trained with, where the file does not say: "
        "--frontend=passt, or a JSON file with arguments of Frontend",
    )
    command.add_argument(
        "--class-names",
        help="in the order of the outputs, a CSV like AST's or one name per "
        "line: --class-names=labels.txt",
    )
    command.add_argument(
        "--multi-label",
        action=argparse.BooleanOptionalAction,
        help="a clip may have several classes, as in AudioSet; default: what "
        "preset or config say, else --no-multi-label",
    )
    command.add_argument(
        "--positions",
        choices=("interpolate", "cut", "lead"),
        help="how positions fit another geometry: interpolate, before further "
        "training (default); for shorter clips without training cut, as AST "
        "and SSAST do, or lead, as PaSST does: --positions=cut",
    )
    group = command.add_argument_group("wanted; default: as it was trained")
    for name, (values, text) in WANTED.items():
        add_option(group, name, values, text)
    group = command.add_argument_group(
        "trained with, where the file does not say"
    )
    for name, (values, text) in TRAINED.items():
        add_option(group, f"trained_{name}", values, text)


def convert(arguments):
    """Converts a checkpoint of another project into a Keras model."""

    def given(names, prefix=""):
        values = {name: getattr(arguments, prefix + name) for name in names}
        return {
            name: parse_pair(value) if name.startswith("patch") else value
            for name, value in values.items()
            if value is not None
        }

    options = {
        "source": arguments.source,
        "part": arguments.part,
        "frontend": arguments.frontend,
        "multi_label": arguments.multi_label,
        "trained": given(TRAINED, "trained_"),
        "class_names": arguments.class_names,
        "positions": arguments.positions,
        **given(WANTED),
    }
    options = {k: v for k, v in options.items() if v not in (None, {})}
    checkpoint, preset = arguments.checkpoint, arguments.preset
    _check_files(arguments)
    from keras_c2f.convert import load_checkpoint, load_preset

    if is_preset(checkpoint):
        if preset not in (None, checkpoint):
            raise ValueError(
                f"{checkpoint} is a published name, so it cannot be the "
                f"preset {preset} as well. Leave --preset out, or give a file."
            )
        converted = load_preset(checkpoint, **options)
    else:
        converted = load_checkpoint(checkpoint, preset=preset, **options)
    converted.save(arguments.out)
    print(converted.report)
    for note in converted.notes:
        print(note)
    if hasattr(converted.model, "num_classes"):
        if converted.class_names is None:
            print(
                "No class names were found. Give --class-names to predict "
                "with it."
            )
        if converted.frontend is None:
            print(
                "Its front end is not known. Give --frontend to predict "
                "with it, or for --input-kind=waveform."
            )
    print(f"Written: {arguments.out}")


def _check_files(arguments):
    """Refuses what is not there or cannot be read, before Keras is there."""
    from keras_c2f.convert.checkpoint import PICKLES, weights_file

    checkpoint, needed, files = arguments.checkpoint, [], []
    if checkpoint in PUBLISHED:
        files = PUBLISHED[checkpoint].files
        needed = ["tqdm"]  # shows how far a download is
    elif checkpoint.startswith(HUB_ADDRESS):
        needed = ["huggingface_hub"]
    elif is_preset(checkpoint):
        pass  # needs no more than Keras
    elif not os.path.exists(checkpoint):
        published(checkpoint)  # refuses it, with names that are near
    else:
        files = [str(weights_file(checkpoint))]
    for file in files:
        if file.endswith(".safetensors"):
            needed.append("safetensors")
        if os.path.splitext(file)[1] in PICKLES:
            needed.append("torch")
    require(*needed)
    Folder().check("out", os.path.dirname(arguments.out) or ".")
    if not arguments.out.endswith(".keras"):
        Folder().check("out", arguments.out)
