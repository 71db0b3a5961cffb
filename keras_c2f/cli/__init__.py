"""The command `keras-c2f`.

Options are read, and refused, before a framework is imported: the modules of
this package import what is light, and the rest inside their functions.
"""

import os
import re
import sys

from absl import app, logging

from keras_c2f.cli.log_filter import filter_logs
from keras_c2f.cli.parser import make_parser
from keras_c2f.utils.packages import choose_backend

RESUMABLE = ("demo", "train", "pretrain", "prepare", "study")


def main(parse_tool=None):
    """Entry point of the command, and of tools with options of their own."""
    # a name of a file that is not UTF-8 is printed with escapes
    sys.stdout.reconfigure(errors="backslashreplace")
    app.run(_run_quietly, flags_parser=parse_tool or parse)


def _run_quietly(arguments):
    filter_logs()
    return run(arguments)


def run(arguments):
    """Carries out parsed arguments; returns the exit status."""
    try:
        note = choose_backend()
        if note:
            print(note, file=sys.stderr)
        return arguments.command(arguments)
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, ImportError, OSError, RuntimeError) as error:
        if arguments.traceback:
            raise
        print(f"keras-c2f: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = arguments.command.__name__ in RESUMABLE
        text = " The same command goes on from here." if goes_on else ""
        # a progress bar leaves the cursor in its line
        start = "\n" if sys.stderr.isatty() else ""
        print(f"{start}Stopped.{text}", file=sys.stderr)
        return 130


def parse(argv):
    """`argv` with the program's name -> arguments with `command` set."""
    logging.set_verbosity(logging.ERROR)
    return make_parser().parse_args(argv[1:])


def _sentence(error):
    """An error in one line, that of the system without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"'{error.filename}': {error.strerror}."
    return re.sub(r"\s*\n\s*", " ", str(error).strip()) or repr(error)
