"""The sentences and number formats of `report.html`."""

import numpy as np

from keras_c2f.cost import training_macs
from keras_c2f.evaluation.table import format_metric, metric_words
from keras_c2f.report.runs import chance_points, find_baseline, share

DASH = "–"
SPACE = "\u00a0"  # keeps a number and its unit on one line
BEST_KEPT = (
    "The best epoch was chosen on these validation clips, which makes scores "
    "slightly optimistic, most where the last phase has many epochs."
)


def headline(runs, metric):
    """The result, a sentence per run, as a list of str.

    Args:
        runs: list of `keras_c2f.report.runs.RunRecord`.
        metric: str, that stands for the others.
    """
    baseline = find_baseline(runs)
    others = [run for run in runs if run is not baseline]
    if baseline is None or not others:
        return [_lone_sentence(run, metric) for run in runs]
    if not baseline.is_finished:
        return [_progress_sentence(run, metric) for run in runs]
    finished = [run for run in others if run.is_finished]
    return [_comparison(run, baseline, metric) for run in finished] + [
        _progress_sentence(run, metric) for run in others if not run.is_finished
    ]


def _comparison(run, baseline, metric):
    compute = share(run.total_macs, baseline.total_macs)
    time = share(run.seconds.sum(), baseline.seconds.sum())
    cost = (
        f"with {format_percent(compute)} of its compute and "
        f"{format_percent(time)} of its time"
    )
    if run.config.get("hardware") != baseline.config.get("hardware"):
        cost += " (on other hardware)"
    score, reference = run.score(metric), baseline.score(metric)
    if score is None or reference is None:
        return (
            f"{run.name} finished, beside the baseline, {cost}; "
            f"{metric_words(metric)} was not measured for both."
        )
    return (
        f"{run.name} reached {format_metric(metric, score)} "
        f"{metric_words(metric)} against {format_metric(metric, reference)} "
        f"for the baseline ({_difference(score - reference, metric)}), {cost}."
    )


def _difference(difference, metric):
    if "accuracy" in metric:
        amount = f"{abs(100 * difference):.1f}"
        unit = " points"
    else:
        amount, unit = f"{abs(difference):.3f}", ""
    if float(amount) == 0:
        return "no difference"
    return f"{amount}{unit} {'better' if difference > 0 else 'worse'}"


def _lone_sentence(run, metric):
    if not run.is_finished:
        return _progress_sentence(run, metric)
    score = run.score(metric)
    reached = (
        f"{run.name} reached {format_metric(metric, score)} "
        f"{metric_words(metric)}"
        if score is not None
        else f"{run.name} finished, without a measured {metric_words(metric)}"
    )
    throughout = _full_resolution_macs(run)
    if throughout is None:
        return f"{reached}."
    saved = format_percent(share(run.total_macs, throughout))
    return (
        f"{reached}, with {saved} of the compute that full resolution "
        "throughout would take."
    )


def _full_resolution_macs(run):
    """Cost of as many epochs without coarse phases, if the last is full."""
    last = run.phases[-1]
    if len(run.phases) < 2 or last["resolution"] != "full":
        return None
    epochs = len(run.history) or run.planned_epochs
    clips = run.config["num_train_clips"]
    gmacs = run.config.get("baseline_gmacs", last["gmacs"])
    return training_macs(gmacs, clips, epochs)


def _progress_sentence(run, metric):
    score = run.score(metric)
    state = "finished" if run.is_finished else "in progress"
    sentence = (
        f"{run.name} is {state}: {len(run.history)} of {run.planned_epochs} "
        "epochs"
    )
    if score is None:
        return f"{sentence}."
    return f"{sentence}, {format_metric(metric, score)} {metric_words(metric)}."


def caution(runs, metric):
    """Why scores are optimistic, and within what chance; or nothing."""
    finished = [run for run in runs if run.is_finished]
    kept = [
        run.config.get("recipe", {}).get("keep")
        for run in finished
        if run.planned_epochs > 1
    ]
    sentences = [BEST_KEPT] if "best" in kept else []
    return " ".join([*sentences, *_within_chance(finished, metric)])


def _within_chance(finished, metric):
    scores = [run.score(metric) for run in finished]
    scores = [score for score in scores if score is not None]
    clips = [
        run.evaluation.get("num_clips")
        or run.config.get("num_validation_clips")
        for run in finished
    ]
    if len(scores) < 2 or metric != "accuracy" or not all(clips):
        return
    points = chance_points(float(np.mean(scores)), min(clips))
    yield (
        f"One seed each, {min(clips)} validation clips: differences below "
        f"about {points:.1f} points may be chance."
    )


def column_words(column):
    """`"val_loss"`, a column of the history, as a reader knows it."""
    name = column.removeprefix("val_")
    part = "training" if name == column else "validation"
    return f"{part} {metric_words(name)}"


def format_percent(value):
    if value is None or not np.isfinite(value):
        return DASH
    return f"{value:.1%}" if 0 < value < 0.0995 else f"{value:.0%}"


def format_count(value):
    if value is None:
        return DASH
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def format_seconds(value):
    return DASH if value is None else f"{value:.3g}{SPACE}s"


def format_duration(seconds):
    minutes, rest = divmod(round(float(seconds)), 60)
    if minutes >= 60:
        return f"{minutes // 60}{SPACE}h {minutes % 60}{SPACE}min"
    if minutes:
        return f"{minutes}{SPACE}min {rest}{SPACE}s"
    return f"{float(seconds):.3g}{SPACE}s"


def format_si(value):
    """`4.6e13` as `46 T`, ready for a unit."""
    for size, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G")):
        if value >= size:
            return f"{value / size:.3g}{SPACE}{prefix}"
    return f"{value / 1e6:.3g}{SPACE}M"
