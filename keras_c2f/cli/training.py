"""Commands that train, or say what training would cost."""

import os
import shlex
import sys

from keras_c2f.cli.recipe import (
    add_recipe,
    check_initial,
    print_costs,
    print_data,
    recipe_of,
    require_for,
)
from keras_c2f.recipes import OF_CLASSIFIERS, PretrainRecipe, Recipe
from keras_c2f.values import Folder, Number, add_option

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
    for function, recipe_class, without in (
        (train, Recipe, ()),
        (pretrain, PretrainRecipe, OF_CLASSIFIERS),
    ):
        command = add(function)
        add_option(command, "run", Folder(), "folder to write", required=True)
        command.add_argument(
            "--baseline",
            action="store_true",
            help="train at full resolution too, for as many epochs, to compare",
        )
        add_recipe(command, recipe_class, without=without)
    command = add(describe)
    add_option(
        command,
        "num_classes",
        Number(int, at_least=1, at_most=1_000_000),
        "as many as AudioSet has, if nothing is said",
        527,
    )
    add_recipe(command)


def demo(arguments):
    """Baseline and coarse-to-fine on synthesised keywords, and a report."""
    arguments.baseline = True
    return train(arguments)


def train(arguments):
    """Trains a recipe, a baseline too if wanted, and writes a report."""
    recipe, clips = _recipe_and_clips(arguments, Recipe)
    from keras_c2f.from_recipe import build_classifier, spend_budget
    from keras_c2f.frozen import of_last_phase
    from keras_c2f.frozen_run import FrozenRun
    from keras_c2f.training import Run

    recipe = spend_budget(recipe)
    network = build_classifier(recipe, clips[0].num_classes, recipe.frontend)
    if recipe.freeze:
        recipe = of_last_phase(recipe)
        run_all(arguments, recipe, clips, network, FrozenRun)
    else:
        run_all(arguments, recipe, clips, network, Run)


def pretrain(arguments):
    """Trains a backbone without labels, by masked patches, for --initial."""
    recipe, clips = _recipe_and_clips(arguments, PretrainRecipe)
    from keras_c2f.from_recipe import spend_budget
    from keras_c2f.pretraining import PretrainRun, build_masked_patches

    recipe = spend_budget(recipe)
    network = build_masked_patches(recipe, recipe.frontend)
    run_all(arguments, recipe, clips, network, PretrainRun)


def _recipe_and_clips(arguments, recipe_class):
    """What can be refused before a framework is imported."""
    recipe = recipe_of(arguments, recipe_class)
    check_initial(recipe.initial)
    require_for(recipe.data, "matplotlib")
    return recipe, recipe.open_data()


def run_all(arguments, recipe, clips, network, run_class):
    """Runs of one kind, baseline first if wanted, and their report."""
    from keras_c2f.evaluation import headline_metric
    from keras_c2f.evaluation_table import format_metric, metric_words
    from keras_c2f.report import write_report
    from keras_c2f.run_clips import check_sides

    print_data(clips)
    for line in check_sides(clips, recipe.initial):
        print(line)
    print_costs(recipe, network)
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


def describe(arguments):
    """Prints what each phase of a recipe costs, without any training."""
    recipe = recipe_of(arguments)
    from keras_c2f.from_recipe import build_classifier, spend_budget

    recipe = spend_budget(recipe)
    num_classes = arguments.num_classes
    network = build_classifier(recipe, num_classes, recipe.frontend)
    print_costs(recipe, network)
