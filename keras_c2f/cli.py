"""The command `keras-c2f`."""

import dataclasses
import os
import re
import shlex
import sys

from absl import app, logging
from absl.flags import argparse_flags

DESCRIPTION = """\
Train audio spectrogram transformers coarse to fine: first on spectrograms
compressed in time, at the end at full resolution.
"""
# Words: patches of 20 ms over all mel bins, as in the Keyword Transformer.
DEMO = {
    "schedule": "pool:4@7, pool:2@2 lr=1e-3, full@1 lr=5e-4",
    "num_frames": 96,
    "patch_size": "2x128",
    "learning_rate": 2e-3,
    "roll_frames": 8,
}
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

# What of a recipe concerns classes alone.
OF_LABELS = ("pooling", "label_smoothing")


def main():
    """Entry point of the console script."""
    app.run(run, flags_parser=parse)


def run(arguments):
    """Carries out parsed arguments; returns the exit status."""
    try:
        return arguments.command(arguments)
    except (ValueError, ImportError, OSError) as error:
        if arguments.traceback:
            raise
        print(f"keras-c2f: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130


def demo(arguments):
    """Baseline and coarse-to-fine on synthesised keywords, and a report."""
    arguments.baseline = True
    return train(arguments)


def train(arguments):
    """Trains a recipe, a baseline too if wanted, and writes a report."""
    from keras_c2f.training import Run, build_classifier

    recipe = _recipe(arguments)
    clips = recipe.open_data()
    network = build_classifier(recipe, clips[0].num_classes, recipe.frontend)
    _run(arguments, recipe, clips, network, Run)


def pretrain(arguments):
    """Trains a backbone without labels, by masked patches, for --initial."""
    from keras_c2f.pretraining import PretrainRun, build_masked_patches
    from keras_c2f.recipes import PretrainRecipe

    recipe = _recipe(arguments, PretrainRecipe)
    clips = recipe.open_data()
    network = build_masked_patches(recipe, recipe.frontend)
    _run(arguments, recipe, clips, network, PretrainRun)


def _run(arguments, recipe, clips, network, run_class):
    """Runs of one kind, baseline first if wanted, and their report."""
    from keras_c2f.evaluation import headline_metric
    from keras_c2f.evaluation_table import format_metric, metric_words
    from keras_c2f.report import write_report
    from keras_c2f.report.plots import import_matplotlib

    import_matplotlib()  # if it is missing, say so before training
    _print_data(clips)
    _print_costs(recipe, network)
    runs = {"coarse_to_fine": recipe}
    if arguments.baseline:
        runs = {"baseline": recipe.baseline(), **runs}
    command = shlex.join(["keras-c2f", *sys.argv[1:]])
    skipped = {}
    for name, run_recipe in runs.items():
        folder = os.path.join(arguments.run, name)
        result = run_class(folder, run_recipe, clips, command).train()
        metric = headline_metric(result)
        print(
            f"{name}: {metric_words(metric)} "
            f"{format_metric(metric, result[metric])} on "
            f"{result['num_clips']} validation clips"
        )
        skipped.update(map(tuple, result["skipped"]))
    for path, reason in skipped.items():
        print(f"skipped {path}: {reason}")
    print(f"Report: {write_report(arguments.run)}")


def show_data(arguments):
    """Writes a page of what the network will really be shown in training."""
    from keras_c2f.report import write_data_page
    from keras_c2f.report.plots import import_matplotlib

    import_matplotlib()  # if it is missing, say so before reading
    recipe = _recipe(arguments)
    clips = recipe.open_data()
    _print_data(clips)
    print(f"Page: {write_data_page(arguments.out, recipe, clips)}")


def evaluate(arguments):
    """Scores a trained run on a data set, by default its own validation."""
    from keras_c2f.evaluation import evaluate
    from keras_c2f.evaluation_table import evaluation_table
    from keras_c2f.run_folder import read_json, write_evaluation

    folder, network, pipeline, recipe, config = _open_run(arguments)
    if arguments.data or arguments.held_out:
        data = arguments.data or recipe.data
        recipe = dataclasses.replace(
            recipe, data=data, held_out=arguments.held_out
        )
    _, clips = recipe.open_data()
    if clips.note:
        print(clips.note)
    if list(clips.class_names) != config["class_names"]:
        raise ValueError(
            f"{recipe.data} has classes {', '.join(clips.class_names)}; the "
            f"run was trained on {', '.join(config['class_names'])}."
        )
    if clips.multi_label != config["multi_label"]:
        kinds = {True: "any number of labels", False: "one label"}
        raise ValueError(
            f"A clip of {recipe.data} has {kinds[clips.multi_label]}; the run "
            f"was trained on clips with {kinds[config['multi_label']]}."
        )
    summary, classes = evaluate(network, pipeline, clips, arguments.crops)
    print(evaluation_table(summary, classes))
    for path, reason in pipeline.skipped:
        print(f"skipped {path}: {reason}")
    name = _evaluation_name(arguments)
    path = os.path.join(folder, f"{name}.json")
    kept = {"data": recipe.data, "skipped": pipeline.skipped}
    if name == "evaluation" and os.path.exists(path):
        kept = read_json(path)  # with what training skipped
    write_evaluation(folder, {**kept, **summary}, classes, name)
    print(f"Written: {path}, and each class in {name}.csv")


def _evaluation_name(arguments):
    """`evaluation` of a run's own data; other scores do not replace these."""
    parts = [arguments.data, arguments.held_out]
    if arguments.crops > 1:
        parts.append(f"{arguments.crops} crops")
    return re.sub(r"\W+", "_", " ".join(["evaluation", *filter(None, parts)]))


def predict(arguments):
    """Prints the likely classes of sound files, from their first seconds."""
    from keras_c2f.evaluation import probabilities

    _, network, pipeline, _, config = _open_run(arguments, on_error="raise")
    class_names = config["class_names"]
    scores = probabilities(
        network,
        pipeline,
        arguments.files,
        class_names,
        config["multi_label"],
    )
    for path, row in zip(arguments.files, scores, strict=True):
        print(path)
        for index in row.argsort()[::-1][: arguments.top]:
            bar = "#" * round(30 * row[index])
            print(f"  {class_names[index]:<20} {row[index]:6.1%} {bar}")


def prepare(arguments):
    """Decodes a data set once into shards; train with prepared:FOLDER.

    Returns 1 if some sounds could not be used.
    """
    from keras_c2f.data import prepare

    recipe = _recipe(arguments)
    clips = recipe.open_data()
    _print_data(clips)
    bad = prepare(
        clips,
        arguments.out,
        recipe.frontend,
        arguments.store,
        arguments.clips_per_shard,
        arguments.workers,
    )
    for _, path, reason in bad:
        print(f"skipped {path}: {reason}")
    print(f"Prepared: train with --data=prepared:{arguments.out}")
    if bad:
        print(f"{len(bad)} sounds left out: {arguments.out}/bad_files.csv")
    return int(bool(bad))


def stats(arguments):
    """Prints mean and deviation of the training part's log-mel."""
    from keras_c2f.data import feature_moments
    from keras_c2f.evaluation import no_sound
    from keras_c2f.training import make_pipeline

    recipe = _recipe(arguments)
    clips = recipe.open_data()
    _print_data(clips)
    pipeline = make_pipeline(recipe, recipe.frontend)
    resolutions = ["full", *(str(p.resolution) for p in recipe.phases)]
    resolutions = list(dict.fromkeys(resolutions))
    found = feature_moments(pipeline, clips[0], resolutions)
    if not found:
        raise ValueError(no_sound(pipeline))
    full = found[0]
    columns = "{:<18}{:>12}{:>12}{:>24}"
    print(columns.format("resolution", "mean", "std", "standard error of mean"))
    for name, row in zip(resolutions, found, strict=True):
        numbers = (row.mean, row.std, row.standard_error)
        print(columns.format(name, *(f"{n:.7f}" for n in numbers)))
    print(
        f"{full.num_clips} clips of {recipe.frames(pipeline.frontend)} frames, "
        f"{full.padded:.1%} of them padding, which counts as in AST."
    )
    print(
        "Train with the full resolution's, which serve every phase: "
        f"--mean={full.mean:.7f} --std={full.std:.7f}"
    )
    for path, reason in pipeline.skipped:
        print(f"skipped {path}: {reason}")


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
    wanted["positions"] = arguments.positions
    if arguments.checkpoint in PUBLISHED:
        converted = from_preset(arguments.checkpoint, **wanted)
    else:
        converted = load_checkpoint(
            arguments.checkpoint,
            preset=arguments.preset,
            source=arguments.source,
            trained=trained,
            class_names=arguments.class_names,
            **wanted,
        )
    converted.save(arguments.out)
    print(converted.report)
    if converted.class_names is None:
        print("Its classes have no names: no list of them was found.")
    print(f"Written: {arguments.out}")


def describe(arguments):
    """Prints what each phase of a recipe costs, without any training."""
    from keras_c2f.training import build_classifier

    recipe = _recipe(arguments)
    num_classes = arguments.num_classes
    network = build_classifier(recipe, num_classes, recipe.frontend)
    _print_costs(recipe, network)


def _recipe(arguments, recipe_class=None):
    from keras_c2f.recipes import Recipe, option_names

    recipe_class = recipe_class or Recipe
    given = vars(arguments)
    names = [name for name in option_names(recipe_class) if name in given]
    return recipe_class(**{name: given[name] for name in names})


def _print_data(clips):
    train, validation = clips
    print(
        f"Data: {len(train)} clips to train on, {len(validation)} to validate "
        f"on, {train.num_classes or 'no'} classes"
    )
    for part, data in (("To train on", train), ("To validate on", validation)):
        if data.note:
            print(f"{part}: {data.note}")


def _print_costs(recipe, network):
    from keras_c2f.flops import cost_table, network_cost

    costs = [
        network_cost(network.at_resolution(phase.resolution))
        for phase in recipe.phases
    ]
    print(cost_table(recipe.phases, costs, network_cost(network)))


def _open_run(arguments, on_error="skip"):
    """Folder, network, pipeline, recipe, `config.json` of a trained run."""
    import keras

    from keras_c2f.frontend import Frontend
    from keras_c2f.recipes import Recipe
    from keras_c2f.run_folder import find_run, read_json
    from keras_c2f.training import Run, make_pipeline

    folder = find_run(arguments.run)
    config = read_json(os.path.join(folder, "config.json"))
    if config.get("task", Run.task) != Run.task:
        raise ValueError(
            f"{arguments.run} holds a pre-trained backbone, which knows no "
            "classes yet. Train it: `keras-c2f train --initial "
            f"{arguments.run}`."
        )
    recipe = Recipe(**{**config["recipe"], "on_error": on_error})
    network = keras.models.load_model(os.path.join(folder, "model.keras"))
    frontend = Frontend.from_config(config["frontend"])
    pipeline = make_pipeline(recipe, frontend)
    return folder, network, pipeline, recipe, config


def parse(argv):
    """`argv` with the program's name -> arguments with `command` set."""
    from keras_c2f.recipes import (
        PretrainRecipe,
        Recipe,
        add_options,
        option_names,
    )

    parser = argparse_flags.ArgumentParser(
        prog="keras-c2f", description=DESCRIPTION, allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(function, **options):
        text = function.__doc__.splitlines()[0]
        command = commands.add_parser(
            function.__name__.replace("_", "-"),
            help=text,
            description=text,
            **options,
        )
        command.set_defaults(command=function)
        command.add_argument(
            "--traceback", action="store_true", help="show where errors arise"
        )
        return command

    def add_recipe(command, recipe_class=Recipe, without=(), **defaults):
        names = set(option_names(recipe_class)) - set(without)
        group = command.add_argument_group("recipe")
        add_options(group, names, recipe_class, **defaults)

    command = add(demo)
    command.add_argument(
        "--run",
        default="runs/demo",
        help="folder to write (default: %(default)s)",
    )
    add_recipe(command, **DEMO)
    for function, recipe_class, without in (
        (train, Recipe, ()),
        (pretrain, PretrainRecipe, OF_LABELS),
    ):
        command = add(function)
        command.add_argument("--run", required=True, help="folder to write")
        command.add_argument(
            "--baseline",
            action="store_true",
            help="train at full resolution too, for as many epochs, to compare",
        )
        add_recipe(command, recipe_class, without=without)
    command = add(show_data)
    command.add_argument("--out", required=True, help="folder to write")
    add_recipe(command)
    command = add(evaluate)
    command.add_argument("--run", required=True, help="folder of a trained run")
    command.add_argument(
        "--data",
        help="another data set, of which the part to validate on is scored; "
        "see train --help",
    )
    command.add_argument(
        "--held_out",
        default="",
        help="which part that is, of the run's own data too; see train --help",
    )
    command.add_argument(
        "--crops",
        type=int,
        default=1,
        help="windows of clip_seconds to hear of a longer clip, spread "
        "evenly; their probabilities are averaged (default: its start alone)",
    )
    command = add(predict)
    command.add_argument("--run", required=True, help="folder of a trained run")
    command.add_argument("--top", type=int, default=3, help="classes to print")
    command.add_argument("files", nargs="+", help="sound files")
    command = add(prepare)
    command.add_argument("--out", required=True, help="folder to write")
    command.add_argument(
        "--store",
        default="waveform",
        help="waveform, 16 bits at the model's rate, or log_mel, of the "
        "model's front end in float16 (default: %(default)s)",
    )
    command.add_argument(
        "--clips_per_shard", type=int, default=512, help="(default: 512)"
    )
    command.add_argument(
        "--workers", type=int, help="threads (default: one per core)"
    )
    add_options(command, ("data", "held_out", "model"))
    command = add(stats)
    add_recipe(command)
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
    command = add(describe)
    command.add_argument(
        "--num_classes", type=int, default=527, help="(default: AudioSet's 527)"
    )
    add_recipe(command)
    logging.set_verbosity(logging.ERROR)
    return parser.parse_args(argv[1:])
