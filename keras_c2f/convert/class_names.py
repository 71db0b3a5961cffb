"""Names of a checkpoint's outputs, from the list its authors numbered by."""

import csv
import json
from pathlib import Path
from typing import NamedTuple

_AST = "https://raw.githubusercontent.com/YuanGongND/ast/master/egs"


class ClassList(NamedTuple):
    """A published list: how repositories call its file, and where it is.

    The first name is that of the file at `url`.
    """

    files: tuple
    url: str
    num_classes: int

    def beside(self, path):
        """`Path` of the list in the folder of a file, or `None`."""
        found = (path.with_name(name) for name in self.files)
        return next((file for file in found if file.is_file()), None)


CLASS_LISTS = {
    "audioset": ClassList(
        (
            "class_labels_indices.csv",  # AST, SSAST, PaSST
            "class_label_indice.csv",  # HTS-AT
            "audioset_class_labels_indices.json",  # LAION's CLAP
        ),
        f"{_AST}/audioset/data/class_labels_indices.csv",
        527,
    ),
    "speech_commands": ClassList(
        ("speechcommands_class_labels_indices.csv",),
        f"{_AST}/speechcommands/data/speechcommands_class_labels_indices.csv",
        35,
    ),
    "esc50": ClassList(
        (
            "esc_class_labels_indices.csv",
            "ESC50_class_labels_indices_space.json",
        ),
        f"{_AST}/esc50/data/esc_class_labels_indices.csv",
        50,
    ),
    "openmic": ClassList(("class-map.json",), "", 20),
    "kwt1": ClassList(("labels.txt",), "", 12),
}


def read_class_names(path):
    """Names in the order of the outputs.

    Args:
        path: CSV with the columns `index` and `display_name`, as AST's, JSON
            of name -> index, as LAION's, or a text file with a name per line.

    Returns:
        list of str.

    Raises:
        ValueError: if there is no such file, a CSV has other columns, or the
            numbers do not count from 0.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no list of class names at {path}.")
    if path.suffix == ".json":
        return _names_of_json(path)
    if path.suffix != ".csv":
        return path.read_text(encoding="utf-8").splitlines()
    with open(path, newline="", encoding="utf-8") as file:
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


def _names_of_json(path):
    numbers = json.loads(path.read_text(encoding="utf-8"))
    is_map = isinstance(numbers, dict)
    if not is_map or sorted(map(str, numbers.values())) != sorted(
        map(str, range(len(numbers)))
    ):
        raise ValueError(
            f"{path} is not a JSON of class name -> number, counted from 0."
        )
    return sorted(numbers, key=lambda name: int(numbers[name]))


def numbered_names(labels, num_classes):
    """Names in the order of the outputs, from a config's `id2label`.

    Args:
        labels: dict of number -> name.
        num_classes: int, outputs of the head.

    Returns:
        list of str.

    Raises:
        ValueError: if the numbers are not 0 up to `num_classes - 1`, or two
            classes have one name.
    """
    wanted = [str(index) for index in range(num_classes)]
    if set(map(str, labels)) != set(wanted):
        numbers = list(map(str, labels))
        raise ValueError(
            f"id2label of config.json numbers {len(numbers)} classes, from "
            f"{numbers[0]} to {numbers[-1]}, and the {num_classes} outputs of "
            f"the model are 0 to {num_classes - 1}: which name is whose "
            "is unknown. Give `class_names` in the order of the outputs "
            "(--class-names)."
        )
    names = [labels[index] for index in wanted]
    double = [name for name in names if names.count(name) > 1]
    if double:
        raise ValueError(
            f"id2label of config.json names two classes {double[0]!r}. Give "
            "`class_names` that differ (--class-names)."
        )
    return names


def find_class_names(checkpoint, entry):
    """Names from a list beside the file.

    Args:
        checkpoint: `Checkpoint`.
        entry: `Published` or `None`.

    Returns:
        list of str, or `None`.
    """
    known = CLASS_LISTS.get(entry.class_names) if entry else None
    path = known and known.beside(checkpoint.path)
    return read_class_names(path) if path else None
