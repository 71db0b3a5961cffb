"""The figures of `report.html`, as SVG text that takes the page's colours.

Drawn on `Figure` objects, so that the caller's matplotlib backend stays as it
is. Text stays text: it can be read aloud, searched and copied.
"""

import functools
import io
import re
import warnings
import zlib

import numpy as np

from keras_c2f.report.words import column_words
from keras_c2f.resolution import Resolution
from keras_c2f.utils import packages

INK, FAINT, PAPER = "#1f2328", "#d3d8de", "#fdfdfc"
# Okabe and Ito's colours, darkened where white is too near (contrast >= 3).
RUN_COLOURS = tuple("#0072b2 #d55e00 #009070 #aa4499 #8f6f00 #5f6670".split())
MARKERS = "os^DvP"
LABELLED = 3  # phases of more runs would be too many labels
WIDTH = 4.8  # inches; two fit beside each other on a screen, one on a phone
STYLE = {
    "font.size": 9.5,
    "font.family": "sans-serif",
    "text.color": INK,
    "text.parse_math": False,  # names may hold a $
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "lines.linewidth": 1.7,
    "svg.fonttype": "none",
    "svg.hashsalt": "keras_c2f",  # the same page for the same numbers
}


def import_matplotlib():
    for name in ("figure", "ticker"):
        packages.load(f"matplotlib.{name}")
    return packages.load("matplotlib")


def as_svg(draw):
    """Lets a function that returns a `Figure` return inline SVG text."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs):
        matplotlib = import_matplotlib()
        file = io.StringIO()
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            # The reader's browser has the letters that DejaVu Sans lacks.
            warnings.filterwarnings("ignore", "Glyph .* missing")
            figure = draw(*args, **kwargs)
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(
                file,
                format="svg",
                transparent=True,
                dpi=200,
                metadata=nothing,
            )
        return _for_page(file.getvalue())

    return drawn


def _for_page(svg):
    """Takes away what a file needs; makes ids unique, colours variables."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = f"f{zlib.crc32(svg.encode()):08x}-"
    variables = {colour: f"run-{i}" for i, colour in enumerate(RUN_COLOURS)}
    variables |= {INK: "ink", FAINT: "faint", PAPER: "paper"}

    def adapt(tag):  # the text between tags is not ours
        text = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{prefix}", tag[0])
        return re.sub(
            "|".join(variables), lambda c: f"var(--{variables[c[0]]})", text
        )

    return re.sub(r"<[^>]*>", adapt, svg)


def make_axes(legend_rows, left=0.62):
    """Figure with axes of a fixed size in inches, room for a legend on top."""
    height = 2.55 + 0.5 + 0.14 + 0.2 * legend_rows
    figure = import_matplotlib().figure.Figure((WIDTH, height))
    axes = figure.add_axes(
        (left / WIDTH, 0.5 / height, 1 - (left + 0.16) / WIDTH, 2.55 / height)
    )
    axes.margins(y=0.1)  # room for labels above and below the lines
    return figure, axes


def draw_legend(axes, lines, names):
    axes.legend(
        lines,
        [shorten(name, 26) for name in names],
        loc="lower left",
        bbox_to_anchor=(-0.02, 0.99),
        ncols=2,
        borderpad=0,
        columnspacing=1.4,
        labelspacing=0.25,
    )


def shorten(text, num_letters):
    """Room in a figure is limited; an ellipsis stands for the rest."""
    return text if len(text) <= num_letters else f"{text[: num_letters - 1]}…"


def _line(axes, x, y, number, dense):
    number %= len(RUN_COLOURS)
    return axes.plot(
        x,
        y,
        color=RUN_COLOURS[number],
        marker=MARKERS[number],
        markersize=2 if dense else 3.2,
        markeredgewidth=0,
        clip_on=False,
        zorder=3,
    )[0]


def _mark_phases(axes, run, x, y, number, label_lift, end):
    """Open markers where a phase begins, and its name some points above."""
    starts = np.flatnonzero(np.diff(run.phase_of_epoch, prepend=-1))
    starts = [i for i in starts if np.isfinite(y[i])]
    if len(run.phases) < 2 or not starts:
        return
    colour = RUN_COLOURS[number % len(RUN_COLOURS)]
    axes.plot(
        x[starts],
        y[starts],
        linestyle="",
        marker=MARKERS[number % len(MARKERS)],
        markersize=7,
        markeredgewidth=1.6,
        markeredgecolor=colour,
        markerfacecolor=PAPER,
        clip_on=False,
        zorder=4,
    )
    if not label_lift:
        return
    for i, row in zip(starts, _label_rows(x[starts], end), strict=True):
        axes.annotate(
            str(run.history[i].get("resolution", "")),
            (x[i], y[i]),
            (-7 if x[i] > 0.9 * end else 7, label_lift * (1 + row)),
            textcoords="offset points",
            ha="right" if x[i] > 0.9 * end else "left",
            va="center",
            fontsize=8.5,
            color=colour,
            gid=f"halo-{number}-{i}",  # the page gives these a rim of its own
            zorder=6,
        )


def _label_rows(starts, end):
    """The row of each label: another one where two would overlap."""
    rows = [0]
    for near in np.diff(starts) < 0.3 * end:
        rows.append(rows[-1] + 1 if near else 0)
    return rows


def _compute_unit(macs):
    for size, text in ((1e18, "10¹⁸"), (1e15, "10¹⁵"), (1e12, "10¹²")):
        if macs >= 2 * size:
            return size, f"training compute ({text} multiply-accumulates)"
    return 1e9, "training compute (10⁹ multiply-accumulates)"


def _time_unit(seconds):
    for size, text in ((3600, "hours"), (60, "minutes")):
        if seconds >= 3 * size:
            return size, f"wall-clock time ({text})"
    return 1, "wall-clock time (seconds)"


@as_svg
def metric_figure(runs, column, against):
    """A validation metric, against what was spent up to then.

    Args:
        runs: list of `RunRecord`.
        column: str, of the history.
        against: `"macs"` or `"seconds"`.

    Returns:
        str, SVG.
    """
    unit = {"macs": _compute_unit, "seconds": _time_unit}[against]
    end = max(getattr(run, against).sum() for run in runs)
    size, label = unit(end)
    percent = "accuracy" in column
    figure, axes = make_axes(legend_rows=-(-len(runs) // 2))
    lines = []
    for number, run in enumerate(runs):
        x = np.cumsum(getattr(run, against)) / size
        y = run.column(column) * (100 if percent else 1)
        lines.append(_line(axes, x, y, number, len(x) > 40))
        lift = -9 * (len(runs) <= LABELLED)
        _mark_phases(axes, run, x, y, number, lift, end / size)
    axes.set_xlim(left=0)
    axes.set_xlabel(label)
    axes.set_ylabel(column_words(column) + (" (%)" if percent else ""))
    draw_legend(axes, lines, [run.name for run in runs])
    return figure


@as_svg
def loss_figure(runs, column):
    """Training or validation loss by epoch, on axes that agree.

    Args:
        runs: list of `RunRecord`.
        column: `"loss"` or `"val_loss"`.

    Returns:
        str, SVG.
    """
    figure, axes = make_axes(legend_rows=-(-len(runs) // 2))
    last = max(len(run.history) for run in runs)
    lines = []
    for number, run in enumerate(runs):
        epochs = np.arange(1, len(run.history) + 1)
        loss = run.column(column)
        lines.append(_line(axes, epochs, loss, number, len(epochs) > 40))
        lift = 9 * (len(runs) <= LABELLED)
        _mark_phases(axes, run, epochs, loss, number, lift, last)
    both = [run.column(name) for run in runs for name in ("loss", "val_loss")]
    both = np.concatenate(both)
    axes.update_datalim([(1, loss) for loss in both[np.isfinite(both)]])
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(
        import_matplotlib().ticker.MaxNLocator(integer=True)
    )
    axes.set_xlabel("epoch")
    axes.set_ylabel(column_words(column))
    draw_legend(axes, lines, [run.name for run in runs])
    return figure


@as_svg
def confusion_figure(run):
    """Confusion matrix: a row per true class, its clips by predicted class.

    Returns:
        str, SVG. Counts are written up to 14 classes, names up to 60.
    """
    counts = np.array(run.evaluation["confusion"], float)
    num_classes = len(counts)
    names = list(run.config.get("class_names", []))
    names += [str(i) for i in range(len(names), num_classes)]
    names = [shorten(name, 20) for name in names]
    side = WIDTH if num_classes <= 14 else 7.5
    figure = import_matplotlib().figure.Figure(
        (side, side), layout="constrained"
    )
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Transparent colour, so that the page's own ground shows through.
    pixels = np.empty((*counts.shape, 4))
    pixels[...] = (0.23, 0.58, 0.88, 1)  # seen on white and on black
    pixels[..., 3] = 0.8 * np.sqrt(shares)  # so that one mistake shows
    axes.imshow(pixels, interpolation="none")
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(FAINT)
    if num_classes <= 60:
        font = 9 if num_classes <= 14 else 6
        ticks = range(num_classes)
        axes.set_xticks(ticks, names[:num_classes], rotation=90, fontsize=font)
        axes.set_yticks(ticks, names[:num_classes], fontsize=font)
    axes.tick_params(length=0)
    if num_classes <= 14:
        for row, column in np.argwhere(counts > 0):
            axes.text(
                column,
                row,
                f"{counts[row, column]:.0f}",
                ha="center",
                va="center",
                fontsize=9 if counts.max() < 1000 else 7,
            )
    axes.set_title(shorten(run.name, 40))
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure


def spectrogram_figures(example, frame_seconds, num_tokens):
    """One clip at several resolutions, on axes and colours that agree.

    Args:
        example: dict, resolution to log-mel `(frames, mel_bins)`.
        frame_seconds: float, frame shift at full resolution.
        num_tokens: dict, resolution to tokens; may lack some.

    Returns:
        Dict, resolution to SVG text: the whole clip, and an eighth of it
        around the frame that has most to see; padding and silence are flat.
    """
    steps = {text: frame_step(text) for text in example}
    longest = max(steps[text] * len(example[text]) for text in example)
    values = [v[np.isfinite(v)] for v in example.values()]
    values = np.concatenate([v for v in values if v.size] or [np.zeros(1)])
    low, high = np.percentile(values, (1, 99.7))
    finest = max(example.values(), key=len)
    richest = np.argmax(np.nan_to_num(finest).std(axis=1)) / len(finest)
    seconds = frame_seconds * longest
    start = seconds * min(max(richest - 1 / 16, 0), 7 / 8)
    figures = {}
    for text, log_mel in example.items():
        title = f"{text}: {len(log_mel)} frames"
        if num_tokens.get(text):
            title += f", {num_tokens[text]} tokens"
        figures[text] = _spectrogram(
            log_mel,
            frame_seconds * steps[text],
            (0, seconds),
            (start, start + seconds / 8),
            title,
            (low, max(high, low + 1e-6)),
        )
    return figures


@as_svg
def _spectrogram(log_mel, frame_seconds, whole, close, title, limits):
    width = 3.7  # inches; three fit beside each other
    figure = import_matplotlib().figure.Figure((width, 3.9))
    size = (0.58 / width, 1 - 0.7 / width)
    top = figure.add_axes((size[0], 0.62, size[1], 0.31))
    bottom = figure.add_axes((size[0], 0.12, size[1], 0.36))
    for axes, (start, end) in ((top, whole), (bottom, close)):
        show_log_mel(axes, log_mel, frame_seconds, (start, end), limits)
    top.axvspan(*close, fill=False, edgecolor="white", linewidth=1.2)
    top.set_title(title)
    bottom.set_xlabel("time (s), the framed part enlarged")
    return figure


def show_log_mel(axes, log_mel, frame_seconds, span, limits, cmap="magma"):
    """Draws part of a log-mel on axes, a frame as a block.

    Args:
        axes: matplotlib axes.
        log_mel: `(frames, mel_bins)`.
        frame_seconds: float, seconds from frame to frame.
        span: `(start, end)`, seconds.
        limits: `(darkest, brightest)` value.
        cmap: str, matplotlib's name of the colours.
    """
    start, end = span
    first = int(start / frame_seconds)
    last = min(int(np.ceil(end / frame_seconds)), len(log_mel))
    axes.imshow(
        log_mel[first:last].T,
        aspect="auto",
        origin="lower",
        extent=(
            first * frame_seconds,
            last * frame_seconds,
            0,
            log_mel.shape[1],
        ),
        interpolation="none",  # a coarse frame is a block, not a smear
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
    )
    axes.set_xlim(start, end)
    axes.grid(False)
    axes.set_ylabel("mel bin")


def frame_step(text):
    """Full-resolution frames from one frame of the log-mel to the next."""
    try:
        resolution = Resolution.parse(text)
    except ValueError:
        return 1
    return resolution.shift * resolution.pool
