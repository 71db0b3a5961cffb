"""What the readers share: tables, checks of what is there, splits."""

import csv
from pathlib import Path

import numpy as np


def existing_folder(path):
    """`Path` of a folder, after checking that it is one."""
    path = Path(path).expanduser()
    if not path.is_dir():
        kind = "a file" if path.exists() else "not there"
        raise ValueError(
            f"The data set is read from a folder, and '{path}' is {kind}. "
            "Check the path."
        )
    return path


def read_rows(path, columns):
    """Rows of a CSV file with a header, as a list of dicts of str.

    Args:
        path: the file; UTF-8, comma separated.
        columns: names that the header must contain.

    Raises:
        ValueError: if the file is missing, has no row, or lacks a column.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(
            f"There is no file '{path}', which lists the clips of the data "
            "set. Check the path, or the layout in the reader's description."
        )
    # utf-8-sig: spreadsheets put a byte order mark before the first column
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="")
        rows = list(reader)
    missing = [
        name for name in columns if name not in (reader.fieldnames or ())
    ]
    if missing:
        raise ValueError(
            f"'{path}' has no column {missing[0]!r}. Its first line names the "
            f"columns: {reader.fieldnames or 'it is empty'}."
        )
    if not rows:
        raise ValueError(f"'{path}' lists no clip: it is only a header.")
    return rows


def check_present(paths, source):
    """Refuses a list of sound files of which some are missing."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ValueError(
            f"{len(paths) - len(missing)} of {len(paths)} clips of '{source}' "
            f"found; first missing: '{missing[0]}'. Download or unpack the "
            "data set again, or take the missing clips off the list."
        )


def number(text, column, source):
    """int of a table cell."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"Column {column!r} of '{source}' holds whole numbers. Received: "
            f"{text!r}."
        ) from None


def held_out(values, value, what):
    """Boolean `(n,)`, true where `values` equals the part held out.

    Args:
        values: list of the fold, speaker or split of each clip.
        value: the one to validate on.
        what: str, its name in the error, such as `"fold"`.

    Raises:
        ValueError: if no clip has `value`, or all have.
    """
    mask = np.array([item == value for item in values])
    present = sorted(set(values))
    if not mask.any():
        raise ValueError(
            f"There is no {what} {value!r}. Choose from: "
            f"{', '.join(map(repr, present))}."
        )
    if mask.all():
        raise ValueError(
            f"Every clip is of {what} {value!r}, which leaves none to train "
            "on. List clips of another one too."
        )
    return mask


def split(clips, validation):
    """`(train, validation)` of `Clips`, given a boolean mask `(n,)`."""
    return (
        clips.subset(np.flatnonzero(~validation)),
        clips.subset(np.flatnonzero(validation)),
    )


def random_mask(labels, validation_share, seed):
    """Draws a validation set with the same share of every class.

    A class's draw depends on its own clips only, so that adding clips to one
    class moves none of another.

    Args:
        labels: int `(n,)`.
        validation_share: float between 0 and 1. A class with two or more
            clips gets at least one on each side; a single clip trains.
        seed: int.

    Returns:
        bool `(n,)`, true for validation.

    Raises:
        ValueError: if the share is not between 0 and 1, or every class has
            a single clip.
    """
    if not 0 < validation_share < 1:
        raise ValueError(
            "`validation_share` is the part of the clips to validate on, "
            f"between 0 and 1. Received: {validation_share}."
        )
    labels = np.asarray(labels)
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = int(len(members) * validation_share + 0.5)
        count = min(max(count, 1), len(members) - 1)
        rng = np.random.default_rng((seed, int(label) % 2**32))
        mask[rng.permutation(members)[:count]] = True
    if not mask.any():
        raise ValueError(
            "Every class has a single clip, which leaves none to validate on. "
            "Add clips: two or more per class."
        )
    return mask
