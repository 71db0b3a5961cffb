"""What exported files are worth, in words and numbers."""

from keras_c2f.evaluation.table import metric_words
from keras_c2f.export.comparison import INT8_POINTS, POINTS, SAME_CLASS

# heading -> cell of a row of `export_run`
COLUMNS = {
    "format": lambda row: row["format"],
    "weights": lambda row: row["variant"],
    "resolution": lambda row: row["resolution"],
    "MB": lambda row: f"{row['megabytes']:.1f}",
    "ms a window": lambda row: f"{row['milliseconds']:.1f}",
    "same class": lambda row: f"{row['same_class']:.1%}",
    "off by at most": lambda row: f"{row['largest_difference']:.1e}",
    "score": lambda row: f"{row['score']:.3f}",
    "in Keras": lambda row: f"{row['keras_score']:.3f}",
    "points lost": lambda row: _points(row),
}
NUM_TEXTS = 3  # columns that are not numbers


def _points(row):
    text = f"{row['points_lost']:.1f}"
    text = "0.0" if text == "-0.0" else text
    return text if row["kept"] else f"{text}, not kept"


def export_table(rows):
    """Measured rows of one `export_run`, for a terminal.

    Args:
        rows: what `export_run` returned.

    Returns:
        str of several lines.
    """
    table = [list(COLUMNS)]
    table += [[cell(row) for cell in COLUMNS.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]

    def line(cells):
        texts = [
            cell.ljust(width) if position < NUM_TEXTS else cell.rjust(width)
            for position, (cell, width) in enumerate(
                zip(cells, widths, strict=True)
            )
        ]
        return "  ".join(texts)

    return "\n".join([*map(line, table), caption(rows)])


def caption(rows):
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
