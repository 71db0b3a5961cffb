"""The section of `report.html` on exported files."""

from html import escape
from itertools import groupby

from keras_c2f.export.comparison import recommended
from keras_c2f.export.table import COLUMNS, NUM_TEXTS, caption, recommendation
from keras_c2f.report.blocks import paragraph, section


def exports_section(run):
    """Exported files of a run beside Keras, and which to take.

    Args:
        run: `keras_c2f.report.runs.RunRecord`.

    Returns:
        str, HTML; empty if nothing was exported.
    """
    if not run.exports:
        return ""
    rows = sorted(run.exports, key=_kind)
    heads = "".join(f"<th scope=col>{escape(name)}</th>" for name in COLUMNS)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    advice = "".join(
        paragraph(recommendation(recommended(group), group))
        for _, found in groupby(rows, _kind)
        if len(group := list(found)) > 1
    )
    return section(
        f"{run.name} for other programs",
        '<div class="scroll"><table><thead><tr>'
        f"{heads}</tr></thead><tbody>{body}</tbody></table></div>{advice}",
        caption(rows),
    )


def _cells(row):
    names = [' class="name"'] * NUM_TEXTS + [""] * len(COLUMNS)
    return "".join(
        f"<td{name}>{escape(cell(row))}</td>"
        for name, cell in zip(names, COLUMNS.values(), strict=False)
    )


def _kind(row):
    return row["format"], row["resolution"]
