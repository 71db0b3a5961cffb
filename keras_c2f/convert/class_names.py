"""Names of a checkpoint's outputs, from the list its authors numbered by."""

import csv
from pathlib import Path
from typing import NamedTuple

_AST = "https://raw.githubusercontent.com/YuanGongND/ast/master/egs"


class ClassList(NamedTuple):
    """A published list: how the file is called and where it is."""

    file: str
    url: str
    num_classes: int


CLASS_LISTS = {
    "audioset": ClassList(
        "class_labels_indices.csv",
        f"{_AST}/audioset/data/class_labels_indices.csv",
        527,
    ),
    "speech_commands": ClassList(
        "speechcommands_class_labels_indices.csv",
        f"{_AST}/speechcommands/data/speechcommands_class_labels_indices.csv",
        35,
    ),
    "esc50": ClassList(
        "esc_class_labels_indices.csv",
        f"{_AST}/esc50/data/esc_class_labels_indices.csv",
        50,
    ),
    "kwt1": ClassList("labels.txt", "", 12),
}


def read_class_names(path):
    """Names in the order of the outputs.

    Args:
        path: CSV with the columns `index` and `display_name`, as AST's, or
            a text file with a name per line.

    Returns:
        list of str.

    Raises:
        ValueError: if the CSV has other columns, or does not count from 0.
    """
    path = Path(path)
    if path.suffix != ".csv":
        return path.read_text().splitlines()
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        numbers = [int(row["index"]) for row in rows]
        names = [row["display_name"] for row in rows]
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path} has no columns `index` and `display_name` as AST's lists "
            "of classes have."
        ) from error
    if numbers != list(range(len(rows))):
        raise ValueError(f"The indices in {path} do not count from 0 up by 1.")
    return names


def find_class_names(checkpoint, entry):
    """Names a Hugging Face config gives, or a list beside the file.

    Args:
        checkpoint: `Checkpoint`.
        entry: `Published` or `None`.

    Returns:
        list of str, or `None`.
    """
    labels = checkpoint.config.get("id2label")
    if labels:
        return [labels[str(index)] for index in range(len(labels))]
    known = CLASS_LISTS.get(entry.class_names) if entry else None
    path = known and checkpoint.path.with_name(known.file)
    return read_class_names(path) if path and path.is_file() else None
