#!/usr/bin/env python3
"""Runs a study, a grid of trainings that answers a question; writes its page.

    python tools/study.py coarse-to-fine --path esc50=PATH --path digits=PATH \\
        --results tools/results/study --workers 2

Plans are in `tools/studies/plans`. A study that is killed goes on where it was.
Several machines that share the folders take a part each, `--shard 0/4` to
`--shard 3/4`; at last the same command without `--shard` writes the page.
"""

import os
import signal

from studies.plan import plan_names, read_study, with_path

from keras_c2f import cli
from keras_c2f.cli.parser import Parser
from keras_c2f.cli.recipe import require_for
from keras_c2f.utils.packages import require
from keras_c2f.utils.values import Folder, Number, Part, add_option


def parse(argv):
    """`argv` with the program's name -> arguments with `command` set."""
    command = Parser(
        prog="study.py",
        description=study.__doc__.splitlines()[0],
        allow_abbrev=False,
    )
    command.set_defaults(command=study)
    command.add_argument(
        "--traceback", action="store_true", help="show where errors arise"
    )
    command.add_argument(
        "name",
        help=f"one of {', '.join(plan_names())}, or a .toml file of your own",
    )
    command.add_argument(
        "--path",
        action="append",
        default=[],
        metavar="DATA=PATH",
        help="where a data set is, such as esc50=PATH; may be repeated",
    )
    command.add_argument(
        "--data", help="of the study's data sets only these, by commas"
    )
    _add_places(command)
    add_option(
        command,
        "workers",
        Number(int, at_least=1, at_most=1000),
        "runs at a time, on Linux each on its share of the cores",
        1,
    )
    add_option(
        command,
        "shard",
        Part(),
        "train but this part of the runs, from 0/COUNT on; "
        "several processes or machines may do so at once, and the same "
        "command without --shard writes the page",
        metavar="INDEX/COUNT",
    )
    command.add_argument(
        "--costs",
        action="store_true",
        help="trains nothing, prints what a run of each method costs",
    )
    add_option(
        command,
        "tmacs_per_second",
        Number(float, above=0, at_most=1e9),
        "for --costs: what the machine trains with, in 10^12 "
        "multiply-accumulates a second; AST-base on an H200 with JAX, 27 to "
        "92 by resolution and batch",
        50.0,
    )
    command.add_argument(
        "--page_only",
        action="store_true",
        help="trains nothing, writes the page from the rows there are",
    )
    return command.parse_args(argv[1:])


def _add_places(command):
    add_option(
        command,
        "run",
        Folder(),
        "folder for the training runs, shared by all studies",
        "runs/study",
    )
    add_option(
        command,
        "results",
        Folder(),
        "folder of runs.csv and the pages; default: that of --run",
    )


def study(arguments):
    """Runs a grid of trainings that answers a question, and writes its page."""
    plan = read_study(arguments.name)
    data = _chosen_data(plan, arguments.data)
    paths = _paths(arguments.path)
    if arguments.costs:
        from studies.costs import costs_table

        print(costs_table(plan, data, arguments.tmacs_per_second))
        return 0
    require("matplotlib", "scipy")
    if not arguments.page_only:
        for cell in plan.cells(data):
            require_for(with_path(cell.data, paths), "matplotlib", "scipy")
    from studies import read_results, run_study
    from studies.page import write_page

    results = read_results(arguments.results or arguments.run)
    if arguments.shard:
        results = results.part(arguments.shard)
    else:
        results.add_parts()
    failed = {}
    if not arguments.page_only:
        print(f"{plan.title}\n{plan.question}\n{plan.budget}")
        # a killed study ends its runs, too
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        failed = run_study(
            plan,
            os.path.join(arguments.run, "cells"),
            results,
            paths,
            data,
            arguments.workers,
            arguments.shard,
        )
    for name, problem in failed.items():
        print(f"{name} failed: {problem}")
    if arguments.shard:
        print("After the other parts, the same command without --shard.")
        return 1 if failed else 0
    page = write_page(plan, results)
    print(f"Page: {page}" if page else "No run of this study is finished.")
    return 1 if failed else 0


def _chosen_data(plan, text):
    names = text.split(",") if text else list(plan.data)
    unknown = [name for name in names if name not in plan.data]
    if unknown:
        raise ValueError(
            f"The study {plan.name} has no data set {unknown[0]!r}; it has "
            f"{', '.join(plan.data)}."
        )
    return names


def _paths(texts):
    """`["esc50=PATH"]` -> `{"esc50": PATH}`; ESC-10 is part of ESC-50."""
    paths = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (equals and path):
            raise ValueError(
                f"Write --path DATA=PATH, such as esc50=PATH. Received: {text}."
            )
        paths[name] = path
    if "esc50" in paths:
        paths.setdefault("esc10", paths["esc50"])
    return paths


if __name__ == "__main__":
    cli.main(parse)
