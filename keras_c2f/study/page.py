"""A study's page, in Markdown: what was asked, then what was found."""

import math
import os

from keras_c2f.run_folder import write_whole
from keras_c2f.study.comparison import compare, mean_curve
from keras_c2f.study.figure import draw_study

DASH = "–"


def write_page(study, results, command=""):
    """Writes `NAME.md` and `NAME.png` beside the rows.

    Works while a study is under way: a method without runs is left out.

    Args:
        study: `Study`.
        results: `Results`.
        command: str, what to type to run the study.

    Returns:
        Path of the page, or `None` if no run is finished.
    """
    compared = {data: compare(study, results, data) for data in study.data}
    compared = {data: found for data, found in compared.items() if found}
    if not compared:
        return None
    picture = f"{study.name}.png"
    curves = {
        data: {
            found.method: mean_curve(study, results, found.method, data)
            for found in of_data
        }
        for data, of_data in compared.items()
    }
    write_whole(
        os.path.join(results.folder, picture),
        lambda path: draw_study(compared, curves, path),
    )
    parts = [
        f"# {study.title}",
        f"**Question.** {study.question}",
        f"**Budget.** {study.budget}",
        f"**Stopping rule.** {study.stopping_rule}",
        f"`{command}`" if command else "",
        f"![score against training compute]({picture})",
    ]
    for data, of_data in compared.items():
        parts.append(f"## {data}")
        parts.append(_extent(study, results, data))
        parts.append(_table(of_data, study.baseline))
        parts.append(_switch_table(of_data))
        parts.append(_corruption_table(study, results, data))
    path = os.path.join(results.folder, f"{study.name}.md")
    text = "\n\n".join(filter(None, parts)) + "\n"
    write_whole(path, lambda temporary: _write_text(temporary, text))
    return path


def _extent(study, results, data):
    """How much of the grid is done, and where it was run."""
    cells = [c for c in study.cells([data]) if c.command == "train"]
    rows = [results.runs[c.id] for c in cells if c.id in results.runs]
    clips = sorted({int(row["clips"]) for row in rows})
    spans = f"{clips[0]}" if len(clips) == 1 else f"{clips[0]} to {clips[-1]}"
    where = sorted({f"{r['backend']} on {r['hardware']}" for r in rows})
    return (
        f"{len(rows)} of {len(cells)} runs; {spans} clips to validate on. "
        f"{'; '.join(where)}. Each row, its seed, versions and command: "
        f"[runs.csv](runs.csv)."
    )


def _table(compared, baseline):
    metric = compared[0].metric.replace("_", " ")
    head = [
        "method",
        f"{metric}, %",
        f"against {baseline}, points (95 %)",
        "runs",
        "TMACs",
        "of baseline",
        "time",
        "processor time",
        "MACs until baseline's score",
    ]
    lines = [_row(head), _row(["---"] * len(head))]
    for found in compared:
        difference = DASH
        if found.difference:
            difference = format_interval(found.difference)
        reached = found.reached.get("macs")
        lines.append(
            _row(
                [
                    found.method,
                    f"{100 * found.score:.1f}",
                    difference,
                    str(len(found.scores)),
                    f"{found.macs / 1e12:.3g}",
                    *(
                        _percent(found.shares.get(unit))
                        for unit in ("macs", "seconds", "cpu_seconds")
                    ),
                    _percent(reached) if reached else "never",
                ]
            )
        )
    return "\n".join(lines)


def _switch_table(compared):
    lines = []
    for found in compared:
        for switch in found.switches:
            back = switch.recovery
            lines.append(
                _row(
                    [
                        found.method,
                        switch.resolution,
                        f"{100 * switch.before:.1f}",
                        f"{100 * switch.after:.1f}",
                        "never" if math.isnan(back) else f"{back:.1f}",
                    ]
                )
            )
    if not lines:
        return ""
    head = ["method", "to", "before, %", "right after, %", "epochs to recover"]
    return "\n".join([_row(head), _row(["---"] * len(head)), *lines])


def _corruption_table(study, results, data):
    """Scores on changed sound, means over the runs that have them."""
    head = ["method", *study.corruptions]
    lines = []
    for method in study.methods:
        cells = [
            c
            for c in study.cells([data])
            if c.method == method and c.id in results.corrupted
        ]
        scores = [results.corrupted[c.id] for c in cells]
        if scores:
            means = [
                100 * sum(s[text] for s in scores) / len(scores)
                for text in study.corruptions
            ]
            lines.append(_row([method, *(f"{mean:.1f}" for mean in means)]))
    if not lines:
        return ""
    return "\n".join([_row(head), _row(["---"] * len(head)), *lines])


def format_interval(difference):
    """`-1.2 (-3.0 to 0.6)`, in points; the mean alone without an interval."""
    text = f"{100 * difference.mean:+.1f}"
    if math.isnan(difference.low):
        return text
    ends = f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
    return f"{text} ({ends})"


def _percent(value):
    return DASH if value is None else f"{value:.0%}"


def _row(cells):
    return f"| {' | '.join(cells)} |"


def _write_text(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
