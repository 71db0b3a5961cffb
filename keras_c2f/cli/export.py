"""The command that exports a trained run."""

import sys
from pathlib import Path

from keras_c2f.cli.recipe import data_of_run, require_for
from keras_c2f.export.formats import FORMATS, VARIANTS, choose_format
from keras_c2f.resolution import Resolution
from keras_c2f.training.run_folder import find_run
from keras_c2f.utils.values import Choice, Folder, Number, Text, add_option

COUNT = Number(int, at_least=0, at_most=1_000_000)


def add_commands(add):
    """Adds the command of this module; see `cli.parse`."""
    command = add(export)
    add_option(
        *(command, "run", Text(wanted=True), "folder of a trained run"),
        required=True,
    )
    formats = Choice(tuple(FORMATS))
    add_option(command, "format", formats, str(formats), "litert")
    command.add_argument(
        "--variant",
        default="all",
        help=f"{', '.join(VARIANTS)}, several separated by commas, or all "
        "that the format has (default)",
    )
    add_option(
        command,
        "out",
        Folder(),
        "folder to write; default: export, beside the run's model.keras",
    )
    command.add_argument(
        "--resolution",
        help="a coarser one for a slow device, such as pool:2 (default: that "
        "of the last phase)",
    )
    command.add_argument(
        "--cascade",
        action="store_true",
        help="export the cascade that `keras-c2f evaluate --cascade` has "
        "calibrated: one file that looks coarsely first, over one set of "
        "weights",
    )
    add_option(
        command,
        "batch_size",
        COUNT,
        "windows in a batch, 0 for any number; default: 1 for litert, else 0",
    )
    add_option(
        command,
        "clips",
        COUNT,
        "validation clips to measure on, 0 for none",
        400,
    )
    add_option(
        command,
        "threads",
        Number(int, at_least=1, at_most=1000),
        "of the runtimes while measuring; default: theirs",
    )


def export(arguments):
    """Exports a run's classifier for mobile, server or browser.

    Returns 1 if what was measured could not be written.
    """
    variants = None
    if arguments.variant != "all":
        variants = [name.strip() for name in arguments.variant.split(",")]
    if arguments.resolution is not None:
        Resolution.parse(arguments.resolution)  # refuses what cannot be read
    data = data_of_run(arguments.run)
    packages = FORMATS[arguments.format].packages
    if arguments.clips or variants is None or "int8" in variants:
        require_for(data, *packages)
    choose_format(arguments.format, variants)
    from keras_c2f.export import NotNotedError, export_run, recommended
    from keras_c2f.export.table import export_table, recommendation

    problem = None
    try:
        rows = export_run(
            arguments.run,
            arguments.format,
            variants,
            arguments.out,
            arguments.resolution,
            arguments.batch_size,
            arguments.clips,
            arguments.threads,
            arguments.cascade,
        )
    except NotNotedError as error:
        rows, problem = error.rows, error
    if arguments.clips:
        print(export_table(rows))
    for row in rows:
        if row.get("kept", 1):
            print(f"Written: {row['file']}")
    if arguments.clips:
        print(recommendation(recommended(rows), rows))
    if problem:
        print(problem, file=sys.stderr)
        return 1
    if arguments.clips:
        _write_report(arguments.run)
    return 0


def _write_report(run):
    """Puts the rows into the report that the run has, if it has one."""
    from keras_c2f.report import write_report

    folder = Path(find_run(run)).resolve().parent
    if (folder / "report.html").exists():
        try:
            print(f"Report: {write_report(folder)}")
        except ImportError as error:
            print(error, file=sys.stderr)
