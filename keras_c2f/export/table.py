"""What exported files are worth, in words and numbers."""

from keras_c2f.export.comparison import INT8_POINTS

# heading -> cell of a row of `exports.csv`
COLUMNS = {
    "format": lambda row: row["format"],
    "weights": lambda row: row["variant"],
    "resolution": lambda row: row["resolution"],
    "MB": lambda row: f"{float(row['megabytes']):.1f}",
    "ms a window": lambda row: f"{float(row['milliseconds']):.1f}",
    "same class": lambda row: f"{float(row['same_class']):.1%}",
    "off by at most": lambda row: f"{float(row['largest_difference']):.1e}",
    "points lost": lambda row: _points(row),
}


def _points(row):
    lost = float(row["points_lost"])
    text = f"{abs(lost):.1f}"
    if float(text) == 0:
        return "0.0"
    sign = "-" if lost < 0 else ""  # a lucky gain
    return f"{sign}{text}{'' if int(float(row['kept'])) else ', not kept'}"


def export_table(rows, summary):
    """Rows of `export_run` for a terminal, and where the files are.

    Args:
        rows, summary: what `export_run` returned.

    Returns:
        str of several lines.
    """
    table = [list(COLUMNS)]
    table += [[cell(row) for cell in COLUMNS.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            text.ljust(width) if place < 3 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    lines.append(caption(summary))
    lines += [f"Written: {row['file']}" for row in rows if row["kept"]]
    return "\n".join(lines)


def caption(summary):
    """str, what the columns are about."""
    return (
        f"Beside Keras, {summary['metric']} {summary['score']:.3f}, on "
        f"{summary['num_clips']} clips of the validation part, of which one is "
        f"{100 / summary['num_clips']:.2g} points. int8 is kept if it loses no "
        f"more than {INT8_POINTS:.0f} points."
    )


def recommendation(row, rows):
    """Which file to take, and why, as a sentence.

    Args:
        row: what `recommended` chose, or `None`.
        rows: all rows of that format and resolution.

    Returns:
        str.
    """
    if row is None:
        return (
            "None of these agrees well enough with the network it came from: "
            "98 % of the clips in the same class, and half a point or one clip "
            "lost at most. Take float32, or look into the training."
        )
    text = (
        f"Take {row['file']}: {float(row['same_class']):.1%} of the clips get "
        "the class that Keras gives them"
    )
    plain = [other for other in rows if other["variant"] == "float32"]
    if not plain or plain[0]["variant"] == row["variant"]:
        return f"{text}."
    (plain,) = plain
    size = float(row["megabytes"]) / float(plain["megabytes"])
    speed = float(plain["milliseconds"]) / float(row["milliseconds"])
    return (
        f"{text}, in {size:.0%} of the space of float32 and {speed:.1f} times "
        "as fast here."
    )
