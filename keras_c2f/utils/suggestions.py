"""What a name that is not known was perhaps meant to be."""

import difflib


def did_you_mean(name, known, most=1):
    """The end of an error about a name, with known ones that are near.

    Args:
        name: str, what came in.
        known: collection of str.
        most: int, how many to suggest.

    Returns:
        str that begins with a space; empty if none is near.

    Example:
        >>> did_you_mean("leeding", ["random", "leading"])
        " Did you mean 'leading'?"
    """
    near = difflib.get_close_matches(name, known, n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
