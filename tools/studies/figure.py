"""The figure of a study: score against compute, a panel per data set."""

import math
import statistics

from keras_c2f.report.plots import (
    MARKERS,
    RUN_COLOURS,
    STYLE,
    import_matplotlib,
)
from studies.interval import by_part

PANEL, HEIGHT = 4.6, 3.6  # inches


def draw_study(compared, curves, path):
    """Draws mean learning curves, and where each method ends.

    A line is the mean score on clips to validate on after each epoch; the
    marker at its end is what the table has, with the range of held-out parts.

    Args:
        compared: dict from data sets to lists of `Comparison`.
        curves: dict from data sets to dicts from methods to `mean_curve`.
        path: of the PNG to write.
    """
    matplotlib = import_matplotlib()
    names = list(
        dict.fromkeys(
            found.method for rows in compared.values() for found in rows
        )
    )
    columns = len(compared) if len(compared) < 4 else 2
    lines = math.ceil(len(compared) / columns)
    with matplotlib.rc_context(STYLE):
        figure = matplotlib.figure.Figure(
            figsize=(
                PANEL * columns,
                HEIGHT * lines + 0.2 * math.ceil(len(names) / columns),
            ),
            layout="constrained",
        )
        panels = figure.subplots(lines, columns, squeeze=False).flat
        for axes in panels[len(compared) :]:
            axes.set_axis_off()
        panels = panels[: len(compared)]
        for axes, (data, rows) in zip(panels, compared.items(), strict=True):
            for found in rows:
                _draw(axes, found, curves[data][found.method], names)
            axes.set_title(data)
            axes.set_xlabel("training compute, TMACs")
            axes.set_ylabel(f"{rows[0].metric.replace('_', ' ')}, %")
            axes.set_xlim(left=0)
        handles = {}
        for axes in panels:
            for handle, name in zip(
                *axes.get_legend_handles_labels(), strict=True
            ):
                handles.setdefault(name, handle)
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=columns,  # the longest names fill a panel
        )
        figure.savefig(path, dpi=110)


def _draw(axes, found, curve, names):
    number = names.index(found.method)
    colour = RUN_COLOURS[number % len(RUN_COLOURS)]
    style = ("-", "--", ":")[number // len(RUN_COLOURS) % 3]
    axes.plot(
        curve["macs"] / 1e12,
        100 * curve["score"],
        style,
        color=colour,
        linewidth=1.1,
        alpha=0.75,
    )
    parts = [100 * score for score in by_part(found.scores).values()]
    mean = statistics.mean(parts)
    axes.errorbar(
        found.macs / 1e12,
        mean,
        [[mean - min(parts)], [max(parts) - mean]],
        marker=MARKERS[(number + number // len(RUN_COLOURS)) % len(MARKERS)],
        color=colour,
        capsize=2,
        linewidth=0.9,
        linestyle="none",
        label=found.method,
    )
