"""A cascade's accuracy, share and cost against its threshold."""

import numpy as np

from keras_c2f.evaluation.cascade import Calibration
from keras_c2f.evaluation.table import format_metric, metric_words
from keras_c2f.report import plots

TICKS = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
NAMES = {
    "share_on": "clips looked at again",
    "relative_cost": "compute of a clip",
}


def cascade_values(runs):
    """For the template: a figure and a caption for each run with a cascade."""
    return [
        (
            run.name,
            [
                (
                    f"{words} by threshold, {run.name}",
                    cascade_figure(run.cascade_curve, columns, threshold),
                )
                for words, columns in (
                    (metric_words(metric), {metric: metric_words(metric)}),
                    ("share and compute", NAMES),
                )
            ],
            _caption(run),
        )
        for run in runs
        if run.cascade and run.cascade_curve
        for metric, threshold in [
            (run.cascade["metric"], run.cascade["threshold"])
        ]
    ]


def _caption(run):
    calibration = Calibration.from_dict(run.cascade)
    metric = calibration.metric
    values = {
        "with the cascade": calibration.cascade,
        f"{calibration.resolutions[-1]} alone": calibration.finest,
    }
    scores = ", ".join(
        f"{format_metric(metric, value)} {words}"
        for words, value in values.items()
    )
    return (
        f"{', '.join(calibration.resolutions)} on {calibration.num_clips} "
        f"clips, which chose the threshold: {metric_words(metric)} {scores}. "
        f"{calibration}"
    )


@plots.as_svg
def cascade_figure(curve, columns, threshold):
    """Columns of the curve against the threshold, in percent.

    Args:
        curve: list of dicts, rows of `cascade.csv`.
        columns: dict from column to its name.
        threshold: float that was chosen, or `None`.
    """
    figure, axes = plots.make_axes(legend_rows=1)
    rows = [row for row in curve if row["threshold"] != ""]
    # evenly where clips are: between 0.99 and 0.999 as between 0.9 and 0.99
    doubt = np.array([1 - row["threshold"] for row in rows])
    lines = [
        axes.plot(
            doubt,
            [100 * row[name] for row in rows],
            color=plots.RUN_COLOURS[number],
            drawstyle="steps-post",
        )[0]
        for number, name in enumerate(columns)
    ]
    plots.draw_legend(axes, lines, columns.values())
    axes.set_xscale("log")
    axes.invert_xaxis()
    low, high = doubt.min(initial=1), doubt.max(initial=0)
    ticks = [t for t in TICKS if low <= 1 - t <= high]
    axes.set_xticks([1 - t for t in ticks], [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("confidence from which on an answer stands")
    axes.set_ylabel("percent")
    if threshold is not None:
        axes.axvline(1 - threshold, color=plots.INK, linewidth=1, dashes=(3, 3))
    return figure
