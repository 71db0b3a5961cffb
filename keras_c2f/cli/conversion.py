"""The command that takes weights of others."""

import os

from keras_c2f.convert.published import PUBLISHED, published
from keras_c2f.packages import require
from keras_c2f.recipes import parse_pair
from keras_c2f.values import Choice, Folder, Number, Text, add_option

COUNT = Number(int, at_least=1, at_most=1_000_000)
# What `convert` can be asked for, and told of a checkpoint's training.
GEOMETRY = {
    "num_frames": COUNT,
    "num_mel_bins": COUNT,
    "patch_size": Text(wanted=True),
    "patch_stride": Text(wanted=True),
    "num_heads": COUNT,
    "resolution": Text(wanted=True),
    "num_classes": COUNT,
    "pooling": Choice(("mean", "prefix", "token_semantic")),
    "input_kind": Text(wanted=True),
}
TRAINED = ("num_frames", "num_mel_bins", "patch_stride", "num_heads")


def add_commands(add):
    """Adds the command of this module; see `cli.parse`."""
    command = add(convert)
    command.add_argument(
        "checkpoint", help="file, Hugging Face folder, or published name"
    )
    command.add_argument("out", help="folder, or a name that ends in .keras")
    command.add_argument("--preset", help="the published name of a file")
    command.add_argument("--source", help="kind of file; found by its keys")
    command.add_argument("--class_names", help="CSV or text file")
    command.add_argument(
        "--positions", choices=("interpolate", "cut"), help="way to resize"
    )
    group = command.add_argument_group("wanted, else as it was trained")
    for name, values in GEOMETRY.items():
        if name != "num_heads":
            add_option(group, name, values, "")
    group = command.add_argument_group("trained at, where the file is silent")
    for name in TRAINED:
        add_option(group, f"trained_{name}", GEOMETRY[name], "")


def convert(arguments):
    """Converts a checkpoint of another project into a Keras model."""
    given = {
        name: parse_pair(value) if "patch" in name else value
        for name, value in vars(arguments).items()
        if value is not None and name.removeprefix("trained_") in GEOMETRY
    }
    trained = {
        name.removeprefix("trained_"): value
        for name, value in given.items()
        if name.startswith("trained_")
    }
    wanted = {n: v for n, v in given.items() if not n.startswith("trained_")}
    options = {
        "source": arguments.source,
        "trained": trained,
        "class_names": arguments.class_names,
        "positions": arguments.positions,
        **wanted,
    }
    checkpoint, preset = arguments.checkpoint, arguments.preset
    _check_files(arguments)
    from keras_c2f.convert import from_preset, load_checkpoint

    if checkpoint in PUBLISHED:
        if preset not in (None, checkpoint):
            raise ValueError(
                f"{checkpoint} is a published name, so it cannot be the "
                f"preset {preset} as well. Leave --preset out, or give a file."
            )
        converted = from_preset(checkpoint, **options)
    else:
        converted = load_checkpoint(checkpoint, preset=preset, **options)
    converted.save(arguments.out)
    print(converted.report)
    if converted.class_names is None:
        print("Its classes have no names: no list of them was found.")
    print(f"Written: {arguments.out}")


def _check_files(arguments):
    """Refuses what is not there or cannot be read, before Keras is there."""
    from keras_c2f.convert.checkpoint import PICKLES, weights_file

    checkpoint, needed, files = arguments.checkpoint, [], []
    if checkpoint in PUBLISHED:
        files = PUBLISHED[checkpoint].files
        needed = ["tqdm"]  # shows how far a download is
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
