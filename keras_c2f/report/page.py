"""One page about one experiment: what training coarse to fine saved.

The page is a single HTML file that opens without a network. What is computed
is in `runs.py`, what is drawn in `plots.py`, headlines in `words.py`; here are
the values of the template.
"""

import json
from itertools import groupby
from pathlib import Path

import numpy as np

from keras_c2f.evaluation.evaluate import primary_metric
from keras_c2f.evaluation.table import format_metric, metric_words
from keras_c2f.export.comparison import recommended
from keras_c2f.export.table import export_caption, export_cells, recommendation
from keras_c2f.report import plots
from keras_c2f.report.cascades import cascade_values
from keras_c2f.report.classes import class_values
from keras_c2f.report.costs import cost_rows, partly_trained
from keras_c2f.report.findings import findings_of_all
from keras_c2f.report.rendering import write_page
from keras_c2f.report.runs import (
    find_baseline,
    read_runs,
    share,
    shared_example,
)
from keras_c2f.report.words import (
    DASH,
    caution,
    column_words,
    format_duration,
    format_si,
    headline,
)
from keras_c2f.utils import packages
from keras_c2f.utils.annotations import PathLike

SPENT = {"macs": "training compute", "seconds": "time"}


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
        ImportError: if matplotlib or jinja2 is missing.
    """
    packages.require("matplotlib", "jinja2")
    runs = read_runs(folder)
    metric = primary_metric({name for run in runs for name in run.metrics})
    return write_page(
        Path(folder) / "report.html",
        title=f"Coarse to fine: {runs[0].config.get('data', '')}",
        headline=[*headline(runs, metric), *findings_of_all(runs)],
        note=caution(runs, metric),
        cards=[_card(run, find_baseline(runs), metric) for run in runs],
        costs=cost_rows(runs, metric),
        partly_trained=map(partly_trained, runs),
        has_switches=any(run.at_switch(metric) for run in runs),
        reconstructions=[
            (run.name, _spectrograms(run, run.reconstruction))
            for run in runs
            if run.reconstruction
        ],
        resolutions=_resolution_rows(runs),
        cascades=cascade_values(runs),
        exports=[(run.name, _exports(run)) for run in runs if run.exports],
        skipped={
            str(path): str(reason)
            for run in runs
            for path, reason in run.evaluation.get("skipped", [])
        },
        configs=[_configuration(run) for run in runs],
        **_curves([run for run in runs if run.history]),
        **_inputs(runs),
        **_confusions([r for r in runs if r.evaluation.get("confusion")]),
        **class_values(runs),
    )


def _resolution_rows(runs):
    """What networks are worth at each resolution that they were trained at."""
    groups = []
    for run in runs:
        rows = [
            {
                "resolution": resolution,
                "GMACs a clip": f"{figures['gmacs']:.3g}",
                **{
                    metric_words(name): format_metric(name, value)
                    for name, value in figures.items()
                    if name != "gmacs"
                },
            }
            for resolution, figures in run.evaluation.get(
                "resolutions", {}
            ).items()
        ]
        groups += [(run.name, rows)] if rows else []
    return groups


def _card(run, baseline, metric):
    score = run.score(metric)
    is_compared = baseline and baseline.is_finished and run.is_finished
    epochs = f"{len(run.history)} of {run.planned_epochs} epochs"

    def part(name):
        whole = getattr(baseline, name).sum() if is_compared else None
        return share(getattr(run, name).sum(), whole)

    return {
        "name": run.name,
        "score": DASH if score is None else format_metric(metric, score),
        "measure": metric_words(metric)
        + ("" if run.is_finished else f" after {epochs}"),
        "costs": [
            ("compute", f"{format_si(run.macs.sum())}MACs", part("macs")),
            ("time", format_duration(run.seconds.sum()), part("seconds")),
        ],
        "schedule": run.config.get("schedule", ""),
    }


def _curves(runs):
    """Figures of the history; what has a single point is said in words."""
    metrics = dict.fromkeys(m for run in runs for m in run.metrics)
    values = {}
    for name in ("loss", "val_loss", *(f"val_{metric}" for metric in metrics)):
        column = np.concatenate([[], *(run.column(name) for run in runs)])
        values[name] = column[np.isfinite(column)]
    single = [
        f"{column_words(name)} {format_metric(name, found[0])}"
        for name, found in values.items()
        if len(found) == 1
    ]
    return {
        "scores": [
            (
                f"{metric_words(metric)} by {spent}",
                plots.metric_figure(runs, f"val_{metric}", against),
            )
            for metric in metrics
            if len(values[f"val_{metric}"]) > 1
            for against, spent in SPENT.items()
        ],
        "losses": [
            (column_words(name), plots.loss_figure(runs, name))
            for name in ("loss", "val_loss")
            if len(values[name]) > 1
        ],
        "single": f"After one epoch: {', '.join(single)}." if single else "",
    }


def _inputs(runs):
    """One clip as the network is given it, at each resolution."""
    label, example = shared_example(runs)
    tokens = {
        phase["resolution"]: phase.get("num_tokens")
        for run in runs
        for phase in run.phases
    }
    drawn = _spectrograms(runs[0], example, tokens) if example else []
    return {"input_label": label, "inputs": drawn}


def _spectrograms(run, log_mels, num_tokens=()):
    seconds = run.config["frontend"]["frame_shift_ms"] / 1000
    drawn = plots.spectrogram_figures(log_mels, seconds, dict(num_tokens))
    return [(f"spectrogram, {name}", svg) for name, svg in drawn.items()]


def _confusions(runs):
    sizes = [len(run.evaluation["confusion"]) for run in runs]
    return {
        "confusions": [
            (f"confusion matrix, {run.name}", plots.confusion_figure(run))
            for run in runs
        ],
        "confusion_kind": "wide" if max(sizes, default=0) > 14 else "",
        "errors": [
            (run.name, pairs) for run in runs if (pairs := _confused_pairs(run))
        ],
    }


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
    return pairs


def _exports(run):
    """Exported files beside Keras, and which of each kind to take."""

    def kind(row):
        return row["format"], row["resolution"]

    rows = sorted(run.exports, key=kind)
    cells = {}
    for row in rows:
        cells.setdefault(row["format"], []).append(export_cells(row))
    groups = [list(found) for _, found in groupby(rows, kind)]
    return {
        "rows": list(cells.items()),
        "advice": [
            recommendation(recommended(group), group)
            for group in groups
            if len(group) > 1
        ],
        "caption": export_caption(rows),
    }


def _configuration(run):
    config = {
        key.replace("_", " "): _plain(value)
        for key, value in run.config.items()
        if key != "command"
    }
    return run.name, run.config.get("command"), config


def _plain(value):
    """A configuration value as a person would write it."""
    if isinstance(value, dict):
        return "\n".join(f"{k}: {_plain(v)}" for k, v in value.items())
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return "\n".join(_plain(v).replace("\n", ", ") for v in value)
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return value if isinstance(value, str) else json.dumps(value)
