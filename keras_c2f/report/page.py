"""One page about one experiment: what training coarse to fine saved.

The page is a single HTML file that opens without a network. What is computed
is in `runs.py`, what is drawn in `plots.py`; here are the words.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_c2f.report import plots
from keras_c2f.report.blocks import (
    figure_section,
    paragraph,
    section,
    skipped_section,
)
from keras_c2f.report.classes import class_table
from keras_c2f.report.cost_table import cost_table
from keras_c2f.report.exports import exports_section
from keras_c2f.report.findings import findings_of_all
from keras_c2f.report.runs import (
    find_baseline,
    main_metric,
    read_runs,
    share,
    shared_example,
)
from keras_c2f.report.style import PAGE
from keras_c2f.report.words import (
    DASH,
    caution,
    format_duration,
    format_percent,
    format_score,
    format_si,
    headline,
    words,
)
from keras_c2f.utils.files import write_text

if TYPE_CHECKING:
    from keras_c2f.utils.annotations import PathLike


def write_report(folder: PathLike) -> Path:
    """Writes `report.html` about the runs below a folder.

    Works while runs are still training: what is missing is left out.

    Args:
        folder: path that holds one folder per run, each with `config.json`
            and, as far as training has come, `history.csv`,
            `evaluation.json`, `evaluation.csv` and `example.npz`. A run
            named `baseline` is what the others are compared with.

    Returns:
        `pathlib.Path` of `report.html` inside `folder`.

    Raises:
        FileNotFoundError: if there is no run.
        ImportError: if matplotlib is missing.
    """
    folder = Path(folder)
    runs = read_runs(folder)
    metric = main_metric(runs)
    sections = (
        _cards(runs, metric),
        _metric_section(runs),
        cost_table(runs, metric),
        _loss_section(runs),
        _spectrogram_section(runs),
        *map(_reconstruction_section, runs),
        _confusion_section(runs),
        _class_section(runs),
        *map(exports_section, runs),
        _skipped_section(runs),
        _config_section(runs),
    )
    sentences = [*headline(runs), *findings_of_all(runs)]
    page = PAGE.substitute(
        title=escape(f"Coarse to fine: {runs[0].config.get('data', '')}"),
        headline="".join(f"<p>{escape(s)}</p>" for s in sentences),
        caution=paragraph(caution(runs, metric)),
        body="\n".join(section for section in sections if section),
    )
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _cards(runs, metric):
    baseline = find_baseline(runs)
    cards = []
    for number, run in enumerate(runs):
        score = run.score(metric)
        figure = DASH if score is None else format_score(score, metric)
        what = (
            words(metric)
            if run.is_finished
            else (
                f"{words(metric)} after {len(run.history)} of "
                f"{run.planned_epochs} epochs"
            )
        )
        seconds = run.seconds.sum()
        costs = [
            ("compute", f"{format_si(run.macs.sum())}MACs", "macs"),
            ("time", format_duration(seconds), "seconds"),
        ]
        rows = ""
        for label, amount, of in costs:
            part = None
            if baseline and baseline.is_finished and run.is_finished:
                whole = getattr(baseline, of).sum()
                part = share(getattr(run, of).sum(), whole)
            width = f"{100 * min(part, 1):.1f}" if part is not None else "0"
            rows += (
                f"<dt>{label}</dt><dd>{amount}"
                + (
                    f" <b>{format_percent(part)}</b>"
                    if part is not None
                    else ""
                )
                + f'<i class="bar"><i style="width:{width}%"></i></i></dd>'
            )
        cards.append(
            f'<article style="--run:var(--run-{number % 6})">'
            f"<h2>{escape(run.name)}</h2>"
            f"<p class=score>{figure}<small>{escape(what)}</small></p>"
            f"<dl>{rows}</dl>"
            f"<p class=schedule>{escape(str(run.config.get('schedule', '')))}"
            "</p></article>"
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _metric_section(runs):
    runs = [run for run in runs if run.history]
    figures = [
        (plots.metric_figure(runs, metric, against), f"{metric} by {against}")
        for metric in dict.fromkeys(m for run in runs for m in run.metrics)
        for against in ("macs", "seconds")
    ]
    caption = (
        "Further left is cheaper. Open markers are the first epoch of a phase, "
        "labelled with its resolution."
    )
    if any(run.reconstruction for run in runs):
        caption += (
            " Figures of masked patches do not compare between resolutions: "
            "a coarse one has fewer patches to choose from."
        )
    return figure_section("Score against compute and time", figures, caption)


def _loss_section(runs):
    runs = [run for run in runs if run.history]
    columns = {
        column: np.concatenate([run.column(column) for run in runs])
        for column in (("loss", "val_loss") if runs else ())
    }
    columns = {
        name: values[np.isfinite(values)]
        for name, values in columns.items()
        if np.isfinite(values).any()
    }
    if not columns:
        return ""
    values = np.concatenate(list(columns.values()))
    margin = 0.05 * np.ptp(values) or 0.1
    limits = values.min() - margin, values.max() + margin
    return figure_section(
        "Loss by epoch",
        [(plots.loss_figure(runs, c, limits), c) for c in columns],
        "",
    )


def _spectrogram_section(runs):
    label, example = shared_example(runs)
    if not example:
        return ""
    tokens = {
        phase["resolution"]: phase.get("num_tokens")
        for run in runs
        for phase in run.phases
    }
    figures = plots.spectrogram_figures(
        example, _frame_seconds(runs[0]), tokens
    )
    patches = (
        " Patch phases keep the spectrogram and use longer patches."
        if any("patch" in text for text in example)
        else ""
    )
    return figure_section(
        "Network input at each phase",
        [(svg, f"spectrogram, {text}") for text, svg in figures.items()],
        f"One clip ({label}) at the resolution of each phase. Brightness is "
        f"log-mel power, on one scale.{patches}",
        kind="figures clips",
    )


def _reconstruction_section(run):
    if not run.reconstruction:
        return ""
    figures = plots.spectrogram_figures(
        run.reconstruction, _frame_seconds(run), {}
    )
    return figure_section(
        f"Masked patches reconstructed by {run.name}",
        [(svg, f"spectrogram, {name}") for name, svg in figures.items()],
        "One validation clip. Masked patches are blank; the last picture has "
        "their reconstruction.",
        kind="figures clips",
    )


def _frame_seconds(run):
    return run.config["frontend"]["frame_shift_ms"] / 1000


def _confusion_section(runs):
    figures, notes = [], []
    for run in runs:
        if run.evaluation.get("confusion"):
            figures.append(
                (plots.confusion_figure(run), f"confusion matrix, {run.name}")
            )
            notes.append(_confused_pairs(run))
    note = " ".join(note for note in notes if note)
    many_classes = any(
        len(r.evaluation.get("confusion", ())) > 14 for r in runs
    )
    return figure_section(
        "Confusion matrix",
        figures,
        "Colour: share of the true class’s clips (square root, so that single "
        f"errors are visible). {note}",
        kind="figures wide" if many_classes else "figures",
    )


def _confused_pairs(run):
    """The most frequent errors, in words."""
    counts = np.array(run.evaluation["confusion"])
    names = run.config.get("class_names", [])
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    pairs = []
    for flat in np.argsort(-wrong, axis=None, kind="stable")[:3]:
        true, predicted = divmod(int(flat), len(counts))
        if wrong[true, predicted] and max(true, predicted) < len(names):
            pairs.append(
                f"{names[true]} as {names[predicted]} ("
                f"{wrong[true, predicted]} of {counts[true].sum()})"
            )
    return (
        f"Most frequent errors of {run.name}: {', '.join(pairs)}."
        if pairs
        else ""
    )


def _class_section(runs):
    table, caption = class_table(runs)
    return section("Class by class", table, caption) if table else ""


def _skipped_section(runs):
    skipped = {
        str(path): str(reason)
        for run in runs
        for path, reason in run.evaluation.get("skipped", [])
    }
    return skipped_section(skipped)


def _config_section(runs):
    return section(
        "Command and configuration",
        "".join(_config_details(run) for run in runs),
    )


def _config_details(run):
    config = {k: v for k, v in run.config.items() if k != "command"}
    command = run.config.get("command")
    rows = "".join(
        f"<tr><th scope=row>{escape(key.replace('_', ' '))}</th>"
        f"<td>{escape(_plain(value))}</td></tr>"
        for key, value in config.items()
    )
    shown = f"<pre>{escape(command)}</pre>" if command else ""
    return (
        f"<details><summary>{escape(run.name)}</summary>{shown}"
        f'<table class="config">{rows}</table></details>'
    )


def _plain(value):
    """A configuration value as a person would write it."""
    if isinstance(value, dict):
        return "\n".join(f"{k}: {_plain(v)}" for k, v in value.items())
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return "\n".join(_plain(v).replace("\n", ", ") for v in value)
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return value if isinstance(value, str) else json.dumps(value)
