"""What pre-training on masked patches is worth, over held-out folds.

    python tools/pretrain_study.py --run runs/pretrain --data esc10:PATH \
        --pretrain_data esc50:PATH --held_out 1,2,3,4,5 --clip_seconds 5 \
        --num_frames 512 --schedule "pool:4@20, pool:2@12, full@8" \
        --pretrain_schedule "pool:4@30, pool:2@10, full@5"

For each fold: training from random weights, from a backbone pre-trained at
full resolution, and from one pre-trained coarse to fine. The fold is held out
of pre-training too, and labels are not looked at there. Every other setting
of `keras-c2f train` can be given. Each run keeps its folder, so the command
goes on where it was killed. Prints a Markdown table.
"""

import argparse
import dataclasses
import os
import shlex
import statistics
import sys

import keras
import numpy as np
from compare_methods import row

from keras_c2f.evaluation import headline_metric
from keras_c2f.evaluation_table import format_metric, metric_words
from keras_c2f.pretraining import PretrainRun
from keras_c2f.recipes import (
    PretrainRecipe,
    Recipe,
    add_options,
    option_names,
)
from keras_c2f.run_folder import hardware, versions
from keras_c2f.training import Run

OF_PRETRAINING = ("data", "schedule", "batch_size", "learning_rate")
SHARED = (
    "clip_seconds",
    "num_frames",
    "model",
    "patch_size",
    "kernel_resize",
    "precision",
    "seed",
)
STARTS = ("random weights", "pre-trained at full", "pre-trained coarse to fine")


def parse():
    """Arguments: both recipes, the latter with `pretrain_` before a name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", required=True)
    parser.add_argument(
        "--num_clips",
        type=int,
        default=0,
        help="use this many clips of each set, to try the command; 0: all",
    )

    own = set(option_names(Recipe))
    added = set(option_names(PretrainRecipe)) - own
    add_options(parser, own - {"initial"})
    add_options(parser, added, PretrainRecipe)
    add_options(parser, OF_PRETRAINING, PretrainRecipe, prefix="pretrain_")
    return parser.parse_args()


def recipes(arguments, held_out):
    """`(start, PretrainRecipe or None, Recipe)` of one fold."""
    given = vars(arguments)
    names = option_names(Recipe)
    options = {name: given[name] for name in names if name in given}
    recipe = Recipe(**{**options, "held_out": held_out})
    own = set(option_names(PretrainRecipe)) - set(names)
    options = {name: given[name] for name in (*SHARED, *own)}
    options |= {name: given[f"pretrain_{name}"] for name in OF_PRETRAINING}
    pretraining = PretrainRecipe(**options, held_out=held_out)
    before = (None, pretraining.baseline(), pretraining)
    for start, first in zip(STARTS, before, strict=True):
        yield start, first, recipe


def train(run_class, arguments, name, recipe):
    """`row` of one run, the folder of its model, and its headline metric."""
    clips = recipe.open_data()
    if arguments.num_clips:
        clips = [some(part, arguments.num_clips) for part in clips]
    folder = os.path.join(arguments.run, name)
    run = run_class(folder, recipe, clips, shlex.join(sys.argv))
    result = run.train()
    keras.utils.clear_session()
    metric = headline_metric(result)
    return row(name, recipe.held_out, run, result), folder, metric


def some(clips, number):
    """`number` of the clips, spread evenly."""
    return clips.subset(np.linspace(0, len(clips) - 1, number).astype(int))


def table(rows, metric):
    """Markdown: means over folds.

    Args:
        rows: list of `(start, pre-training's row or None, row)`.
        metric: str, what the `score` of the latter is.
    """
    lines = [
        f"| start | {metric_words(metric)} | each fold "
        "| pre-training: patches recognised "
        "| TMACs | seconds | training: TMACs | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for start in STARTS:
        mine = [(first, then) for s, first, then in rows if s == start]
        first, then = zip(*mine, strict=True)

        def mean(rows, column):
            return statistics.mean(r[column] for r in rows)

        before = "– | – | –"
        if first[0]:
            before = (
                f"{mean(first, 'score'):.1%} "
                f"| {mean(first, 'gmacs') / 1e3:.2f} "
                f"| {mean(first, 'seconds'):.0f}"
            )
        folds = " ".join(f"{r['score']:.3f}" for r in then)
        score = format_metric(metric, mean(then, "score"))
        lines.append(
            f"| {start} | {score} | {folds} | {before} "
            f"| {mean(then, 'gmacs') / 1e3:.2f} "
            f"| {mean(then, 'seconds'):.0f} |"
        )
    return "\n".join(lines)


def main():
    arguments = parse()
    rows = []
    for held_out in arguments.held_out.split(","):
        for start, pretraining, recipe in recipes(arguments, held_out):
            name, first = f"{held_out}-{start.replace(' ', '_')}", None
            if pretraining:
                first, folder, _ = train(
                    PretrainRun, arguments, f"{name}-before", pretraining
                )
                recipe = dataclasses.replace(recipe, initial=folder)
            then, _, metric = train(Run, arguments, name, recipe)
            rows.append((start, first, then))
    print(f"`{shlex.join(['python', *sys.argv])}`\n")
    print(", ".join(f"{k} {v}" for k, v in versions().items()), hardware())
    print(f"\n{table(rows, metric)}")


if __name__ == "__main__":
    main()
