"""Baseline and the three compressions at equal epochs, over held-out parts.

    python tools/compare_methods.py --data esc10:PATH --held_out 1,2,3,4,5 \
        --run runs/esc10 --clip_seconds 5 --phases 4@20,2@12,1@8

Every other setting of `keras-c2f train` can be given too. Each run keeps its
folder, so the command goes on where it was killed. Prints a Markdown table,
and writes a row per run to `rows.csv` in the run folder.
"""

import argparse
import os
import shlex
import statistics
import sys

import keras

from keras_c2f.evaluation import headline_metric
from keras_c2f.evaluation_table import format_metric, metric_words
from keras_c2f.recipes import Recipe, add_options, option_names
from keras_c2f.run_folder import (
    hardware,
    read_json,
    read_rows,
    versions,
    write_rows,
)
from keras_c2f.training import Run

BASELINE = "full"
COMPRESSIONS = ("shift", "pool", "patch")
COLUMNS = ("method", "held_out", "score", "gmacs", "seconds")


def parse():
    """Arguments: folders, phases, and every field of `Recipe`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", required=True)
    parser.add_argument("--phases", required=True, help="FACTOR@EPOCHS, ...")
    add_options(parser, set(option_names(Recipe)) - {"schedule"})
    return parser.parse_args()


def recipes(arguments):
    """`(method, held_out, Recipe)` of every run."""
    phases = [text.split("@") for text in arguments.phases.split(",")]
    settings = vars(arguments)
    names = option_names(Recipe)
    for held_out in arguments.held_out.split(","):
        options = {n: settings[n] for n in names if n in settings}
        options["held_out"] = held_out
        for method in COMPRESSIONS:
            schedule = ", ".join(
                f"{'full' if factor == '1' else f'{method}:{factor}'}@{epochs}"
                for factor, epochs in phases
            )
            recipe = Recipe(**{**options, "schedule": schedule})
            if method == COMPRESSIONS[0]:
                yield BASELINE, held_out, recipe.baseline()
            yield method, held_out, recipe


def row(method, held_out, run, result):
    """Headline metric, training cost and time of one finished run."""
    history = read_rows(run.path("history.csv"))
    clips = read_json(run.path("config.json"))["num_train_clips"]
    gmacs = 3 * clips * sum(float(line["gmacs"]) for line in history)
    seconds = sum(float(line["seconds"]) for line in history)
    return dict(
        zip(
            COLUMNS,
            (method, held_out, result[headline_metric(result)], gmacs, seconds),
            strict=True,
        )
    )


def table(rows, metric):
    """Markdown: mean over held-out parts, and shares of the baseline's.

    Args:
        rows: list of dicts made by `row`.
        metric: str, what their `score` is.
    """
    by_method = {
        method: [r for r in rows if r["method"] == method]
        for method in (BASELINE, *COMPRESSIONS)
    }

    def mean(method, column):
        return statistics.mean(r[column] for r in by_method[method])

    lines = [
        f"| method | {metric_words(metric)} | each part | training TMACs "
        "| of baseline "
        "| seconds | of baseline |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in (BASELINE, *COMPRESSIONS):
        parts = " ".join(f"{r['score']:.3f}" for r in by_method[method])
        shares = [
            mean(method, column) / mean(BASELINE, column)
            for column in ("gmacs", "seconds")
        ]
        score = format_metric(metric, mean(method, "score"))
        lines.append(
            f"| {method} | {score} | {parts} "
            f"| {mean(method, 'gmacs') / 1e3:.2f} | {shares[0]:.1%} "
            f"| {mean(method, 'seconds'):.0f} | {shares[1]:.1%} |"
        )
    return "\n".join(lines)


def main():
    arguments = parse()
    rows = []
    for method, held_out, recipe in recipes(arguments):
        folder = os.path.join(arguments.run, f"{held_out}-{method}")
        run = Run(folder, recipe, recipe.open_data(), shlex.join(sys.argv))
        result = run.train()
        rows.append(row(method, held_out, run, result))
        keras.utils.clear_session()
        write_rows(os.path.join(arguments.run, "rows.csv"), rows)
    print(f"`{shlex.join(['python', *sys.argv])}`\n")
    print(", ".join(f"{k} {v}" for k, v in versions().items()), hardware())
    print(f"\n{table(rows, headline_metric(result))}")


if __name__ == "__main__":
    main()
