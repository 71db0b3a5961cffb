"""Text files that list clips or classes, read line by line."""

import contextlib
import csv
import math
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


def read_rows(path, columns, optional=()):
    """Rows of a CSV file with a header.

    Args:
        path: the file; UTF-8, its columns between commas, semicolons or tabs.
        columns: names that the header must contain, in upper or lower case.
        optional: names of columns that the caller would use as well.

    Returns:
        list of `(where, row)`: the words for a row's place in errors, and a
        dict of str. Rows in which nothing stands are left out.

    Raises:
        ValueError: if the file is missing, has no row, or lacks a column; or
            if a row has more or fewer columns than the header.
    """
    path = existing_file(path)
    rows = []
    with utf8_text(path) as file, csv_errors(path):
        delimiter = _delimiter(file, columns)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        header = _header(next(reader, []), columns, optional, path)
        for fields in reader:
            while len(fields) > len(header) and not fields[-1].strip():
                fields.pop()
            if not any(field.strip() for field in fields):
                continue
            where = f"Line {reader.line_num} of '{path}'"
            if len(fields) != len(header):
                more = "more" if len(fields) > len(header) else "fewer"
                raise ValueError(
                    f"{where} has {more} columns than the {len(header)} of "
                    "the first line. Put quotation marks around a text with "
                    f"{delimiter!r}, and none where nothing stands."
                )
            rows.append((where, dict(zip(header, fields, strict=True))))
    if not rows:
        raise ValueError(f"'{path}' lists no clip: it is only a header.")
    return rows


def _delimiter(file, columns):
    """What stands between the names of a first line that has `columns`."""
    first = file.readline()
    file.seek(0)
    names = {name.casefold() for name in columns}
    for delimiter in (",", ";", "\t"):
        fields = next(csv.reader([first], delimiter=delimiter), [])
        if names <= {field.strip().casefold() for field in fields}:
            return delimiter
    return ","


def _header(fields, columns, optional, path):
    """Names of the columns, those that are used as the caller calls them."""
    known = {name.casefold(): name for name in (*columns, *optional)}
    names = [field.strip() for field in fields]
    names = [known.get(name.casefold(), name) for name in names]
    for name in known.values():
        if names.count(name) > 1:
            raise ValueError(
                f"'{path}' has {names.count(name)} columns {name!r}. Keep one."
            )
    missing = [name for name in columns if name not in names]
    if missing:
        raise ValueError(
            f"'{path}' has no column {missing[0]!r}. Its first line names the "
            f"columns: {names or 'it is empty'}."
        )
    return names


@contextlib.contextmanager
def csv_errors(path):
    """Turns what the `csv` module refuses into a `ValueError`."""
    try:
        yield
    except csv.Error as error:
        raise ValueError(
            f"'{path}' is no CSV file: {error}. Each text that begins with a "
            "quotation mark has to end with one."
        ) from None


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
    with utf8_text(path) as file, csv_errors(path):
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
        value = float(text)  # pandas writes a column with gaps as 1.0, 2.0
        if not math.isfinite(value) or kind(value) != value:
            raise ValueError
        return kind(value)
    except (TypeError, ValueError):  # JSON has null and lists as well
        what = "a whole number" if kind is int else "a number"
        raise ValueError(
            f"{where}: {column!r} is {what}. Received: {text!r}."
        ) from None
