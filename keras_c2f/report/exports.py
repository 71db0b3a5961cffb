"""The section of `report.html` on exported files."""

from html import escape
from itertools import groupby

from keras_c2f.export.comparison import recommended
from keras_c2f.export.table import COLUMNS, caption, recommendation
from keras_c2f.report.blocks import section


def exports_section(run):
    """Exported files of a run beside Keras, and which to take.

    Args:
        run: `keras_c2f.report.runs.RunRecord`.

    Returns:
        str, HTML; empty if nothing was exported.
    """
    if not run.exports:
        return ""
    heads = "".join(f"<th scope=col>{escape(name)}</th>" for name in COLUMNS)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=name' if place < 3 else ''}>{escape(cell(row))}</td>"
            for place, cell in enumerate(COLUMNS.values())
        )
        + "</tr>"
        for row in run.exports
    )
    summary = {
        "metric": run.exports[-1]["metric"],
        "score": float(run.exports[-1]["keras_score"]),
        "num_clips": int(float(run.exports[-1]["num_clips"])),
    }
    advice = [_advice(list(rows)) for _, rows in groupby(run.exports, _kind)]
    return section(
        f"{run.name} for other programs",
        '<div class="scroll"><table><thead><tr>'
        f"{heads}</tr></thead><tbody>{body}</tbody></table></div>",
        " ".join([*advice, caption(summary)]),
    )


def _kind(row):
    return row["format"], row["resolution"]


def _advice(rows):
    if len(rows) < 2:
        return ""
    best = recommended(rows, float(rows[0]["num_clips"]))
    return recommendation(best, rows)
