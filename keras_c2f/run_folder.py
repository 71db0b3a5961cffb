"""Files of a training run; each appears whole or not at all."""

import csv
import json
import math
import os


def write_whole(path, write):
    """Calls `write(temporary path)`, then moves the file to `path`.

    The temporary name ends like `path`, which Keras insists on.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f"unfinished-{name}")
    write(temporary)
    os.replace(temporary, path)


def write_json(path, value):
    """Writes `value` as indented JSON, whole."""

    def write(temporary):
        with open(temporary, "w") as file:
            json.dump(value, file, indent=1)

    write_whole(path, write)


def read_json(path):
    """What a JSON file holds."""
    with open(path) as file:
        return json.load(file)


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

    write_whole(path, write)


def read_rows(path):
    """Rows of `write_rows` as dicts of strings; none if there is no file."""
    if not os.path.exists(path):
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def find_run(folder):
    """The folder below `folder`, or itself, that holds a trained model.

    Raises:
        ValueError: if there is none.
    """
    for inner in ("", "coarse_to_fine"):
        if os.path.exists(os.path.join(folder, inner, "model.keras")):
            return os.path.join(folder, inner)
    raise ValueError(
        f"There is no trained model in {folder}. Give the folder that "
        "`keras-c2f train --run FOLDER` wrote, after it has finished."
    )


def write_evaluation(folder, summary, classes, name="evaluation"):
    """Writes what `evaluate` returned as `NAME.json` and `NAME.csv`.

    Args:
        folder: path.
        summary: dict. A figure that is infinite or not a number is `null` in
            the file: JSON has neither.
        classes: list of dicts, the rows of the CSV; empty where there is
            nothing to classify, and then no CSV is written.
        name: str.
    """
    if classes:
        write_rows(os.path.join(folder, f"{name}.csv"), classes)
    summary = {
        key: None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for key, value in summary.items()
    }
    write_json(os.path.join(folder, f"{name}.json"), summary)
