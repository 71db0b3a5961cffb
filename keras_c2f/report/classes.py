"""The table of `report.html` that goes class by class."""

import numpy as np

from keras_c2f.data.clips import some_of
from keras_c2f.evaluation.table import absent_classes, ranked_classes
from keras_c2f.report.words import DASH, format_count, format_percent

SHOWN = 10  # worst classes, and as many of the best


def class_values(runs):
    """What the template says of classes of evaluated runs, the worst first.

    Args:
        runs: list of `keras_c2f.report.runs.RunRecord`.

    Returns:
        Dict; `classes` has pairs, a run's name and its rows, and none where
        no class could be ranked. The last row is of all classes.
    """
    ranked = [ranked_classes(run.classes) for run in runs]
    absent = [name for run in runs for name in absent_classes(run.classes)]
    return {
        "classes": [
            (run.name, _rows(rows, run.evaluation))
            for run, rows in zip(runs, ranked, strict=True)
            if rows
        ],
        "num_classes": max(map(len, ranked)),
        "shown_classes": SHOWN,
        "absent": some_of(list(dict.fromkeys(absent)), SHOWN),
    }


def _rows(ranked, evaluation):
    rows = [_cells(row["name"], row) for row in ranked]
    if len(rows) > 2 * SHOWN:
        gap = dict.fromkeys(rows[0], "") | {"class": "…"}
        rows[SHOWN:-SHOWN] = [gap]
    whole = {
        **evaluation,
        "average_precision": evaluation.get("mean_average_precision"),
        "recall": evaluation.get("accuracy"),
    }
    return [*rows, _cells("all classes", whole)]


def _cells(name, row):
    """Dict from heading to text."""
    return {
        "class": name,
        "clips": format_count(row.get("num_clips")),
        "average precision": _rank(row.get("average_precision")),
        "AUC": _rank(row.get("auc")),
        "d′": _rank(row.get("d_prime")),
        "recognised": format_percent(row.get("recall")),
    }


def _rank(value):
    if value is None:  # not measured
        return DASH
    if np.isfinite(value):
        return f"{value:.3f}"
    return "∞" if value > 0 else "−∞"
