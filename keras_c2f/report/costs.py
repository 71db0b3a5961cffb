"""The table of the report that says what each phase cost."""

import numpy as np

from keras_c2f.evaluation.table import format_metric, metric_words
from keras_c2f.report.runs import find_baseline, share
from keras_c2f.report.words import (
    DASH,
    SPACE,
    format_count,
    format_duration,
    format_percent,
    format_seconds,
)


def cost_rows(runs, metric):
    """A row per phase of each run: tokens, compute, time, shares of both.

    With the clips of a step where these differ.

    Args:
        runs: list of `keras_c2f.report.runs.RunRecord`.
        metric: str, of scores at the switches.

    Returns:
        List of pairs, a run's name and its rows; a row is a dict from heading
        to text, and the last of several is their sum.
    """
    baseline = find_baseline(runs)
    has_switches = any(run.at_switch(metric) for run in runs)
    sizes = {phase.get("batch_size") for run in runs for phase in run.phases}
    return [
        (
            run.name,
            _rows(
                run, baseline, metric if has_switches else None, len(sizes) > 1
            ),
        )
        for run in runs
    ]


def partly_trained(run):
    """Sentence about a run that trains some of its weights alone, or `""`."""
    phase = run.phases[-1]
    whole, trained = phase.get("num_parameters"), phase.get("num_trained")
    if trained in (None, whole):
        return ""
    rank = run.config["recipe"].get("lora")
    return (
        f"{run.name} trains {format_count(trained)} of its "
        f"{format_count(whole)} weights"
        + (f", adapters of rank {rank} among them." if rank else ".")
    )


def _rows(run, baseline, metric, sizes_differ):
    at_switch = run.at_switch(metric) if metric else {}
    rows = []
    for index, phase in enumerate(run.phases):
        mine = run.phase_of_epoch == index
        measured = run.column("seconds")[mine]
        measured = measured[np.isfinite(measured)]
        median = float(np.median(measured)) if measured.size else None
        row = {
            "resolution": phase["resolution"],
            "tokens": format_count(phase.get("num_tokens")),
            "GMACs per clip": f"{phase['gmacs']:.3g}",
            **(
                {"clips per step": format_count(phase.get("batch_size"))}
                if sizes_differ
                else {}
            ),
            "epochs": _epochs(int(mine.sum()), phase["epochs"]),
            "seconds per epoch": format_seconds(median),
            "clips per second": format_count(
                share(run.config["num_train_clips"], median)
            ),
            **_spent(run, baseline, mine),
        }
        if metric:
            row[f"{metric_words(metric)} at the switch"] = " → ".join(
                format_metric(metric, score)
                for score in at_switch.get(index, ())
            )
        rows.append(row)
    planned = len(run.history) if run.is_finished else run.planned_epochs
    total = {
        **dict.fromkeys(rows[0], ""),
        "resolution": "all phases",
        "epochs": _epochs(len(run.history), planned),
        **_spent(run, baseline, slice(None)),
    }
    return [*rows, total] if len(rows) > 1 else rows


def _epochs(done, planned):
    return f"{done}" if done >= planned else f"{done}{SPACE}of{SPACE}{planned}"


def _spent(run, baseline, epochs):
    """Time of some epochs, and their shares of compute and time."""
    seconds, macs = run.seconds[epochs], run.macs[epochs]
    whole, name = (baseline, "baseline’s") if baseline else (run, "run’s")
    whole_seconds = whole.seconds.sum() if whole.is_finished else None
    return {
        "time": format_duration(seconds.sum()) if seconds.size else DASH,
        f"share of {name} compute": format_percent(
            share(macs.sum(), whole.total_macs)
        ),
        f"share of {name} time": format_percent(
            share(seconds.sum(), whole_seconds)
        ),
    }
