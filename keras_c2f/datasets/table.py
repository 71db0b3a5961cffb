"""Recordings listed in a CSV file."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_c2f.audio.walk import locate
from keras_c2f.data.clips import Clips
from keras_c2f.data.labels import LabelSets
from keras_c2f.datasets.label_cells import read_labels
from keras_c2f.datasets.lines import (
    class_index,
    class_indices,
    number,
    read_classes,
    read_rows,
    utf8_text,
)
from keras_c2f.datasets.listing import Listing, held_out
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.values import Choice

SPLITS = ("train", "validation", "test")


def read_csv(
    path: PathLike,
    fold: int | None = None,
    validate_on: str = "validation",
    class_list: PathLike | None = None,
    validation_share: float = 0.2,
    seed: int = 0,
    more_classes: Sequence[str] = (),
) -> tuple[Clips, Clips]:
    """Recordings listed in a CSV file, with one or several labels each.

        path,label,fold             path,labels,split
        yard/bark.wav,dog,1         a.flac,dog;rain,train
        roof.flac,rain,2            b.flac,rain,validation

    | column             | holds                                            |
    |--------------------|--------------------------------------------------|
    | `path`             | a file, relative to the CSV's folder, or absolute  |
    | `label`            | its class                                        |
    | or `labels`        | its classes between `;`, maybe none; or a list   |
    |                    | such as `['dog', 'rain']`; or between bars or `,` |
    | `fold`, optional   | int; one fold is validated on                    |
    | `split`, optional  | `train`, `validation` or `test`                  |

    Args:
        path: the CSV file, UTF-8 with a header; columns between commas,
            semicolons or tabs.
        fold: int, the fold to validate on; the rest is for training. `None`:
            by the column `split`, or without one at random.
        validate_on: `"validation"` or `"test"`, the rows of `split` that are
            returned beside those of `train`.
        class_list: text file with one class name per line, or a CSV with a
            column `display_name` (as for AudioSet), which fixes the classes
            and their order. `None`: the names that occur, sorted.
        validation_share: float between 0 and 1, share of each class to
            validate on, where neither `fold` nor `split` says. A clip with
            several labels counts for the first.
        seed: int, of that choice, which is made by the paths.
        more_classes: sequence of str, classes beside the names that occur;
            such as those of a network that is to be scored.

    Returns:
        `(train, validation)`, two `Clips` of paths; int labels from `label`,
        `LabelSets` from `labels`. How many recordings were found, if not all,
        is in their `note`.

    Raises:
        ValueError: if a file or column is missing, or a label is not in the
            class list, the fold or split is unknown, or no file of a split is
            found.
    """
    rows = read_rows(path, ["path"], ("label", "labels", "fold", "split"))
    return choose_parts(
        path,
        rows,
        fold,
        validate_on,
        class_list,
        validation_share,
        seed,
        more_classes,
    )


def choose_parts(
    path,
    rows,
    fold,
    validate_on,
    class_list,
    validation_share,
    seed,
    more_classes,
):
    """`(train, validation)` from `(where, row)` pairs; else as `read_csv`."""
    path = Path(path).expanduser()
    recordings = [
        os.path.join(path.parent, _audio_path(row["path"], where))
        for where, row in rows
    ]
    class_names = None if class_list is None else _class_names(class_list)
    names, several, remark = read_labels(rows, path, class_names)
    remark = "; ".join(filter(None, (remark, _unused(rows, fold))))
    if class_names is None:
        found = {name for row in names for name in row}
        class_names = sorted(found.union(more_classes))
    index = class_index(class_names, class_list)
    indices = [
        tuple(class_indices(row, index, where))
        for row, (where, _) in zip(names, rows, strict=True)
    ]
    # The label of each clip; of several the first, and -1 if there is none.
    labels = np.array([row[0] if row else -1 for row in indices])
    listing = Listing(
        recordings,
        locate(recordings),
        LabelSets.of(indices) if several else labels,
        class_names,
        path,
        remark,
    )
    if fold is not None or "split" in rows[0][1]:
        used, validation = _choose(rows, path, fold, validate_on)
        return listing.splits(used & ~validation, validation)
    if "fold" in rows[0][1]:
        raise ValueError(
            f"'{path}' has a column 'fold': give the `fold` to validate on "
            "(--held-out)."
        )
    return listing.drawn(validation_share, seed, labels)


def _unused(rows, fold):
    """str, the columns that nothing is made of, such as a start in seconds."""
    first = rows[0][1]
    used = ["path", "label", "labels"]
    used.append("split" if fold is None and "split" in first else "fold")
    unused = [
        repr(name)
        for name in first
        if name not in used
        and any(str(row.get(name, "")).strip() for _, row in rows)
    ]
    return f"columns not used: {', '.join(unused)}" if unused else ""


def _audio_path(name, where):
    """The path of a row, without what spreadsheets leave around it."""
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise ValueError(
            f"{where}: 'path' is {name!r}. Write the path of an audio file, or "
            "delete the row."
        )
    return name.strip()


def _class_names(path):
    path = Path(path).expanduser()
    if path.suffix.lower() == ".csv":
        return read_classes(path, "display_name")[1]
    if not path.is_file():
        raise ValueError(
            f"There is no class list '{path}'. Check the path, or leave "
            "`class_list` out to use the names that occur."
        )
    with utf8_text(path) as file:
        return [line.strip() for line in file if line.strip()]


def _choose(rows, path, fold, validate_on):
    """Which rows take part, and which of them validate: two masks."""
    if fold is not None:
        if "fold" not in rows[0][1]:
            raise ValueError(
                f"'{path}' has no column 'fold', so no fold {fold}. Leave "
                "`fold` out, or add the column."
            )
        folds = [number(row["fold"], "fold", where) for where, row in rows]
        return np.ones(len(rows), bool), held_out(folds, fold, "fold")
    Choice(SPLITS[1:]).check("validate_on", validate_on)
    splits = [str(row["split"]).strip().lower() for _, row in rows]
    for (where, _), split in zip(rows, splits, strict=True):
        if split not in SPLITS:
            raise ValueError(
                f"{where}: 'split' says train, validation or test. Received: "
                f"{split!r}."
            )
    validation = held_out(splits, validate_on, "split")
    return np.isin(splits, ["train", validate_on]), validation
