"""Data sets by name, for the command line."""

import difflib
import inspect
from functools import partial
from pathlib import Path

from keras_c2f.data.keywords import synthesize_keywords
from keras_c2f.data.readers.digits import read_digits
from keras_c2f.data.readers.esc50 import read_esc50
from keras_c2f.data.readers.folder import read_folder
from keras_c2f.data.readers.sounds import read_sounds
from keras_c2f.data.readers.table import read_csv

READERS = {
    "esc50": read_esc50,
    "esc10": partial(read_esc50, esc10=True),
    "digits": read_digits,
    "folder": read_folder,
    "csv": read_csv,
    "sounds": read_sounds,
    "keywords": synthesize_keywords,
}


def open_dataset(spec, **options):
    """Reads a data set named by a line of text.

    | text          | reader                                         |
    |---------------|------------------------------------------------|
    | `esc50:PATH`  | `read_esc50`                                   |
    | `esc10:PATH`  | `read_esc50` with `esc10=True`                 |
    | `digits:PATH` | `read_digits`                                  |
    | `folder:PATH` | `read_folder`                                  |
    | `csv:PATH`    | `read_csv`                                     |
    | `sounds:PATH` | `read_sounds`, no labels: for pre-training     |
    | `keywords`    | `synthesize_keywords`, needs no files          |

    Args:
        spec: str, as above.
        **options: of the reader, such as `fold=2` or `speaker="theo"`.

    Returns:
        `(train, validation)`, two `Clips`.

    Raises:
        ValueError: if the kind or an option is unknown, or the path is
            missing; and whatever the reader raises.

    Example:
        >>> open_dataset("ecs50:/data/ESC-50")
        Traceback (most recent call last):
        ...
        ValueError: There is no kind of data set 'ecs50'. Did you mean 'esc50'?
        Known: esc50:PATH, esc10:PATH, digits:PATH, folder:PATH, csv:PATH,
        sounds:PATH, keywords.
    """
    kind, _, path = spec.partition(":")
    if kind not in READERS:
        raise ValueError(
            f"There is no kind of data set {kind!r}.{_hint(kind, spec)} Known: "
            f"{', '.join(map(_form, READERS))}."
        )
    if bool(path) != (kind != "keywords"):
        raise ValueError(f"Write `{_form(kind)}`. Received: {spec!r}.")
    reader = READERS[kind]
    known = [name for name in inspect.signature(reader).parameters]
    known = [name for name in known if name not in ("root", "path", "esc10")]
    for name in options:
        if name not in known:
            raise ValueError(
                f"{kind!r} has no option {name!r}.{_near(name, known)} Known: "
                f"{', '.join(known)}."
            )
    return reader(path, **options) if path else reader(**options)


def _form(kind):
    return kind if kind == "keywords" else f"{kind}:PATH"


def _near(name, known):
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _hint(kind, spec):
    path = Path(spec).expanduser()
    if path.is_dir():
        return f" Did you mean 'folder:{spec}'?"
    if path.is_file():
        return f" Did you mean 'csv:{spec}'?"
    return _near(kind, list(READERS))
