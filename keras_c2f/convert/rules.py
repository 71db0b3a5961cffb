"""Which keys of a file fill which weight, as data, and what applies them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from keras_c2f.phases import TransplantReport
from keras_c2f.phases.transplant import weights_by_path

# What torch counts beside the weights: steps of a batch norm or an average.
COUNTERS = (r"(.*\.)?(num_batches_tracked|n_averaged)",)


class Rule(NamedTuple):
    """One weight of ours, and the keys it is made of.

    Attributes:
        path: str, `variable.path`; `{i}` and `{j}` stand for numbers, of a
            block or of a stage and its block.
        keys: tuple of str, keys of the file, with the same `{i}` and `{j}`.
        transform: function of one array per key -> the weight's value.
    """

    path: str
    keys: tuple
    transform: Callable


@dataclass(frozen=True)
class Plan:
    """How one file becomes one network.

    Attributes:
        network: built `keras.Model` at the file's own geometry.
        rules: list of `Rule`, one for every weight of `network`.
        dropped: tuple of regular expressions; keys they match are left out.
        metadata: tuple of keys that fill no weight, but describe some.
        facts: dict of what fields of a config are held against.
        notes: tuple of str, sentences a user should read.
    """

    network: Any
    rules: list
    dropped: tuple = ()
    metadata: tuple = ()
    facts: dict = field(default_factory=dict)
    notes: tuple = ()


def fill(plan, checkpoint):
    """Fills every weight of `plan.network` from the arrays of a file.

    Returns:
        `TransplantReport`: weights copied, and keys of the file dropped.

    Raises:
        ValueError: if a key is missing, of another shape, or of no use.
    """
    file, left = checkpoint.path, dict(checkpoint.tensors)
    values, used = {}, set(plan.metadata)
    for path, (variable, _) in weights_by_path(plan.network).items():
        if "seed_generator" in path:
            continue
        keys, transform = _rule_for(path, plan.rules)
        for key in keys:
            if key not in left:
                raise ValueError(
                    f"{file} lacks the key {key!r}, which fills {path!r}. It "
                    "is not whole, or not of the kind it was taken for."
                )
        value = transform(*(left[key] for key in keys))
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"{', '.join(map(repr, keys))} in {file} give {path!r} the "
                f"shape {value.shape}; the model wants {variable.shape}."
            )
        values[path] = (variable, value)
        used.update(keys)
    surplus = [key for key in left if key not in used]
    dropped = [
        key
        for key in surplus
        if any(
            re.fullmatch(pattern, key) for pattern in (*COUNTERS, *plan.dropped)
        )
    ]
    unknown = [key for key in surplus if key not in dropped]
    if unknown:
        raise ValueError(
            f"{file} has {len(unknown)} keys that the model has no place for, "
            f"the first {unknown[0]!r}. It is of another kind than "
            f"{type(plan.network).__name__}, or has parts that are unknown "
            "here."
        )
    for variable, value in values.values():  # nothing before all is checked
        variable.assign(value)
    return TransplantReport(tuple(values), (), (), tuple(dropped))


def _rule_for(path, rules):
    for rule in rules:
        pattern = re.escape(rule.path)
        for number in "ij":
            pattern = pattern.replace(rf"\{{{number}\}}", rf"(?P<{number}>\d+)")
        match = re.fullmatch(pattern, path)
        if match:
            return tuple(
                put_numbers(key, **match.groupdict()) for key in rule.keys
            ), rule.transform
    raise ValueError(f"No rule fills the weight {path!r}.")


def put_numbers(name, **numbers):
    """`name` with `{i}` and `{j}` replaced: `("a.{i}", i=2)` -> `"a.2"`."""
    for mark, number in numbers.items():
        name = name.replace(f"{{{mark}}}", str(number))
    return name


def numbers_in(tensors, name):
    """Numbers that stand for `{i}` and `{j}` of a name among the keys.

    Returns:
        list of tuples of int, one for each key that is like `name`.
    """
    pattern = re.sub(r"\\\{[ij]\\\}", r"(\\d+)", re.escape(name))
    matches = (re.fullmatch(pattern, key) for key in tensors)
    return [tuple(map(int, match.groups())) for match in matches if match]
