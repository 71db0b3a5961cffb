"""Names of a checkpoint's outputs, from the list its authors numbered by."""

import csv
import io
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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 ({error.reason}). Save it as UTF-8."
        ) from None
    read = {".json": _names_of_json, ".csv": _names_of_csv}
    names = read.get(path.suffix.lower(), _names_of_text)(text, path)
    check_names(names, path)
    return names


def check_names(names, source):
    """Refuses names that are empty, or that two classes share."""
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                f"{source} has the name {name!r} for class {index}. Name each "
                "class."
            )
    double = [name for name in names if names.count(name) > 1]
    if double:
        raise ValueError(
            f"{source} names two classes {double[0]!r}. Give each a name of "
            "its own (--class-names)."
        )


def _names_of_text(text, path):
    return [line.strip() for line in text.rstrip().split("\n")]


def _names_of_csv(text, path):
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    try:
        numbers = [int(row["index"]) for row in rows]
        names = [row["display_name"] for row in rows]
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} has no columns `index` and `display_name` as AST's lists "
            "of classes have."
        ) from error
    if numbers != list(range(len(rows))):
        raise ValueError(f"The indices in {path} do not count from 0 up by 1.")
    return names


def _names_of_json(text, path):
    try:
        numbers = json.loads(text)
    except ValueError:
        numbers = None
    is_map = isinstance(numbers, dict)
    if not is_map or sorted(map(str, numbers.values())) != sorted(
        map(str, range(len(numbers)))
    ):
        raise ValueError(
            f"{path} is not a JSON of class name -> number, counted from 0."
        )
    return sorted(numbers, key=lambda name: int(numbers[name]))


def numbered_names(labels, num_classes, reverse=None):
    """Names in the order of the outputs, from a config's `id2label`.

    Args:
        labels: dict of number -> name.
        num_classes: int, outputs of the head.
        reverse: dict, `label2id`: name -> number, or `None`.

    Returns:
        list of str.

    Raises:
        ValueError: if the numbers are not 0 up to `num_classes - 1`, two
            classes have one name, or `label2id` numbers them otherwise.
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
    check_names(names, "id2label of config.json")
    for index, name in enumerate(names):
        other = (reverse or {}).get(name, index)
        if str(other) != str(index):
            raise ValueError(
                f"config.json numbers {name!r} {index} in id2label and "
                f"{other} in label2id. Give `class_names` in the order of the "
                "outputs (--class-names)."
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
