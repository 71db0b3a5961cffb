"""Commands that train, or say what training would cost."""

import os
import shlex
import sys

from keras_c2f.cli.recipe import add_recipe, print_costs, print_data, recipe_of

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
    from keras_c2f.recipes import OF_CLASSIFIERS, PretrainRecipe, Recipe

    command = add(demo)
    command.add_argument(
        "--run",
        default="runs/demo",
        help="folder to write (default: %(default)s)",
    )
    add_recipe(command, **DEMO)
    for function, recipe_class, without in (
        (train, Recipe, ()),
        (pretrain, PretrainRecipe, OF_CLASSIFIERS),
    ):
        command = add(function)
        command.add_argument("--run", required=True, help="folder to write")
        command.add_argument(
            "--baseline",
            action="store_true",
            help="train at full resolution too, for as many epochs, to compare",
        )
        add_recipe(command, recipe_class, without=without)
    command = add(describe)
    command.add_argument(
        "--num_classes", type=int, default=527, help="(default: AudioSet's 527)"
    )
    add_recipe(command)


def demo(arguments):
    """Baseline and coarse-to-fine on synthesised keywords, and a report."""
    arguments.baseline = True
    return train(arguments)


def train(arguments):
    """Trains a recipe, a baseline too if wanted, and writes a report."""
    from keras_c2f.from_recipe import build_classifier
    from keras_c2f.training import Run

    recipe = recipe_of(arguments)
    clips = recipe.open_data()
    network = build_classifier(recipe, clips[0].num_classes, recipe.frontend)
    run_all(arguments, recipe, clips, network, Run)


def pretrain(arguments):
    """Trains a backbone without labels, by masked patches, for --initial."""
    from keras_c2f.pretraining import PretrainRun, build_masked_patches
    from keras_c2f.recipes import PretrainRecipe

    recipe = recipe_of(arguments, PretrainRecipe)
    clips = recipe.open_data()
    network = build_masked_patches(recipe, recipe.frontend)
    run_all(arguments, recipe, clips, network, PretrainRun)


def run_all(arguments, recipe, clips, network, run_class):
    """Runs of one kind, baseline first if wanted, and their report."""
    from keras_c2f.evaluation import headline_metric
    from keras_c2f.evaluation_table import format_metric, metric_words
    from keras_c2f.report import write_report
    from keras_c2f.report.plots import import_matplotlib

    import_matplotlib()  # if it is missing, say so before training
    print_data(clips)
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
    from keras_c2f.from_recipe import build_classifier

    recipe = recipe_of(arguments)
    num_classes = arguments.num_classes
    network = build_classifier(recipe, num_classes, recipe.frontend)
    print_costs(recipe, network)
