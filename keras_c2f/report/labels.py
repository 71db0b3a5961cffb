"""Text beside points of a line plot, where least is in the way."""

from typing import NamedTuple

import numpy as np

FONT_SIZE = 8.5  # points, as all lengths here


class Mark(NamedTuple):
    """A point to be labelled, in data coordinates."""

    x: float
    y: float
    text: str
    colour: str


def place_labels(axes, marks, lines):
    """Writes each mark's text near it, clear of lines and of other labels.

    Args:
        axes: matplotlib axes whose position and limits are final.
        marks: list of `Mark`.
        lines: list of matplotlib lines not to be covered.
    """
    axes.get_ylim()  # until asked for, limits lag behind what was plotted
    scale = axes.figure.dpi / 72  # pixels a point
    busy = np.concatenate([_along(axes, line) for line in lines]) / scale
    frame = axes.get_window_extent().extents / scale
    taken = []
    for number, mark in enumerate(marks):
        anchor = axes.transData.transform((mark.x, mark.y)) / scale
        size = np.array([0.58 * FONT_SIZE * len(mark.text), FONT_SIZE])
        centres = _candidates(*size)
        boxes = [
            np.array([*(anchor + c - size / 2), *(anchor + c + size / 2)])
            for c in centres
        ]
        costs = [
            _cost(box, busy, frame, taken) + 0.5 * np.hypot(*centre)
            for box, centre in zip(boxes, centres, strict=True)
        ]
        best = int(np.argmin(costs))
        taken.append(boxes[best])
        away = np.maximum(np.abs(centres[best]) - size / 2, 0).max()
        leader = {
            "arrowstyle": "-",
            "linewidth": 0.8,
            "color": mark.colour,
            "shrinkA": 1,
            "shrinkB": 4,
        }
        axes.annotate(
            mark.text,
            (mark.x, mark.y),
            centres[best],
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=FONT_SIZE,
            color=mark.colour,
            gid=f"halo-{number}",  # the page gives these a rim of its own
            zorder=6,
            arrowprops=leader if away > 12 else None,
        )


def _candidates(width, height):
    """Centres of a label relative to its point, nearest first."""
    directions = (
        (1, 0), (0, -1), (1, -1), (0, 1), (-1, 1), (1, 1), (-1, 0), (-1, -1)
    )  # fmt: skip
    return np.array(
        [
            (right * (width / 2 + gap), up * (height / 2 + gap))
            if not right * up
            else (right * (width / 2 + 0.8 * gap), up * (height / 2 + gap / 2))
            for gap in (7, 16, 28, 42, 60)
            for right, up in directions
        ]
    )


def _cost(box, busy, frame, taken):
    """How much a box covers; leaving the frame is worst, then labels."""
    low, high = box[:2] - 1.5, box[2:] + 1.5
    covered = ((busy > low) & (busy < high)).all(axis=1).sum()
    labels = sum(
        bool((low < other[2:]).all() and (other[:2] < high).all())
        for other in taken
    )
    outside = (box[:2] < frame[:2]).any() or (box[2:] > frame[2:]).any()
    return covered + 1000 * labels + 3000 * outside


def _along(axes, line):
    """Points all along a line, in pixels."""
    points = np.column_stack(line.get_data()).astype(float)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        return points
    points = axes.transData.transform(points)
    index = np.arange(len(points))
    steps = np.linspace(0, len(points) - 1, 20 * len(points))
    return np.column_stack([np.interp(steps, index, p) for p in points.T])
