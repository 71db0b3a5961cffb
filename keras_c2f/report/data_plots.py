"""The figures of `data.html`."""

from typing import NamedTuple

import numpy as np

from keras_c2f.report.plots import (
    RUN_COLOURS,
    WIDTH,
    as_svg,
    import_matplotlib,
    shorten,
    show_log_mel,
)

NAMED_CLASSES = 60  # beyond, names cannot be read


class Panel(NamedTuple):
    """One of the pictures of a clip.

    Attributes:
        title: str.
        log_mel: `(frames, mel_bins)`.
        is_change: bool, whether it is a difference of two log-mels.
    """

    title: str
    log_mel: np.ndarray
    is_change: bool = False


@as_svg
def sample_figure(panels, seconds, limits):
    """Pictures of one clip, one below the other on the same time axis.

    Args:
        panels: list of `Panel`.
        seconds: float, length of the clip.
        limits: `(darkest, brightest)` value; a change has limits of its own.

    Returns:
        str, SVG.
    """
    width, height = 3.7, 0.5 + 1.65 * len(panels)  # inches, three in a row
    figure = import_matplotlib().figure.Figure((width, height))
    for number, panel in enumerate(panels, 1):
        bottom = 0.5 + 1.65 * (len(panels) - number)
        axes = figure.add_axes(
            (0.58 / width, bottom / height, 1 - 0.7 / width, 1.2 / height)
        )
        scale, colours = limits, "magma"
        if panel.is_change:
            most = np.abs(panel.log_mel).max()
            scale, colours = (-most, most), "RdBu_r"
        frame_seconds = seconds / len(panel.log_mel)
        show_log_mel(
            *(axes, panel.log_mel, frame_seconds, (0, seconds), scale),
            cmap=colours,
        )
        axes.set_title(shorten(panel.title, 50))
        axes.tick_params(labelbottom=number == len(panels))
    axes.set_xlabel("time (s)")
    return figure


@as_svg
def class_figure(class_names, training, validation, drawn=None):
    """Clips per class, the most frequent on top.

    Args:
        class_names: list of str.
        training, validation: float `(num_classes,)`, clips with each class.
        drawn: the same, clips drawn in an epoch of balanced sampling.

    Returns:
        str, SVG; without names beyond 60 classes.
    """
    order = np.argsort(training, kind="stable")
    columns = [(training, "to train on"), (validation, "to validate on")]
    if drawn is not None:
        columns.insert(1, (drawn, "drawn in an epoch"))
    many = len(order) > NAMED_CLASSES
    height = 4.2 if many else 0.9 + 0.2 * max(len(order), 3)
    figure = import_matplotlib().figure.Figure(
        (WIDTH, height), layout="constrained"
    )
    axes = figure.add_subplot()
    positions = np.arange(len(order))
    thickness = 0.8 / len(columns)
    for number, (counts, label) in enumerate(columns):
        colour = RUN_COLOURS[number]
        if many:
            axes.step(np.sort(counts), positions, color=colour, label=label)
        else:
            lift = thickness * ((len(columns) - 1) / 2 - number)
            axes.barh(
                *(positions + lift, counts[order], thickness),
                color=colour,
                label=label,
            )
    if many:
        axes.set_xscale("symlog", linthresh=1)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yticks([])
        axes.set_ylabel(f"{len(order)} classes, by number of clips")
    else:
        names = [shorten(class_names[index], 24) for index in order]
        axes.set_yticks(positions, names)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
    axes.set_xlim(left=0)
    axes.set_xlabel("clips")
    figure.legend(loc="outside upper left", ncols=len(columns))
    return figure


@as_svg
def length_figure(seconds, shown_seconds):
    """How long clips are, and what the network is shown of them.

    Args:
        seconds: float `(n,)`.
        shown_seconds: float, what is left of longer ones.

    Returns:
        str, SVG.
    """
    figure = import_matplotlib().figure.Figure(
        (WIDTH, 2.9), layout="constrained"
    )
    axes = figure.add_subplot()
    end = 1.1 * max(seconds.max(), shown_seconds)
    axes.hist(seconds, bins=np.linspace(0, end, 41), color=RUN_COLOURS[0])
    axes.axvline(shown_seconds, color=RUN_COLOURS[1])
    axes.annotate(
        f"network: {shown_seconds:.3g} s ",
        (shown_seconds, 1),
        xycoords=("data", "axes fraction"),
        ha="right" if shown_seconds > end / 2 else "left",
        va="bottom",
        color=RUN_COLOURS[1],
    )
    axes.set_xlim(0, end)
    axes.set_xlabel("length (s)")
    axes.set_ylabel("clips")
    return figure
