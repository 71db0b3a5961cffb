"""The table of `report.html` that goes class by class."""

from html import escape

import numpy as np

from keras_c2f.data.clips import some_of
from keras_c2f.evaluation.table import absent_classes, ranked_classes
from keras_c2f.report.words import DASH, format_count, format_percent

SHOWN = 10  # worst classes, and as many of the best
COLUMNS = {
    "num_clips": "clips",
    "average_precision": "average precision",
    "auc": "AUC",
    "d_prime": "d′",
    "recall": "recognised",
}


def class_table(runs):
    """Classes of evaluated runs, the worst first, as an HTML table.

    Args:
        runs: list of `keras_c2f.report.runs.RunRecord`.

    Returns:
        Pair of str, table and caption; empty where no run has classes that
        could be ranked.
    """
    bodies, most = [], 0
    for run in runs:
        ranked = ranked_classes(run.classes)
        most = max(most, len(ranked))
        if len(ranked) > 2 * SHOWN:
            ranked = [*ranked[:SHOWN], None, *ranked[-SHOWN:]]
        if ranked:
            bodies.append(_body(run, ranked))
    if not bodies:
        return "", ""
    cells = "".join(
        f"<th scope=col>{escape(name)}</th>"
        for name in ("run", "class", *COLUMNS.values())
    )
    table = (
        f'<div class="scroll"><table><thead><tr>{cells}</tr></thead>'
        f"{''.join(bodies)}</table></div>"
    )
    which = (
        f"The {SHOWN} worst and the {SHOWN} best of {most} classes, the worst "
        "first; evaluation.csv of each run has all."
        if most > 2 * SHOWN
        else "The worst class first."
    )
    return table, (
        f"{which} Average precision and AUC rank all clips by their score "
        "for the class; d′ is √2 times the normal quantile of AUC. Recognised "
        "is the share of a class’s clips whose best guess it is."
        f"{_absent(runs)}"
    )


def _absent(runs):
    names = [name for run in runs for name in absent_classes(run.classes)]
    names = list(dict.fromkeys(names))
    return f" Absent, of no clip: {some_of(names, SHOWN)}." if names else ""


def _body(run, ranked):
    whole = {
        "name": "all classes",
        "num_clips": run.evaluation.get("num_clips"),
        "average_precision": run.evaluation.get("mean_average_precision"),
        "auc": run.evaluation.get("auc"),
        "d_prime": run.evaluation.get("d_prime"),
        "recall": run.evaluation.get("accuracy"),
    }
    rows = [*ranked, whole]
    name = f'<th scope="rowgroup" rowspan="{len(rows)}">{escape(run.name)}</th>'
    lines = []
    for row in rows:
        title = row["name"] if row else "…"
        cells = "".join(
            f"<td>{_cell(column, row.get(column)) if row else ''}</td>"
            for column in COLUMNS
        )
        kind = ' class="total"' if row is whole else ""
        lines.append(
            f"<tr{kind}>{'' if lines else name}"
            f'<td class="name">{escape(title)}</td>{cells}</tr>'
        )
    return f"<tbody>{''.join(lines)}</tbody>"


def _cell(column, value):
    if value is None:  # not measured, or of several labels no best guess
        return DASH
    if column == "num_clips":
        return format_count(value)
    if column == "recall":
        return format_percent(value)
    if np.isfinite(value):
        return f"{value:.3f}"
    return "∞" if value > 0 else "−∞"
