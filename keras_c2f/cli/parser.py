"""Reads command lines; what is wrong with one is said in one sentence."""

import itertools
import re

from absl import flags
from absl.flags import argparse_flags

from keras_c2f.cli import (
    conversion,
    data,
    embedding,
    evaluation,
    export,
    predict,
    training,
)
from keras_c2f.utils.suggestions import did_you_mean
from keras_c2f.version import __version__

DESCRIPTION = """\
Train audio spectrogram transformers coarse to fine: first on spectrograms
compressed in time, at the end at full resolution.
"""
EPOCHS = (
    "Epochs stand in the schedule, behind each phase: "
    "--schedule='pool:4@14, pool:2@4, full@2'"
)
# What has another name here than in many programs.
ELSEWHERE = {
    "--epochs": EPOCHS,
    "--num-epochs": EPOCHS,
    "--model": "Write --backbone",
    "--initial": "Write --init-from",
    "--lr": "Write --learning-rate",
    "--dataset": "Write --data",
    "--output": "Write --out or --run",
}


class Parser(argparse_flags.ArgumentParser):
    """Says errors without the list of all options, which fills a screen."""

    def error(self, message):
        # our own sentences name the option themselves
        message = re.sub(r"^argument \S+: (?=`)", "", message)
        message = " ".join(message.split()).removeprefix("ERROR:: ").strip()
        end = "" if message[-1] in ".?" else "."
        more = f"See {self.prog} --help."
        self.exit(2, f"{self.prog}: {message}{end} {more}\n")

    def parse_known_args(self, args=None, namespace=None):
        args = [self._with_hyphens(word) for word in args or ()]
        for word, following in itertools.pairwise([*args, ""]):
            name, _, value = word.partition("=")
            if name == "--flagfile" and not (value or following):
                self.error("--flagfile names a file of options, one a line")
            if value == "--" and name.startswith("--"):  # argparse drops it
                self.error(f"{name} cannot be '--'")
        try:
            namespace, unknown = super().parse_known_args(args, namespace)
        except (flags.Error, ValueError) as error:  # of absl's own options
            self.error(str(error))
        if unknown:
            self.error(self._unknown(unknown[0]))
        return namespace, unknown

    def _with_hyphens(self, word):
        """`--clip-seconds=5` -> `--clip-seconds=5`, if that is an option."""
        name, *rest = word.split("=", 1)
        name = name.replace("_", "-")
        known = name in self._option_string_actions
        return "=".join([name, *rest]) if known else word

    def _unknown(self, word):
        name = word.partition("=")[0].replace("_", "-")
        known = [o for a in self._actions for o in a.option_strings]
        hint = ELSEWHERE.get(name) or did_you_mean(name, known).strip()
        kind = "option" if word.startswith("-") else "argument"
        return f"there is no {kind} {name!r} here. {hint}"


def make_parser():
    """`Parser` of all commands; it sets `command`, the function to call."""
    parser = Parser(
        prog="keras-c2f", description=DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(function, **options):
        text = function.__doc__.splitlines()[0]
        command = commands.add_parser(
            function.__name__.replace("_", "-"),
            help=text,
            description=text,
            allow_abbrev=False,
            **options,
        )
        command.set_defaults(command=function)
        command.add_argument(
            "--traceback", action="store_true", help="show where errors arise"
        )
        return command

    for module in (
        *(training, evaluation, predict, embedding, export, data),
        conversion,
    ):
        module.add_commands(add)
    return parser
