"""What `evaluate` found, as text for a terminal."""

from keras_c2f.data.clips import some_of

NUM_WORST = 10
WORDS = {"auc": "AUC", "d_prime": "d'", "top_5_accuracy": "top-5 accuracy"}
HEADLINES = tuple(
    "accuracy top_5_accuracy mean_average_precision auc d_prime loss".split()
)
PER_CLASS = ("average_precision", "auc", "d_prime", "recall")


def evaluation_table(summary, classes):
    """Figures one below the other, then the ten worst classes.

    Args:
        summary, classes: as `keras_c2f.evaluation.evaluate` returns them.

    Returns:
        str of several lines.
    """
    lines = [
        f"{metric_words(name):<24}{format_metric(name, summary[name]):>8}"
        for name in HEADLINES
        if name in summary
    ]
    crops = summary["crops"]
    windows = "" if crops == 1 else f", {crops} windows each"
    lines.append(f"on {summary['num_clips']} clips{windows}")
    unranked = len(classes) - summary["num_ranked_classes"]
    if unranked:
        lines.append(
            f"{unranked} of {len(classes)} classes have no clip, or no clip "
            "of another class beside them: they cannot be ranked, and are not "
            f"in mean average precision, AUC and d'.{_absent(classes)}"
        )
    return "\n".join([*lines, "", *_worst(classes)])


def evaluation_line(summary):
    """Accuracy, where clips have one label, mean average precision and loss.

    Args:
        summary: as `keras_c2f.evaluation.evaluate` returns it.

    Returns:
        str of one line.
    """
    return ", ".join(
        f"{metric_words(name)} {format_metric(name, summary[name])}"
        for name in ("accuracy", "mean_average_precision", "loss")
        if name in summary
    )


def resolution_table(rows):
    """A line for each resolution of an elastic network.

    Args:
        rows: dict from resolution to dict of figures, the cost among them.
    """
    width = max(map(len, rows))
    return "\n".join(
        f"{resolution:<{width}}  {evaluation_line(row)}, "
        f"{row['gmacs']:.3g} GMACs a clip"
        for resolution, row in rows.items()
    )


def absent_classes(classes):
    """list of str, names of the classes that no clip is of."""
    return [row["name"] for row in classes if not row["num_clips"]]


def ranked_classes(classes):
    """Rows of classes that could be ranked, the lowest precision first."""
    ranked = [r for r in classes if r["average_precision"] >= 0]  # not NaN
    return sorted(ranked, key=lambda row: row["average_precision"])


def metric_words(name):
    """`"top_5_accuracy"` as a reader knows it."""
    return WORDS.get(name, name.replace("_", " "))


def format_metric(name, value):
    """`value` of metric `name`, or `None`: shares of clips in percent."""
    if value is None:
        return "not measured"
    return f"{value:.1%}" if "accuracy" in name else f"{value:.3f}"


def _absent(classes):
    names = absent_classes(classes)
    return f" Absent: {some_of(names, NUM_WORST)}." if names else ""


def _worst(classes):
    worst = ranked_classes(classes)[:NUM_WORST]
    if not worst:
        return ["No class can be ranked."]
    name = "worst classes" if len(worst) < len(classes) else "classes"
    width = max(len(name), *(len(row["name"]) for row in worst)) + 2
    columns = f"{{:<{width}}}" + "{:>8}" * (len(worst[0]) - 1)
    head = [name, "clips", "AP", "AUC", "d'", "recall"]
    lines = [columns.format(*head[: len(worst[0])])]
    for row in worst:
        cells = [
            row["name"],
            row["num_clips"],
            *(f"{row[key]:.3f}" for key in PER_CLASS if key in row),
        ]
        lines.append(columns.format(*cells))
    return lines
