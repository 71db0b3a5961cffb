"""Recordings listed in a JSON Lines file."""

import json
from collections.abc import Sequence

from keras_c2f.data.clips import Clips
from keras_c2f.datasets.lines import existing_file, utf8_text
from keras_c2f.datasets.table import choose_parts
from keras_c2f.utils.annotations import PathLike


def read_jsonl(
    path: PathLike,
    fold: int | None = None,
    validate_on: str = "validation",
    class_list: PathLike | None = None,
    validation_share: float = 0.2,
    seed: int = 0,
    more_classes: Sequence[str] = (),
) -> tuple[Clips, Clips]:
    """Recordings listed in a JSON Lines file, one object a line.

        {"path": "yard/bark.wav", "label": "dog", "split": "train"}
        {"path": "b.flac", "labels": ["dog", "rain"], "fold": 2}

    The keys are the columns of `read_csv`, and so are the arguments; `labels`
    is a list. All lines have the keys of the first.

    Returns:
        As `read_csv`.

    Raises:
        ValueError: if a line is not an object with these keys; else as
            `read_csv`.
    """
    rows = []
    with utf8_text(existing_file(path)) as file:
        for line, text in enumerate(file, start=1):
            if text.strip():
                where = f"Line {line} of '{path}'"
                keys = rows[0][1].keys() if rows else {"path"}
                rows.append((where, _row(text, keys, where)))
    if not rows:
        raise ValueError(f"'{path}' lists no clip: it is empty.")
    return choose_parts(
        path,
        rows,
        fold,
        validate_on,
        class_list,
        validation_share,
        seed,
        more_classes,
    )


def _row(text, keys, where):
    """The dict in a line, after checking that it has all `keys`."""
    try:
        row = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}.") from None
    if not isinstance(row, dict) or not keys <= row.keys():
        raise ValueError(
            f"{where} is an object with the keys {', '.join(keys)}. Received: "
            f"{text.strip()}."
        )
    return row


def _unique(pairs):
    """A dict, after checking that no key comes twice."""
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError(f"a key comes twice in {[key for key, _ in pairs]}")
    return row
