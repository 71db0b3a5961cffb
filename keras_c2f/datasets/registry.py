"""Data sets by name, for the command line."""

import inspect
import os
from functools import partial
from pathlib import Path
from typing import Any

from keras_c2f.data.clips import Clips
from keras_c2f.data.prepared import read_prepared
from keras_c2f.datasets.ast_json import read_ast_json
from keras_c2f.datasets.audioset import read_audioset
from keras_c2f.datasets.digits import read_digits
from keras_c2f.datasets.esc50 import read_esc50
from keras_c2f.datasets.folder import read_folder
from keras_c2f.datasets.fsd50k import read_fsd50k
from keras_c2f.datasets.json_lines import read_jsonl
from keras_c2f.datasets.keywords import synthesize_keywords
from keras_c2f.datasets.kinds import SYNTHETIC, form
from keras_c2f.datasets.kinetics_sounds import read_kinetics_sounds
from keras_c2f.datasets.speech_commands import read_speech_commands
from keras_c2f.datasets.table import read_csv
from keras_c2f.datasets.timing import synthesize_timbre, synthesize_timing
from keras_c2f.datasets.unlabelled import read_unlabelled
from keras_c2f.datasets.vggsound import read_vggsound
from keras_c2f.datasets.voxceleb import read_voxceleb
from keras_c2f.utils.suggestions import did_you_mean

READERS = {
    "folder": read_folder,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "ast": read_ast_json,
    "audioset": read_audioset,
    "audioset20k": partial(read_audioset, train="balanced"),
    "vggsound": read_vggsound,
    "voxceleb": read_voxceleb,
    "kinetics_sounds": read_kinetics_sounds,
    "speech_commands": read_speech_commands,
    "fsd50k": read_fsd50k,
    "esc50": read_esc50,
    "esc10": partial(read_esc50, esc10=True),
    "digits": read_digits,
    "audio": read_unlabelled,
    "prepared": read_prepared,
    "keywords": synthesize_keywords,
    "timing": synthesize_timing,
    "timbre": synthesize_timbre,
}


def open_dataset(spec: str, **options: Any) -> tuple[Clips, Clips]:
    """Reads a data set named by a line of text.

    | text                   | reader                                  |
    |------------------------|-----------------------------------------|
    | `folder:PATH`          | `read_folder`                           |
    | `csv:PATH`             | `read_csv`                              |
    | `jsonl:PATH`           | `read_jsonl`                            |
    | `ast:PATH`             | `read_ast_json`                         |
    | `audioset:PATH`        | `read_audioset`, all clips for training |
    | `audioset20k:PATH`     | `read_audioset` with `train="balanced"` |
    | `vggsound:PATH`        | `read_vggsound`                         |
    | `voxceleb:PATH`        | `read_voxceleb`                         |
    | `kinetics_sounds:PATH` | `read_kinetics_sounds`                  |
    | `speech_commands:PATH` | `read_speech_commands`                  |
    | `fsd50k:PATH`          | `read_fsd50k`                           |
    | `esc50:PATH`           | `read_esc50`                            |
    | `esc10:PATH`           | `read_esc50` with `esc10=True`          |
    | `digits:PATH`          | `read_digits`                           |
    | `audio:PATH`          | `read_unlabelled`, no labels: to pre-train  |
    | `prepared:PATH`        | `read_prepared`                         |
    | `keywords`             | `synthesize_keywords`, needs no files   |
    | `timing`               | `synthesize_timing`, needs no files     |
    | `timbre`               | `synthesize_timbre`, needs no files     |

    Args:
        spec: str, as above.
        **options: of the reader, such as `fold=2`, `speaker="theo"` or
            `validate_on="test"`.

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
        Known: folder:PATH, csv:PATH, jsonl:PATH, ast:PATH, audioset:PATH,
        audioset20k:PATH, vggsound:PATH, voxceleb:PATH, kinetics_sounds:PATH,
        speech_commands:PATH, fsd50k:PATH, esc50:PATH, esc10:PATH,
        digits:PATH, audio:PATH, prepared:PATH, keywords, timing, timbre.
    """
    kind, path = split_spec(spec)
    reader, known = READERS[kind], _options(kind)
    for name in options:
        if name not in known:
            raise ValueError(
                f"{kind!r} has no option {name!r}."
                f"{did_you_mean(name, known)} "
                f"Known: {', '.join(known) or 'none'}."
            )
    return reader(path, **options) if path else reader(**options)


def split_spec(spec):
    """Kind and path of a data set, given as for `open_dataset`.

    Raises:
        ValueError: if the kind is unknown, or its path is missing.
    """
    kind, _, path = spec.partition(":")
    if kind not in READERS:
        raise ValueError(
            f"There is no kind of data set {kind!r}.{_hint(kind, spec)} Known: "
            f"{', '.join(map(form, READERS))}."
        )
    if bool(path) == (kind in SYNTHETIC):
        raise ValueError(f"Write `{form(kind)}`. Received: {spec!r}.")
    return kind, path


def holding_out(kind, split):
    """The reader's option that holds a split out.

    Args:
        kind: str, of the data set.
        split: str, as the command line names it: the number of a fold, a
            speaker, or what the reader's `validate_on` takes.

    Returns:
        dict of one option of `open_dataset`.

    Raises:
        ValueError: if the kind has no such splits.

    Example:
        >>> holding_out("esc50", "2")
        {'fold': 2}
    """
    if kind not in READERS:
        return {"validate_on": split}  # refused later, with what there is
    known = _options(kind)
    if "speaker" in known:
        return {"speaker": split}
    if "fold" in known and split.isdigit():
        return {"fold": int(split)}
    if "validate_on" in known:
        return {"validate_on": split}
    raise ValueError(
        f"{kind!r} has no split {split!r} to hold out. "
        + (
            "Name the number of a fold."
            if "fold" in known
            else "Leave `held_out` out: it has its own splits, or draws them."
        )
    )


def draws_parts(spec):
    """bool, whether the reader of a data set may divide it at random."""
    return "validation_share" in _options(spec.partition(":")[0])


def finds_classes(spec):
    """bool, whether the classes of a data set are those that its clips have."""
    return "more_classes" in _options(spec.partition(":")[0])


def same_data(spec, other):
    """bool, whether two texts name one data set, however the path is written.

    Example:
        >>> same_data("folder:audio/", "folder:./audio")
        True
    """
    (kind, _, path), (other_kind, _, other_path) = (
        text.partition(":") for text in (spec, other)
    )
    if kind != other_kind or "://" in path + other_path:
        return spec == other
    path, other_path = (
        os.path.realpath(os.path.expanduser(text))
        for text in (path, other_path)
    )
    return path == other_path


def _options(kind):
    """list of the names of the options of a reader beside the path."""
    if kind not in READERS:  # refused later, with what there is
        return []
    reader = READERS[kind]
    fixed = {"root", "path", *getattr(reader, "keywords", ())}
    return [n for n in inspect.signature(reader).parameters if n not in fixed]


def _hint(kind, spec):
    path = Path(spec).expanduser()
    if path.is_dir():
        return f" Did you mean 'folder:{spec}'?"
    if path.is_file():
        kind = {".jsonl": "jsonl", ".json": "ast"}.get(path.suffix, "csv")
        return f" Did you mean '{kind}:{spec}'?"
    return did_you_mean(kind, list(READERS))
