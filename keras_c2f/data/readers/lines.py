"""Text files that list clips or classes, read line by line."""

import contextlib
import csv
from pathlib import Path


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


def existing_file(path):
    """`Path` of a file, after checking that it is one."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(
            f"There is no file '{path}', which the data set is read by. Check "
            "the path, or the layout in the reader's description."
        )
    return path


@contextlib.contextmanager
def utf8_text(path):
    """A text file, open to read, with or without a byte order mark.

    Raises:
        ValueError: if what is read of it is not UTF-8.
    """
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise ValueError(
            f"'{path}' is not UTF-8 ({error.reason}). Save it as UTF-8, in a "
            "spreadsheet as 'CSV UTF-8'."
        ) from None


def read_rows(path, columns):
    """Rows of a CSV file with a header.

    Args:
        path: the file; UTF-8, comma separated.
        columns: names that the header must contain.

    Returns:
        list of `(where, row)`: the words for a row's place in errors, and a
        dict of str.

    Raises:
        ValueError: if the file is missing, has no row, or lacks a column.
    """
    path = existing_file(path)
    with utf8_text(path) as file:
        reader = csv.DictReader(file, restval="")
        rows = [(f"Line {reader.line_num} of '{path}'", row) for row in reader]
    for where, row in rows:
        if None in row:  # where DictReader puts what no column is for
            raise ValueError(
                f"{where} has more columns than the {len(reader.fieldnames)} "
                "of the first line. Put quotation marks around a text with "
                "commas."
            )
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


def read_lines(path, columns, delimiter=","):
    """Lines of a CSV file without a header; `#` begins a comment.

    Args:
        path: the file; UTF-8.
        columns: list of str, what the columns of every line hold.
        delimiter: str, between the columns.

    Yields:
        `(where, fields)`: the words for a line's place in errors, and a list
        of as many str as there are `columns`.

    Raises:
        ValueError: if the file is missing, or a line has more or fewer
            columns.
    """
    path = existing_file(path)
    with utf8_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
        for fields in reader:
            if not fields or fields[0].startswith("#"):
                continue
            where = f"Line {reader.line_num} of '{path}'"
            if len(fields) != len(columns):
                raise ValueError(
                    f"{where} is {delimiter.join(fields)!r}, and holds "
                    f"{delimiter.join(columns)} elsewhere. Download the file "
                    "again."
                )
            yield where, fields


def read_classes(path, key):
    """A class list such as AudioSet's `class_labels_indices.csv`.

    Args:
        path: a CSV file with the columns `display_name` and `key`.
        key: str, the column by which other files name the classes.

    Returns:
        `(index, names)`: dict from key to class index, and the list of names.

    Raises:
        ValueError: if file or column are missing, or a class comes twice.
    """
    rows = read_rows(path, [key, "display_name"])
    return (
        class_index([row[key] for _, row in rows], path),
        [row["display_name"] for _, row in rows],
    )


def class_index(names, source):
    """dict from class name to index, after checking that no name repeats."""
    index = {}
    for name in names:
        if name in index:
            raise ValueError(
                f"The class list '{source}' names {name!r} twice. Keep one "
                "line per class."
            )
        index[name] = len(index)
    return index


def class_indices(names, index, where):
    """Class indices of one row's label names.

    Args:
        names: iterable of str.
        index: dict from name to class index.
        where: str, the row's place.

    Raises:
        ValueError: if a name is unknown.
    """
    try:
        return [index[name] for name in names]
    except KeyError as error:
        raise ValueError(
            f"{where} has the label {error.args[0]!r}, which is not one of "
            f"the {len(index)} classes. Correct it, or add it to the class "
            "list."
        ) from None


def number(text, column, where, kind=int):
    """int, or another `kind` of number, from a table cell."""
    try:
        return kind(text)
    except (TypeError, ValueError):  # JSON has null and lists as well
        what = "a whole number" if kind is int else "a number"
        raise ValueError(
            f"{where}: {column!r} is {what}. Received: {text!r}."
        ) from None
