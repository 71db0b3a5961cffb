"""Commands that train, or say what training would cost."""

import contextlib
import os
import shlex
import sys

from keras_c2f.cli.recipe import (
    add_recipe,
    check_initial,
    data_and_recipe,
    print_costs,
    print_data,
    recipe_of,
    refuse_given,
    require_for,
)
from keras_c2f.training.pretrain_recipe import OF_CLASSIFIERS, PretrainRecipe
from keras_c2f.training.recipe import Recipe
from keras_c2f.utils.values import Folder, Number, add_option

# Words: patches of 20 ms over all mel bins, as in the Keyword Transformer.
DEMO = {
    "schedule": "pool:4@7, pool:2@2, full@1",
    "num_frames": 96,
    "patch_size": "2x128",
    "learning_rate": 2e-3,
    "roll_frames": 8,
}


def add_commands(add):
    """Adds the commands of this module; see `cli.parse`."""
    command = add(demo)
    add_option(command, "run", Folder(), "folder to write", "runs/demo")
    add_recipe(command, **DEMO)
    for function, recipe_class, without, chooses in (
        (train, Recipe, (), True),
        (pretrain, PretrainRecipe, OF_CLASSIFIERS, False),
    ):
        command = add(function)
        add_option(command, "run", Folder(), "folder to write", required=True)
        command.add_argument(
            "--baseline",
            action="store_true",
            help="also train at full resolution for as many epochs, to compare",
        )
        if chooses:
            add_option(
                command,
                "more_epochs",
                Number(int, at_least=1, at_most=1_000_000),
                "go on with a run that is done, for so many epochs at its "
                "final resolution; takes no recipe, as the run has one",
            )
        command.add_argument(
            "--distributed",
            action="store_true",
            help="train on all devices of this machine, or with JAX of all "
            "machines on which srun, mpirun or the like started the command",
        )
        add_recipe(command, recipe_class, without=without, chooses=chooses)
    command = add(describe)
    add_option(
        command,
        "num_classes",
        Number(int, at_least=1, at_most=1_000_000),
        "default: those of --data; without data AudioSet's 527",
    )
    add_recipe(command, chooses=True, data=None)


def demo(arguments):
    """Trains baseline and coarse to fine on synthetic keywords; report."""
    arguments.baseline, arguments.choose = True, False
    arguments.distributed = False
    return train(arguments)


def train(arguments):
    """Trains a recipe, and a baseline if asked, and writes a report."""
    with _on_devices(arguments) as devices:
        _train(arguments, devices)


def pretrain(arguments):
    """Pre-trains a backbone on masked patches, without labels."""
    with _on_devices(arguments) as devices:
        _pretrain(arguments, devices)


@contextlib.contextmanager
def _on_devices(arguments):
    """`Devices` of a command, which from now on writes where it may."""
    if not arguments.distributed:
        yield None  # no framework is needed to refuse wrong options
        return
    from keras_c2f.training.devices import all_devices

    with all_devices(arguments.run) as (devices, folder):
        arguments.run = folder
        yield devices


def _train(arguments, devices):
    if getattr(arguments, "more_epochs", None):
        train_more(arguments, devices)
        return
    clips, recipe, reasons = data_and_recipe(arguments, "matplotlib", "jinja2")
    from keras_c2f.training.from_recipe import build_classifier, spend_budget
    from keras_c2f.training.frozen_run import FrozenRun
    from keras_c2f.training.run import Run

    recipe = spend_budget(recipe)
    network = build_classifier(recipe, clips[0].num_classes, recipe.frontend)
    run_class = FrozenRun if recipe.freeze else Run
    run_all(arguments, devices, recipe, clips, network, run_class, reasons)


def _pretrain(arguments, devices):
    recipe = recipe_of(arguments, PretrainRecipe)
    check_initial(recipe.init_from)
    require_for(recipe.data, "matplotlib", "jinja2")
    clips = recipe.open_data()
    print_data(clips)
    from keras_c2f.training.from_recipe import spend_budget
    from keras_c2f.training.pretraining import PretrainRun, build_masked_patches

    recipe = spend_budget(recipe)
    network = build_masked_patches(recipe, recipe.frontend)
    run_all(arguments, devices, recipe, clips, network, PretrainRun)


def run_all(arguments, devices, recipe, clips, network, run_class, reasons=()):
    """Runs of one kind, baseline first if wanted, and their report."""
    from keras_c2f.training.run_clips import check_sides

    for line in check_sides(clips, recipe.init_from):
        print(line)
    print_costs(recipe, network, len(clips[0]))
    if devices:
        devices.check(recipe)
        print(f"Devices: {devices.describe(recipe, len(clips[0]))}")
    runs = {"coarse_to_fine": recipe}
    if arguments.baseline:
        runs = {"baseline": recipe.baseline(), **runs}
    command = shlex.join(["keras-c2f", *sys.argv[1:]])
    train_runs(
        [
            run_class(
                *(os.path.join(arguments.run, name), each, clips),
                *(command, reasons, devices),
            )
            for name, each in runs.items()
        ],
        arguments.run,
    )


def train_more(arguments, devices):
    """Goes on with a run that is done, by its own recipe."""
    refuse_given(arguments, "more_epochs")
    from keras_c2f.training.more_epochs import add_epochs
    from keras_c2f.training.run import Run

    folder, recipe, config = add_epochs(arguments.run, arguments.more_epochs)
    require_for(recipe.data, "matplotlib", "jinja2")
    if devices:
        devices.check(recipe)
    clips = recipe.open_data()
    print_data(clips)
    command, reasons = config["command"], config.get("chosen", {})
    run = Run(folder, recipe, clips, command, reasons, devices)
    train_runs([run], os.path.dirname(os.path.abspath(folder)))


def train_runs(runs, report_folder):
    """Trains runs one after the other, and writes the report on all."""
    from keras_c2f.evaluation.evaluate import primary_metric
    from keras_c2f.evaluation.table import (
        format_metric,
        metric_words,
        resolution_table,
    )
    from keras_c2f.report import write_report
    from keras_c2f.report.findings import findings_of_all
    from keras_c2f.report.runs import read_runs

    skipped = {}
    for run in runs:
        result = run.train()
        metric = primary_metric(result)
        print(
            f"{run.name}: {metric_words(metric)} "
            f"{format_metric(metric, result[metric])} on "
            f"{result['num_clips']} validation clips"
            + (f", epoch {result['epoch']}" if "epoch" in result else "")
        )
        if "resolutions" in result:
            print(resolution_table(result["resolutions"]))
        skipped.update(map(tuple, result["skipped"]))
    for path, reason in skipped.items():
        print(f"skipped {path}: {reason}")
    for sentence in findings_of_all(read_runs(report_folder)):
        print(sentence)
    print(f"Report: {write_report(report_folder)}")


def describe(arguments):
    """Prints what each phase of a recipe costs, without training."""
    num_classes, num_clips = arguments.num_classes, None
    if arguments.data:
        clips, recipe, _ = data_and_recipe(arguments)
        num_clips = len(clips[0])
        num_classes = num_classes or clips[0].num_classes
    else:
        recipe, num_classes = recipe_of(arguments), num_classes or 527
    from keras_c2f.training.from_recipe import build_classifier, spend_budget

    recipe = spend_budget(recipe)
    network = build_classifier(recipe, num_classes, recipe.frontend)
    print_costs(recipe, network, num_clips)
