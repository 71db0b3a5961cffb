"""Recordings listed in a CSV file."""

from pathlib import Path

import numpy as np

from keras_c2f.data.clips import Clips
from keras_c2f.data.readers.listing import (
    check_present,
    held_out,
    number,
    random_mask,
    read_rows,
)

SPLITS = ("train", "validation", "test")


def read_csv(
    path,
    fold=None,
    validate_on="validation",
    class_list=None,
    validation_share=0.2,
    seed=0,
):
    """Recordings listed in a CSV file, with one or several labels each.

        path,label,fold             path,labels,split
        yard/bark.wav,dog,1         a.flac,dog;rain,train
        roof.flac,rain,2            b.flac,rain,validation

    | column             | holds                                            |
    |--------------------|--------------------------------------------------|
    | `path`             | a sound, relative to the CSV's folder, or absolute |
    | `label`            | its class                                        |
    | or `labels`        | its classes between `;`, maybe none              |
    | `fold`, optional   | int; one fold is validated on                    |
    | `split`, optional  | `train`, `validation` or `test`                  |

    Args:
        path: the CSV file, UTF-8 with a header.
        fold: int, the fold to validate on; the rest is for training. `None`:
            by the column `split`, or without one at random.
        validate_on: `"validation"` or `"test"`, the rows of `split` that are
            returned beside those of `train`.
        class_list: text file with one class name per line, or a CSV with a
            column `display_name` (as for AudioSet), which fixes the classes
            and their order. `None`: the names that occur, sorted.
        validation_share: float between 0 and 1, part of each class to
            validate on, where neither `fold` nor `split` says. A clip with
            several labels counts for the first.
        seed: int, of that choice.

    Returns:
        `(train, validation)`, two `Clips` of paths; int labels from `label`,
        multi-hot ones from `labels`.

    Raises:
        ValueError: if a file or column is missing, or a label is not in the
            class list, or the fold or split is unknown.
    """
    path = Path(path).expanduser()
    rows = read_rows(path, ["path"])
    names, several = _names(rows, path)
    if class_list is None:
        class_names = sorted({name for row in names for name in row})
    else:
        class_names = _class_names(class_list)
    indices = _indices(names, class_names, path)

    # The label of each clip; of several the first, and -1 if there is none.
    labels = np.array([row[0] if row else -1 for row in indices])
    if fold is not None or "split" in rows[0]:
        used, validation = _choose(rows, path, fold, validate_on)
    elif "fold" in rows[0]:
        raise ValueError(
            f"'{path}' has a column 'fold': give the `fold` to validate on."
        )
    else:
        used = np.ones(len(rows), bool)
        validation = random_mask(labels, validation_share, seed)
    sounds = [path.parent / row["path"] for row in rows]
    check_present(sounds, path)

    if several:
        labels = np.zeros((len(rows), len(class_names)), "float32")
        for row, present in enumerate(indices):
            labels[row, present] = 1
    clips = Clips([str(sound) for sound in sounds], labels, class_names)
    return (
        clips.subset(np.flatnonzero(used & ~validation)),
        clips.subset(np.flatnonzero(validation)),
    )


def _names(rows, path):
    """Label names of each row, and whether there may be several a row."""
    columns = [name for name in ("label", "labels") if name in rows[0]]
    if len(columns) != 1:
        raise ValueError(
            f"'{path}' needs one column 'label', or 'labels' for several "
            f"between ';'. Its columns: {list(rows[0])}."
        )
    texts = [row[columns[0]].strip() for row in rows]
    if columns == ["label"]:
        return [[text] for text in texts], False
    parts = [[part.strip() for part in text.split(";")] for text in texts]
    return [[part for part in row if part] for row in parts], True


def _indices(names, class_names, path):
    """Class indices of each row, after checking its names."""
    index = {name: position for position, name in enumerate(class_names)}
    for line, row in enumerate(names, start=2):  # 1 is the header
        for name in row:
            if not name or name not in index:
                raise ValueError(
                    f"Line {line} of '{path}' has the label {name!r}, which "
                    f"is not one of the {len(index)} classes. Correct it, or "
                    "add it to the class list."
                )
    return [[index[name] for name in row] for row in names]


def _class_names(path):
    path = Path(path).expanduser()
    if path.suffix.lower() == ".csv":
        names = [
            row["display_name"] for row in read_rows(path, ["display_name"])
        ]
    elif path.is_file():
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        names = [line.strip() for line in lines if line.strip()]
    else:
        raise ValueError(
            f"There is no class list '{path}'. Check the path, or leave "
            "`class_list` out to use the names that occur."
        )
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(
            f"The class list '{path}' names {repeated[0]!r} twice. Keep one "
            "line per class."
        )
    return names


def _choose(rows, path, fold, validate_on):
    """Which rows take part, and which of them validate: two masks."""
    if fold is not None:
        if "fold" not in rows[0]:
            raise ValueError(
                f"'{path}' has no column 'fold', so no fold {fold}. Leave "
                "`fold` out, or add the column."
            )
        folds = [number(row["fold"], "fold", path) for row in rows]
        return np.ones(len(rows), bool), held_out(folds, fold, "fold")
    if validate_on not in SPLITS[1:]:
        raise ValueError(
            "`validate_on` is 'validation' or 'test'. Received: "
            f"{validate_on!r}."
        )
    parts = [row["split"].strip().lower() for row in rows]
    unknown = [part for part in parts if part not in SPLITS]
    if unknown:
        raise ValueError(
            f"Column 'split' of '{path}' says train, validation or test. "
            f"Received: {unknown[0]!r}."
        )
    validation = held_out(parts, validate_on, "split")
    return np.isin(parts, ["train", validate_on]), validation
