"""Predictions as lines for people and records for programs."""

import json

import numpy as np

BAR = 30  # characters of certainty
SEGMENTS = 20  # lines of a long recording
COLUMNS = ("path", "start", "end", "class", "score")


def mean_scores(windows):
    """float32 `(num_classes,)`: scores of a file, the mean over its windows."""
    return np.mean([window.scores for window in windows], axis=0)


def top_classes(scores, class_names, top):
    """list of `(name, score)`, the likeliest first.

    Example:
        >>> top_classes(np.array([0.25, 0.5, 0.25]), ["a", "b", "c"], 2)
        [('b', 0.5), ('a', 0.25)]
    """
    order = np.argsort(-scores, kind="stable")[:top]
    return [(class_names[index], float(scores[index])) for index in order]


def as_text(path, windows, class_names, top):
    """str: path, likely classes with a bar, and when each was predicted.

    Args:
        path: str.
        windows: list of `Window`, at least one.
        class_names: sequence of str.
        top: int, classes to print.
    """
    lines = [str(path)]
    for name, score in top_classes(mean_scores(windows), class_names, top):
        lines.append(f"  {name:<20} {score:6.1%} {'#' * round(BAR * score)}")
    if len(windows) > 1:
        parts = segments(windows, class_names)
        for start, end, name, score in parts[:SEGMENTS]:
            when = f"{clock(start)} to {clock(end)}"
            lines.append(f"  {when:<20} {name} {score:.0%}")
        if len(parts) > SEGMENTS:
            more = len(parts) - SEGMENTS
            lines.append(f"  and {more} more; --format csv has them all")
    return "\n".join(lines)


def edges(windows):
    """`(windows + 1,)`, seconds: where one window's part of a recording ends.

    Windows that overlap part in the middle of what they share.
    """
    starts = np.array([window.start for window in windows])
    ends = np.array([window.end for window in windows])
    between = (starts[1:] + ends[:-1]) / 2
    return np.concatenate([starts[:1], between, ends[-1:]])


def segments(windows, class_names):
    """Neighbouring windows of the same likeliest class as one.

    Returns:
        list of `(start, end, class name, highest score)`, in seconds.
    """
    found = []
    positions = edges(windows)
    for start, end, window in zip(
        positions[:-1], positions[1:], windows, strict=True
    ):
        ((name, score),) = top_classes(window.scores, class_names, 1)
        if found and found[-1][2] == name:
            start, _, _, before = found.pop()
            score = max(before, score)
        found.append((float(start), float(end), name, score))
    return found


def as_rows(path, windows, class_names, top):
    """list of tuples of `COLUMNS`: the likely classes of each window."""
    return [
        (str(path), round(window.start, 3), round(window.end, 3), name, score)
        for window in windows
        for name, score in top_classes(window.scores, class_names, top)
    ]


def as_json(path, windows, class_names, top):
    """str, one line: an object with the whole recording and its windows."""

    def likely(scores):
        return dict(top_classes(scores, class_names, top))

    return json.dumps(
        {
            "path": str(path),
            "scores": likely(mean_scores(windows)),
            "windows": [
                {
                    "start": round(window.start, 3),
                    "end": round(window.end, 3),
                    "scores": likely(window.scores),
                }
                for window in windows
            ],
        }
    )


def clock(seconds):
    """str, a place in a recording.

    Example:
        >>> clock(75.25), clock(7265)
        ('1:15.2', '2:01:05.0')
    """
    minutes, seconds = divmod(int(10 * seconds) / 10, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:04.1f}"
    return f"{minutes}:{seconds:04.1f}"
