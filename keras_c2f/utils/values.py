"""What a setting may be, as data: checked, and said in `--help`, alike."""

import argparse
import dataclasses
import math
import numbers
import os
import re
from dataclasses import dataclass

from keras_c2f.utils.suggestions import did_you_mean

MOST = 1_000_000  # of what is counted: epochs, frames, dB


@dataclass(frozen=True)
class Number:
    """Numbers within bounds; infinity and NaN never are.

    Args:
        kind: `int` or `float`.
        at_least, above: the lower bound, of which there is one at most.
        at_most, below: the upper one.

    Example:
        >>> print(Number(float, at_least=0, below=1))
        a number of at least 0 and below 1
        >>> Number(int, at_least=1).check("crops", 0)
        Traceback (most recent call last):
        ValueError: `crops` is a whole number of at least 1.
        Received: crops=0.
    """

    kind: type
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __str__(self):
        bounds = [
            f"{words} {bound:,}"
            for words, bound in (
                ("of at least", self.at_least),
                ("above", self.above),
                ("at most", self.at_most),
                ("below", self.below),
            )
            if bound is not None
        ]
        what = "a whole number" if self.kind is int else "a number"
        return " ".join([what, " and ".join(bounds)]).strip()

    def check(self, name, value):
        """Refuses a `value` of the setting `name` that is none of these."""
        if not self._holds(value):
            raise ValueError(f"`{name}` is {self}. Received: {name}={value!r}.")

    def read(self, name, text):
        """The number that `text` writes, after checking it."""
        try:
            value = self.kind(text)
        except ValueError:
            value = text
        self.check(name, value)
        return value

    def _holds(self, value):
        kind = numbers.Integral if self.kind is int else numbers.Real
        if not isinstance(value, kind) or isinstance(value, bool):
            return False
        return (
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


@dataclass(frozen=True)
class Choice:
    """One of several texts.

    Example:
        >>> Choice(("random", "leading")).check("crop", "leeding")
        Traceback (most recent call last):
        ValueError: `crop` is one of random, leading. Did you mean 'leading'?
        Received: crop='leeding'.
    """

    options: tuple

    def __str__(self):
        return f"one of {', '.join(filter(None, self.options))}"

    def check(self, name, value):
        """Refuses a `value` of the setting `name` that is none of these."""
        if value not in self.options:
            hint = did_you_mean(str(value), self.options)
            raise ValueError(
                f"`{name}` is {self}.{hint} Received: {name}={value!r}."
            )

    def read(self, name, text):
        """`text`, after checking it."""
        self.check(name, text)
        return text


@dataclass(frozen=True)
class Text:
    """Any text on one line; with `wanted` not an empty one."""

    wanted: bool = False

    def __str__(self):
        return "a text" + " that is not empty" * self.wanted

    def check(self, name, value):
        """Refuses a `value` of the setting `name` that is none of these."""
        is_text = isinstance(value, str) and "\0" not in value
        if not is_text or (self.wanted and not value.strip()):
            raise ValueError(f"`{name}` is {self}. Received: {name}={value!r}.")

    def read(self, name, text):
        """`text`, after checking it."""
        self.check(name, text)
        return text


@dataclass(frozen=True)
class Part:
    """A part of what several processes do, written INDEX/COUNT.

    Example:
        >>> Part().read("--shard", "3/16")
        (3, 16)
        >>> Part().read("--shard", "16/16")
        Traceback (most recent call last):
        ValueError: `--shard` is INDEX/COUNT, such as 0/16 to 15/16.
        Received: --shard='16/16'.
    """

    def __str__(self):
        return "INDEX/COUNT, such as 0/16 to 15/16"

    def read(self, name, text):
        """Index from 0 and count, two ints."""
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        index, count = map(int, found.groups()) if found else (0, 0)
        if index >= count:
            raise ValueError(f"`{name}` is {self}. Received: {name}={text!r}.")
        return index, count


@dataclass(frozen=True)
class Folder(Text):
    """A folder to write, there already or not."""

    wanted: bool = True

    def __str__(self):
        return "a folder to write"

    def check(self, name, value):
        """Refuses a `value` of the setting `name` that is none of these."""
        super().check(name, value)
        if "://" in value:  # not of this machine
            return
        path = os.path.abspath(os.path.expanduser(value))
        reason = ""
        if any(len(os.fsencode(part)) > 255 for part in path.split(os.sep)):
            reason = "one of its names is longer than 255 bytes"
        else:
            while not os.path.lexists(path):
                path = os.path.dirname(path)
            if not os.path.isdir(path):
                reason = f"{path!r} is a file"
            elif not os.access(path, os.W_OK):
                reason = f"{path!r} may not be written to"
        if reason:
            raise ValueError(
                f"`{name}` is {self}, and {reason}. Received: {name}={value!r}."
            )


@dataclass(frozen=True)
class Flag:
    """True or false: `--name` or `--no-name`."""

    def __str__(self):
        return "True or False"

    def check(self, name, value):
        """Refuses a `value` of the setting `name` that is none of these."""
        if not isinstance(value, bool):
            raise ValueError(f"`{name}` is {self}. Received: {name}={value!r}.")


def setting(default, text, values=None):
    """A setting: its default, what it is, and what it may be."""
    return dataclasses.field(
        default=default, metadata={"help": text, "values": values}
    )


def share(default, text, **bounds):
    """A setting from 0 to 1; at 1 nothing of most would be left."""
    bounds = bounds or {"below": 1}
    return setting(default, text, Number(float, at_least=0, **bounds))


def amount(default, text):
    """A setting that 0 switches off."""
    kind = type(default)
    return setting(default, text, Number(kind, at_least=0, at_most=MOST))


def values_of(option):
    """What a setting may be, given its `dataclasses.Field`."""
    given = option.metadata["values"]
    return given or (Flag() if isinstance(option.default, bool) else Text())


def add_option(parser, name, values, help, default=None, **options):
    """Adds an option whose values are checked as they are read.

    Args:
        parser: `argparse.ArgumentParser`, or a group of one.
        name: str, without dashes.
        values: `Number`, `Choice`, `Text`, `Part` or `Flag`.
        help: str, which may contain `%`.
        default: the value where none is given; one of `None` is not shown.
        **options: others of `add_argument`.
    """

    flag = f"--{name.replace('_', '-')}"

    def read(text):
        try:
            return values.read(flag, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    if isinstance(values, Flag):
        options["action"] = argparse.BooleanOptionalAction
    else:
        kind = getattr(values, "kind", str).__name__.upper()
        options = {"type": read, "metavar": kind, **options}
    notes = [str(values)] if isinstance(values, Number) else []
    if default is not None:
        notes.append(f"default: {default!r}")
    text = help.replace("%", "%%")
    text += f" ({'; '.join(notes)})" if notes else ""
    parser.add_argument(flag, default=default, help=text, **options)
