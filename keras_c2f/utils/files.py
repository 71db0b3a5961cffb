"""Files that appear whole or not at all, and what reads them back."""

import contextlib
import csv
import errno
import json
import os
import shutil
import uuid

UNFINISHED = "unfinished-"  # before the names of files being written


def atomic_write(path, write, prefix=UNFINISHED):
    """Calls `write(temporary path)`, then moves the file to `path`.

    The file is on disk before it is moved, so that a loss of power leaves the
    old one or the new one. The temporary name ends like `path`, which Keras
    insists on.

    Args:
        path: str.
        write: function of a path.
        prefix: str, begins the temporary name; where several processes may
            write `path` at once, see `own_prefix`.

    Raises:
        OSError: if that fails; names `path`.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f"{prefix}{name}")
    try:
        write(temporary)
        _flush(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise
    _flush_folder(folder)


def own_prefix():
    """A `prefix` for `atomic_write` that no other process has."""
    return f"{UNFINISHED}{uuid.uuid4().hex}-"


def atomic_write_folder(path, write):
    """As `atomic_write`, of a folder that replaces an earlier one."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f"{UNFINISHED}{name}")
    replaced = os.path.join(folder, f"{UNFINISHED}replaced-{name}")
    try:
        for left in (temporary, replaced):
            shutil.rmtree(left, ignore_errors=True)
        write(temporary)
        for inner, _, names in os.walk(temporary):
            for file in names:
                _flush(os.path.join(inner, file))
            _flush_folder(inner)
        if os.path.exists(path):
            os.replace(path, replaced)
        os.replace(temporary, path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise
    _flush_folder(folder)
    shutil.rmtree(replaced, ignore_errors=True)


def write_text(path, text):
    """Writes a text in UTF-8, whole; what that cannot encode as escapes."""

    def write(temporary):
        with open(
            temporary,
            "w",
            encoding="utf-8",
            errors="backslashreplace",
            newline="\n",
        ) as file:
            file.write(text)

    atomic_write(path, write)


def write_json(path, value):
    """Writes `value` as indented JSON, whole."""
    write_text(path, json.dumps(value, indent=1))


def read_json(path, advice="Delete it, or bring back a copy."):
    """What a JSON file holds.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it cannot be read; ends with `advice`.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:  # neither JSON nor UTF-8
        raise ValueError(f"{path} is damaged ({error}). {advice}") from error


def write_rows(path, rows):
    """Writes a CSV, such as the history with a row per epoch, whole.

    Args:
        path: str.
        rows: list of dicts; may be empty. What a row lacks is left blank.
    """
    names = dict.fromkeys(name for row in rows for name in row)

    def write(temporary):
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)

    atomic_write(path, write)


def read_rows(path):
    """Rows of `write_rows` as dicts of strings; none if there is no file.

    Raises:
        ValueError: if it is not a CSV of rows as long as its first line.
    """
    if not os.path.exists(path):
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise _damaged_rows(path, error) from error
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise _damaged_rows(path, f"row {number} has another length")
    return rows


def _damaged_rows(path, reason):
    return ValueError(
        f"{path} is damaged ({reason}). Delete it, or bring back a copy."
    )


def _flush(path):
    """Waits until a file is on disk."""
    handle = os.open(path, os.O_RDWR)  # Windows wants to write
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # no disk, such as a pipe
            raise
    finally:
        os.close(handle)


def _flush_folder(folder):
    """Waits until the names in a folder are on disk, where that can be."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder or os.curdir, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _cannot_write(path, error):
    reason = error.strerror or str(error)
    return OSError(
        f"{path} cannot be written ({reason}). Free space on the disk, or "
        "choose a folder that can be written."
    )
