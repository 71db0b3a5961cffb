"""The JSON files by which AST and its successors list their data."""

import json
from pathlib import Path

import numpy as np

from keras_c2f.audio.walk import locate
from keras_c2f.data.clips import Clips
from keras_c2f.data.labels import LabelSets
from keras_c2f.datasets.lines import (
    class_indices,
    existing_file,
    read_classes,
    utf8_text,
)
from keras_c2f.datasets.listing import Listing
from keras_c2f.utils.annotations import PathLike


def read_ast_json(
    path: PathLike,
    validate_on: PathLike | None = None,
    class_list: PathLike | None = None,
) -> tuple[Clips, Clips]:
    """Data prepared for AST (https://github.com/YuanGongND/ast).

        data/
            esc_class_labels_indices.csv    index,mid,display_name
            datafiles/
                esc_train_data_1.json
                esc_eval_data_1.json

        {"data": [{"wav": "audio/1.wav", "labels": "/m/09x0r,/m/05zppz"}]}

    Args:
        path: the JSON file to train on.
        validate_on: the one to validate on. `None`: its neighbour with
            `valid`, or else `eval`, in the place of `train` in the name.
        class_list: the CSV file of the classes. `None`: the one that ends in
            `class_labels_indices.csv`, beside `path` or a folder above.

    Returns:
        `(train, validation)`, two `Clips` of paths; int labels where every
        clip has exactly one, else `LabelSets`. How many clips were found, if
        not all, is in their `note`. Relative paths count from the current
        folder; where that leads nowhere, from the JSON file's folder, or one
        or two above.

    Raises:
        ValueError: if a file is missing or of another form, a label is
            unknown, or no clip of a split is found.
    """
    path = existing_file(path)
    index, class_names = read_classes(class_list or _class_list(path), "mid")
    names, labels, train = [], [], []
    for file in (path, validate_on or _validation(path)):
        for where, entry in _entries(file):
            names.append(entry["wav"])
            labels.append(class_indices(_labels(entry, where), index, where))
            train.append(file == path)
    if not names:
        raise ValueError(f"'{path}' lists no clip.")
    base = _base(path.parent, names)
    if all(len(row) == 1 for row in labels):
        labels = np.array(labels)[:, 0]
    else:
        labels = LabelSets.of(labels)
    recordings = locate(str(base / name) for name in names)
    train = np.array(train)
    return Listing(names, recordings, labels, class_names, path).splits(
        train, ~train
    )


def _entries(path):
    """`(where, entry)` of what a JSON file lists."""
    path = existing_file(path)
    with utf8_text(path) as file:
        text = file.read()
    try:
        entries = json.loads(text)["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"'{path}' is no data file of AST, which is JSON of the form "
            f'{{"data": [{{"wav": ..., "labels": ...}}, ...]}}: {error!r}.'
        ) from None
    if not isinstance(entries, list):
        raise ValueError(
            f"'data' of '{path}' is a list of clips. Received: "
            f"{type(entries).__name__}."
        )
    for position, entry in enumerate(entries, start=1):
        where = f"Entry {position} of '{path}'"
        if not (isinstance(entry, dict) and {"wav", "labels"} <= set(entry)):
            raise ValueError(
                f"{where} needs the keys 'wav' and 'labels'. Received: "
                f"{entry!r}."
            )
        if not isinstance(entry["wav"], str) or not entry["wav"]:
            raise ValueError(
                f"{where}: 'wav' is the path of a file. Received: "
                f"{entry['wav']!r}."
            )
        yield where, entry


def _labels(entry, where):
    """Names of classes, between commas or in a list."""
    labels = entry["labels"]
    if isinstance(labels, str):
        labels = labels.split(",")
    if not isinstance(labels, list) or not all(
        isinstance(label, str) for label in labels
    ):
        raise ValueError(
            f"{where}: 'labels' are names between commas. Received: "
            f"{entry['labels']!r}."
        )
    return [label.strip() for label in labels]


def _validation(path):
    for split in ("valid", "eval"):
        other = path.with_name(path.name.replace("train", split))
        if other != path and other.is_file():
            return other
    raise ValueError(
        f"Beside '{path}' there is no file called so with 'valid' or 'eval' "
        "in the place of 'train'. Name the one to validate on: `validate_on` "
        "(--held-out)."
    )


def _class_list(path):
    for folder in (path.parent, path.parent.parent):
        files = sorted(folder.glob("*class_labels_indices.csv"))
        if len(files) == 1:
            return files[0]
    raise ValueError(
        f"'{path}' needs a class list, one file that ends in "
        "class_labels_indices.csv beside it or a folder above. Put it there, "
        "or name it: `class_list`."
    )


def _base(folder, names):
    """The folder that relative paths count from: the first that has some."""
    some = names[:: -(-len(names) // 100)]
    for base in (Path(), folder, folder.parent, folder.parent.parent):
        if any(locate(str(base / name) for name in some)):
            return base
    return Path()
