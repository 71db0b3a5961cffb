"""What exported files are worth, in words and numbers."""

from keras_c2f.evaluation.table import metric_words
from keras_c2f.export.comparison import INT8_POINTS, POINTS, SAME_CLASS

NUM_TEXTS = 3  # columns that are not numbers, `format` among them


def export_cells(row):
    """A row of `export_run`, its format aside, as dict of heading to text."""
    lost = f"{row['points_lost']:z.1f}"
    return {
        "weights": row["variant"],
        "resolution": row["resolution"],
        "MB": f"{row['megabytes']:.1f}",
        "ms a window": f"{row['milliseconds']:.1f}",
        "same class": f"{row['same_class']:.1%}",
        "off by at most": f"{row['largest_difference']:.1e}",
        "score": f"{row['score']:.3f}",
        "in Keras": f"{row['keras_score']:.3f}",
        "points lost": lost if row["kept"] else f"{lost}, not kept",
    }


def export_table(rows):
    """Measured rows of one `export_run`, for a terminal.

    Args:
        rows: what `export_run` returned.

    Returns:
        str of several lines.
    """
    cells = [{"format": row["format"], **export_cells(row)} for row in rows]
    table = [list(cells[0]), *(list(row.values()) for row in cells)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    aligned = [str.ljust] * NUM_TEXTS + [str.rjust] * len(widths)
    lines = [
        "  ".join(
            align(cell, width)
            for align, cell, width in zip(aligned, line, widths, strict=False)
        )
        for line in table
    ]
    return "\n".join([*lines, export_caption(rows)])


def export_caption(rows):
    """str, what the columns are about.

    Args:
        rows: list of measured rows.
    """
    numbers = dict.fromkeys(int(row["num_clips"]) for row in rows)
    metrics = dict.fromkeys(metric_words(row["metric"]) for row in rows)
    clips = " or ".join(
        f"{number} clips, of which one is {100 / number:.2g} points"
        for number in numbers
    )
    return (
        f"Score: {' or '.join(metrics)}, of the file and of the network in "
        f"Keras at the same resolution, on {clips}. int8 is kept if it loses "
        f"no more than {INT8_POINTS:g} points."
    )


def recommendation(best, rows):
    """Which file to take, and why, as a sentence.

    Args:
        best: what `recommended` chose of the rows, or `None`.
        rows: measured rows of that format and resolution.

    Returns:
        str.
    """
    if best is None:
        return (
            "None of these agrees well enough with the network it came from: "
            f"{SAME_CLASS:.0%} of the clips in the same class, and {POINTS} "
            "points or one clip lost at most."
        )
    text = (
        f"Take {best['file']}: {best['same_class']:.1%} of the clips get the "
        "class that Keras gives them"
    )
    plain = [row for row in rows if row["variant"] == "float32"]
    if not plain or best["variant"] == "float32":
        return f"{text}."
    size = best["megabytes"] / plain[-1]["megabytes"]
    speed = plain[-1]["milliseconds"] / best["milliseconds"]
    return (
        f"{text}, in {size:.0%} of the space of float32 and {speed:.1f} times "
        "as fast here."
    )
