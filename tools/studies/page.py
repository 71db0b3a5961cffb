"""A study's page, in Markdown: what was asked, then what was found."""

import math
import os
import statistics

from keras_c2f.datasets.registry import form
from keras_c2f.utils.files import atomic_write, write_text
from studies.comparison import UNITS, compare, mean_curve, paired_rows
from studies.figure import draw_study
from studies.interval import interval

DASH = "–"
READING = """\
How to read it. Scores are those after the last epoch; of a method with fewer
runs, means over fewer parts or seeds, so that methods are compared by
differences. A difference is a mean over pairs of runs with the same held-out
part and seed, with a 95 % interval over parts x seeds. `; 5` alone is over
parts: there is one seed, or not every part has run with every seed, and seeds
are averaged; it then knows nothing of other seeds, whose first weights all
parts share. Folds share clips to train on, so it is narrower than it should
be. Compute is counted (three forward passes over all clips an epoch; through
frozen layers one, or two behind what is trained), time is that of the epochs
on the cores a run had, without validation, processor time that of its process.
Shares of these two are over the pairs of which both rows have them.
The last column is the share of the baseline's compute after which the mean
learning curve first came to the baseline's final score, wherever it ended."""


def write_page(study, results):
    """Writes `NAME.md` and `NAME.png` beside the rows.

    Works while a study is under way: a method without runs is left out, and
    a data set where a single method has run, unless there is no other.

    Args:
        study: `Study`.
        results: `Results`.

    Returns:
        Path of the page, or `None` if no run is finished.
    """
    compared = {data: compare(study, results, data) for data in study.data}
    compared = {data: found for data, found in compared.items() if found}
    if not compared:
        return None
    several = {data: c for data, c in compared.items() if len(c) > 1}
    compared = several or compared  # the baseline is other studies' too
    picture = f"{study.name}.png"
    curves = {
        data: {
            found.method: mean_curve(study, results, found.method, data)
            for found in of_data
        }
        for data, of_data in compared.items()
    }
    atomic_write(
        os.path.join(results.folder, picture),
        lambda path: draw_study(compared, curves, path),
    )
    parts = [
        f"# {study.title}",
        f"**Question.** {study.question}",
        f"**Budget.** {study.budget}",
        f"**Stopping rule.** {study.stopping_rule}",
        f"`{_command(study)}`",
        f"![score against training compute]({picture})",
    ]
    for data, of_data in compared.items():
        parts.append(f"## {data}")
        parts.append(_extent(study, results, data))
        parts.append(_table(of_data, study.baseline))
        parts.append(_seed_table(of_data, study.baseline))
        parts.append(_switch_table(of_data))
        parts.append(_corruption_table(study, results, data))
    parts.append(READING)
    path = os.path.join(results.folder, f"{study.name}.md")
    text = "\n\n".join(filter(None, parts)) + "\n"
    write_text(path, text)
    return path


def _command(study):
    """What to type to run the study, or what is left of it."""
    # ESC-10 is part of ESC-50
    names = dict.fromkeys(
        {"esc10": "esc50"}.get(name, name)
        for name in study.data
        if form(name) != name
    )
    paths = [f"--path {name}=PATH" for name in names]
    return " ".join(["python tools/study.py", study.name, *paths])


def _extent(study, results, data):
    """How much of the grid is done, and where it was run."""
    cells = [c for c in study.cells([data]) if c.command == "train"]
    rows = [results.runs[c.id] for c in cells if c.id in results.runs]
    clips = sorted({int(row["clips"]) for row in rows})
    spans = f"{clips[0]}" if len(clips) == 1 else f"{clips[0]} to {clips[-1]}"
    return (
        f"{len(rows)} of {len(cells)} runs; {spans} clips to validate on. "
        f"{_where(rows)}. Each row, its seed, versions and command: "
        f"[runs.csv](runs.csv)."
    )


def _where(rows):
    """Backends and machines: `jax on 1 to 4 x a processor; torch on ...`."""
    cores = {}
    for row in rows:
        number, times, machine = row["hardware"].partition(" x ")
        position = (row["backend"], times + machine)
        cores.setdefault(position, set()).add(number)
    words = []
    for (backend, machine), numbers in sorted(cores.items()):
        ends = sorted(numbers, key=lambda number: (len(number), number))
        span = " to ".join(dict.fromkeys((ends[0], ends[-1])))
        words.append(f"{backend} on {span}{machine}")
    return "; ".join(words)


def _table(compared, baseline):
    metric = compared[0].metric.replace("_", " ")
    units = {
        unit: word
        for unit, word in UNITS.items()
        if any(unit in f.shares for f in compared if f.method != baseline)
    }
    head = [
        "method",
        f"{metric}, %",
        f"against {baseline}, points (95 %)",
        "runs",
        "TMACs",
        *units.values(),
        "of baseline's MACs until its score",
    ]
    lines = [_row(head), _row(["---"] * len(head))]
    for found in compared:
        difference = DASH
        if found.difference:
            difference = format_interval(found.difference)
        lines.append(
            _row(
                [
                    found.method,
                    f"{100 * found.score:.1f}",
                    difference,
                    str(len(found.scores)),
                    f"{found.macs / 1e12:.3g}",
                    *(_percent(found.shares.get(unit)) for unit in units),
                    _percent(found.reached),
                ]
            )
        )
    return "\n".join(lines)


def _seed_table(compared, baseline):
    """Seed by seed, where there are several."""
    seeds = sorted({seed for found in compared for seed in found.by_seed})
    if len(seeds) < 2:
        return ""
    head = [
        f"against {baseline}, points (pairs ahead), on",
        *(f"seed {seed}" for seed in seeds),
    ]
    lines = [_row(head), _row(["---"] * len(head))]
    for found in compared:
        if found.by_seed:
            cells = [_seed_cell(found.by_seed.get(seed)) for seed in seeds]
            lines.append(_row([found.method, *cells]))
    return "\n".join(lines)


def _seed_cell(found):
    if found is None:
        return DASH
    return (
        f"{100 * found.mean:+.1f} ({found.ahead} of {found.count}), "
        f"{' against '.join(found.backends)}"
    )


def _switch_table(compared):
    lines = []
    for found in compared:
        for switch in found.switches:
            found_back = not math.isnan(switch.recovery)
            recovery = f"{switch.recovery:.1f}" if found_back else "never"
            lines.append(
                _row(
                    [
                        found.method,
                        switch.resolution,
                        f"{100 * switch.before:.1f}",
                        f"{100 * switch.after:.1f}",
                        f"{recovery} ({switch.recovered} of {switch.count})",
                    ]
                )
            )
    if not lines:
        return ""
    head = [
        "method",
        "to",
        "before, %",
        "right after, %",
        "epochs to recover (runs that do)",
    ]
    return "\n".join([_row(head), _row(["---"] * len(head)), *lines])


def _corruption_table(study, results, data):
    """What runs lose on changed audio, of parts and seeds all methods have."""
    texts = study.corruptions
    of_methods = {}
    for method in study.methods:
        rows = paired_rows(study, results, method, data)
        of_methods[method] = {
            key: _losses(row, results.corrupted.get(row["id"], {}), texts)
            for key, row in rows.items()
            if not set(texts) - set(results.corrupted.get(row["id"], {}))
        }
    common = set.intersection(*(set(found) for found in of_methods.values()))
    if not (texts and common):
        return ""
    lines = []
    for method, found in of_methods.items():
        cells = [method]
        for text in texts:
            lost = {key: found[key][text] for key in common}
            theirs = of_methods[study.baseline]
            more = {key: lost[key] - theirs[key][text] for key in common}
            cell = f"{100 * statistics.mean(lost.values()):.1f}"
            if method != study.baseline:
                cell += f"; {format_interval(interval(more))}"
            cells.append(cell)
        lines.append(_row(cells))
    head = _row(["points lost on", *texts])
    words = (
        f"Points lost against clean recording, and how many more than "
        f"{study.baseline} (95 %), over {len(common)} runs each."
    )
    return "\n".join(
        [words, "", head, _row(["---"] * (1 + len(texts))), *lines]
    )


def _losses(row, scores, texts):
    return {text: float(row["score"]) - scores[text] for text in texts}


def format_interval(difference):
    """`-1.2 (-3.0 to +0.6; 5 x 3)`, in points; the mean alone of one run."""
    text = f"{100 * difference.mean:+.1f}"
    if math.isnan(difference.low):
        return text
    ends = f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
    counted = [n for n in (difference.parts, difference.seeds) if n > 1]
    return f"{text} ({ends}; {' x '.join(map(str, counted))})"


def _percent(value):
    if value is None:
        return DASH
    return "never" if math.isinf(value) else f"{value:.0%}"


def _row(cells):
    return f"| {' | '.join(cells)} |"
