"""The command that takes weights of others."""

# What `convert` can be asked for, and told of a checkpoint's training.
GEOMETRY = {
    "num_frames": int,
    "num_mel_bins": int,
    "patch_size": str,
    "patch_stride": str,
    "num_heads": int,
    "resolution": str,
    "num_classes": int,
    "pooling": str,
    "input_kind": str,
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
    for name, kind in GEOMETRY.items():
        if name != "num_heads":
            group.add_argument(f"--{name}", type=kind)
    group = command.add_argument_group("trained at, where the file is silent")
    for name in TRAINED:
        group.add_argument(f"--trained_{name}", type=GEOMETRY[name])


def convert(arguments):
    """Converts a checkpoint of another project into a Keras model."""
    from keras_c2f.convert import PUBLISHED, from_preset, load_checkpoint
    from keras_c2f.recipes import parse_pair

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
