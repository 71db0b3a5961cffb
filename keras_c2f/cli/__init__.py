"""The command `keras-c2f`."""

import os
import sys

from absl import app, logging
from absl.flags import argparse_flags

DESCRIPTION = """\
Train audio spectrogram transformers coarse to fine: first on spectrograms
compressed in time, at the end at full resolution.
"""
RESUMABLE = ("demo", "train", "pretrain", "prepare", "study")


def main():
    """Entry point of the console script."""
    # a name of a file that is not UTF-8 is printed with escapes
    sys.stdout.reconfigure(errors="backslashreplace")
    app.run(run, flags_parser=parse)


def run(arguments):
    """Carries out parsed arguments; returns the exit status."""
    try:
        return arguments.command(arguments)
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, ImportError, OSError, RuntimeError) as error:
        if arguments.traceback:
            raise
        print(f"keras-c2f: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = arguments.command.__name__ in RESUMABLE
        text = " The same command goes on from here." if goes_on else ""
        print(f"Stopped.{text}", file=sys.stderr)
        return 130


def parse(argv):
    """`argv` with the program's name -> arguments with `command` set."""
    from keras_c2f.cli import (
        conversion,
        data,
        evaluation,
        study,
        training,
        use,
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

    for module in (training, evaluation, use, data, study, conversion):
        module.add_commands(add)
    logging.set_verbosity(logging.ERROR)
    return parser.parse_args(argv[1:])
