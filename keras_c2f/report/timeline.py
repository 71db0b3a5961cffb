"""A picture of a long recording: which class was predicted when."""

import numpy as np

from keras_c2f.inference.output import clock, edges
from keras_c2f.report.plots import STYLE, import_matplotlib

CLASSES = 12  # rows, those with the highest score anywhere
ENOUGH = 0.05  # a score that earns a row


def draw_timeline(windows, class_names, path, title=""):
    """Draws the scores of the likely classes over time.

    Rows are in the order in which their classes are first likeliest.

    Args:
        windows: list of `Window`.
        class_names: sequence of str.
        path: file to write; its ending says which kind: png, svg, pdf.
        title: str.

    Raises:
        ImportError: if matplotlib is missing, with the install line.
    """
    matplotlib = import_matplotlib()
    rows, scores = likely_rows(np.array([window.scores for window in windows]))
    with matplotlib.rc_context(STYLE):
        figure = matplotlib.figure.Figure(
            (9, 1.3 + 0.27 * len(rows)), layout="constrained", dpi=140
        )
        axes = figure.add_subplot()
        image = axes.pcolormesh(
            *(edges(windows), np.arange(len(rows) + 1) - 0.5, scores.T),
            vmin=0,
            vmax=1,
            cmap="Blues",
        )
        names = [class_names[row] for row in rows]
        axes.set_yticks(range(len(rows)), names, parse_math=False)
        axes.invert_yaxis()
        axes.grid(False)
        axes.xaxis.set_major_formatter(
            lambda seconds, _: clock(seconds).removesuffix(".0")
        )
        axes.xaxis.set_major_locator(
            matplotlib.ticker.MaxNLocator(8, steps=[1, 2, 3, 5, 6, 10])
        )
        axes.set_xlabel("time in the recording")
        axes.set_title(title, parse_math=False)
        figure.colorbar(image, ax=axes, label="score", pad=0.01)
        figure.savefig(path)


def likely_rows(scores):
    """Which classes to draw, in order, and their scores `(windows, rows)`.

    Args:
        scores: float `(windows, num_classes)`.
    """
    likely = np.argsort(-scores.max(0), kind="stable")[:CLASSES]
    enough = [row for row in likely if scores[:, row].max() >= ENOUGH]
    rows = enough or likely[:1].tolist()
    best = scores[:, rows].argmax(1)
    first = [
        np.flatnonzero(best == position)[0]
        if (best == position).any()
        else len(best)
        for position in range(len(rows))
    ]
    rows = [rows[position] for position in np.argsort(first, kind="stable")]
    return rows, scores[:, rows]
