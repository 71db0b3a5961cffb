"""The table of the report that says what each phase cost."""

from html import escape

import numpy as np

from keras_c2f.report.blocks import section
from keras_c2f.report.runs import find_baseline, share
from keras_c2f.report.words import (
    DASH,
    SPACE,
    format_count,
    format_duration,
    format_percent,
    format_score,
    format_seconds,
    words,
)

AT_SWITCH = (
    " At the switch: at the end of the phase before, and with the same weights "
    "at the new resolution, before any training there."
)


def cost_table(runs, metric):
    """A row per phase of each run: tokens, compute, time, shares of both.

    Args:
        runs: list of `keras_c2f.report.runs.RunRecord`.
        metric: str, of scores at the switches.

    Returns:
        str, HTML.
    """
    switched = [run for run in runs if run.at_switch(metric)]
    baseline = find_baseline(runs)
    whole = "baseline’s" if baseline else "run’s"
    head = (
        "run",
        "resolution",
        "tokens",
        "GMACs per clip",
        "epochs",
        "seconds per epoch",
        "clips per second",
        "time",
        f"share of {whole} compute",
        f"share of {whole} time",
        *([f"{words(metric)} at the switch"] if switched else []),
    )
    body = "".join(
        _cost_rows(run, baseline or run, metric if switched else None)
        for run in runs
    )
    cells = "".join(f"<th scope=col>{escape(name)}</th>" for name in head)
    return section(
        "What each phase cost",
        f'<div class="scroll"><table><thead><tr>{cells}</tr></thead>{body}'
        "</table></div>",
        "Seconds are the median epoch, without validation; the first epoch "
        "of a phase also compiles. Clips are training clips. GMACs are 10⁹ "
        "multiply-accumulates of one forward pass, less for frozen layers; "
        "training is counted as three. Shares are of epochs done."
        + (AT_SWITCH if switched else "")
        + "".join(map(_trained_weights, runs)),
    )


def _trained_weights(run):
    """Sentence about a run that trains some of its weights alone, or `""`."""
    phase = run.phases[-1]
    whole, trained = phase["num_parameters"], phase.get("num_trained")
    if trained in (None, whole):
        return ""
    rank = run.config["recipe"].get("lora")
    return (
        f" {run.name} trains {format_count(trained)} of its "
        f"{format_count(whole)} weights"
        + (f", adapters of rank {rank} among them." if rank else ".")
    )


def _cost_rows(run, whole, metric):
    phase_of_epoch, macs, seconds = run.phase_of_epoch, run.macs, run.seconds
    whole_seconds = whole.seconds.sum() if whole.is_finished else None
    at_switch = run.at_switch(metric)
    rows = []
    for index, phase in enumerate(run.phases):
        mine = phase_of_epoch == index
        measured = run.column("seconds")[mine]
        measured = measured[np.isfinite(measured)]
        median = float(np.median(measured)) if measured.size else None
        done, planned = int(mine.sum()), phase["epochs"]
        rows.append(
            (
                phase["resolution"],
                format_count(phase.get("num_tokens")),
                f"{phase['gmacs']:.3g}",
                str(done)
                if done >= planned
                else f"{done}{SPACE}of{SPACE}{planned}",
                format_seconds(median),
                format_count(share(run.config["num_train_clips"], median)),
                format_duration(seconds[mine].sum()) if done else DASH,
                format_percent(share(macs[mine].sum(), whole.total_macs)),
                format_percent(share(seconds[mine].sum(), whole_seconds)),
                " → ".join(
                    format_score(score, metric)
                    for score in at_switch.get(index, ())
                ),
            )
        )
    done = len(run.history)
    total = (
        "all phases",
        "",
        "",
        f"{done}"
        if run.is_finished
        else f"{done}{SPACE}of{SPACE}{run.planned_epochs}",
        "",
        "",
        format_duration(seconds.sum()) if done else DASH,
        format_percent(share(macs.sum(), whole.total_macs)),
        format_percent(share(seconds.sum(), whole_seconds)),
        "",
    )
    rows = [*rows, total] if len(rows) > 1 else rows
    name = f'<th scope="rowgroup" rowspan="{len(rows)}">{escape(run.name)}</th>'
    lines, shown = [], None if metric else -1
    for row in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row[1:shown])
        cells = f'<td class="name">{escape(row[0])}</td>{cells}'
        kind = ' class="total"' if row is total else ""
        lines.append(f"<tr{kind}>{'' if lines else name}{cells}</tr>")
    return f"<tbody>{''.join(lines)}</tbody>"
