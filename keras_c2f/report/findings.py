"""Problems of a finished run, each with a remedy."""

import math

from keras_c2f.evaluation.evaluate import primary_metric
from keras_c2f.evaluation.table import format_metric, metric_words
from keras_c2f.training.run_folder import phase_file

POINTS = 0.02  # smaller differences are not reported


def findings_of_all(runs):
    """What the simple classifier scores, then the findings of each run.

    Args:
        runs: list of `keras_c2f.report.runs.RunRecord`.

    Returns:
        list of str.
    """
    simple = filter(None, map(simple_sentence, runs))
    return [
        *dict.fromkeys(simple),  # the same clips, as a rule
        *(text for run in runs for text in findings(run)),
    ]


def findings(run):
    """Sentences on what a run lost, as a list of str.

    A switch that costs more than its phase regains, a phase that ended above
    the final network, and a network below the simple classifier. Differences
    below 2 points, or below one standard error of the score, are passed over.

    Args:
        run: `keras_c2f.report.runs.RunRecord`.
    """
    metric = primary_metric(run.metrics)
    trained = run.config.get("task", "classification") == "classification"
    score = run.evaluation.get(metric)
    if not (trained and run.metrics and isinstance(score, float)):
        return []
    return [
        *_switches(run, metric, score),
        *_coarse_phases(run, metric, score),
        *_below_simple(run, metric, score),
    ]


def simple_sentence(run):
    """What the simple classifier scores, or an empty str."""
    simple = run.evaluation.get("simple_classifier") or {}
    for metric in set(simple) & set(run.metrics):
        figure = format_metric(metric, simple[metric])
        return (
            "A simple classifier, ridge regression on time statistics, reaches "
            f"{figure} {metric_words(metric)} on the same clips."
        )
    return ""


def _switches(run, metric, score):
    ends = _ends(run, metric, score)
    for index, (before, after) in sorted(run.at_switch(metric).items()):
        cost, lacking = before - after, before - ends[index]
        if cost <= 0 or lacking <= _margin(run, before):
            continue
        yield (
            f"{run.name}: the switch to {run.phases[index]['resolution']} took "
            f"{metric_words(metric)} from {format_metric(metric, before)} to "
            f"{format_metric(metric, after)}, and its phase ended at "
            f"{format_metric(metric, ends[index])}. Give it more epochs, "
            f'or begin less coarse (--schedule "pool:2, full").{_patches(run)}'
        )


def _coarse_phases(run, metric, score):
    ends = _ends(run, metric, score)[:-1]
    if not ends:
        return
    index = max(range(len(ends)), key=ends.__getitem__)
    if ends[index] - score > _margin(run, ends[index]):
        resolution = run.phases[index]["resolution"]
        yield (
            f"{run.name}: phase {index + 1}, at {resolution}, ended at "
            f"{format_metric(metric, ends[index])} {metric_words(metric)}, the "
            f"run at {format_metric(metric, score)}. That network is in "
            f"{phase_file(index + 1)}, which also costs less at inference; "
            f"or train at {resolution} alone."
        )


def _below_simple(run, metric, score):
    simple = (run.evaluation.get("simple_classifier") or {}).get(metric)
    if simple is not None and score < simple:
        yield (
            f"{run.name}: the network, {format_metric(metric, score)} "
            f"{metric_words(metric)}, is below the simple classifier, "
            f"{format_metric(metric, simple)}. Train longer (--more-epochs, "
            "or a larger --budget), or start from trained weights "
            f"(--init-from).{_patches(run)}"
        )


def _patches(run):
    """The advice to use other patches, unless the run has these already."""
    size = run.config.get("model", {}).get("patch_size") or (0, 0)
    bins = run.config.get("frontend", {}).get("num_mel_bins")
    if size[1] == bins:
        return ""
    return (
        " Patches short in time that span all mel bins suit small data and "
        "switches better (--patch-size 2x128)."
    )


def _ends(run, metric, score):
    """Scores at the end of each phase; at the end of the last, the run's."""
    values, phases = run.column(f"val_{metric}"), run.phase_of_epoch
    ends = [float(values[phases == i][-1]) for i in range(phases.max() + 1)]
    return [*ends[:-1], score]


def _margin(run, score):
    """A difference below this is not reported."""
    clips = run.evaluation.get("num_clips") or math.inf
    return max(POINTS, (max(score * (1 - score), 0) / clips) ** 0.5)
