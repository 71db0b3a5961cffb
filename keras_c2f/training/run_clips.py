"""Which clips a run was trained and validated on, kept as fingerprints.

`clips.npz` of a run has three sorted uint64 arrays: `train`, `validation` and
`earlier`, the clips that were trained on by the run it started from; 8 bytes a
clip. `config.json` has a digest of each split under `digests`, in which labels
count too. So files that were renamed, swapped, added or removed are noticed,
and so are clips to score that were trained on, wherever they lie by now.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_c2f.audio.fingerprint import audio_name
from keras_c2f.data.clips import some_of
from keras_c2f.data.labels import LabelSets
from keras_c2f.datasets.registry import draws_parts
from keras_c2f.utils.files import atomic_write

FILE = "clips.npz"
SPLITS = {"train": "to train on", "validation": "to validate on"}


@dataclass(frozen=True)
class KeptClips:
    """Fingerprints of the clips of a run, sorted uint64 arrays.

    Attributes:
        train, validation: of its two splits.
        earlier: of what the run that it started from was trained on.
    """

    train: np.ndarray
    validation: np.ndarray
    earlier: np.ndarray


def keep_clips(folder, clips, init_from=""):
    """Writes `clips.npz` of a run.

    Args:
        folder: path.
        clips: pair `(train, validation)` of `Clips`.
        init_from: str, what the run starts from.

    Returns:
        dict of two str, the digests for its `config.json`.
    """
    before = read_clips(_folder_of(init_from)) if init_from else None
    arrays = {
        name: np.sort(split.fingerprints)
        for name, split in zip(SPLITS, clips, strict=True)
    }
    arrays["earlier"] = np.zeros(0, "uint64")
    if before:
        arrays["earlier"] = np.union1d(before.train, before.earlier)
    atomic_write(
        os.path.join(folder, FILE), lambda path: np.savez(path, **arrays)
    )
    return dict(zip(SPLITS, map(_digest, clips), strict=True))


def read_clips(folder):
    """`KeptClips` of a run's folder; `None` where there are none."""
    path = os.path.join(folder, FILE)
    if not os.path.exists(path):
        return None
    with np.load(path) as arrays:
        return KeptClips(*(arrays[name] for name in (*SPLITS, "earlier")))


def refuse_changed_clips(folder, config, recipe, clips, instead):
    """Refuses data that are not those that a run was trained on.

    Args:
        folder: path of the run.
        config: dict, its `config.json`.
        recipe: `Recipe` that the clips were opened by.
        clips: dict from `"train"`, `"validation"` or both to `Clips`.
        instead: str, what else can be done, to end the error with.

    Raises:
        ValueError: saying how many clips are new, gone or were trained on;
            or that an earlier version drew other clips.
    """
    digests = config.get("digests")
    if digests is None:
        if not recipe.held_out and draws_parts(recipe.data):
            raise ValueError(
                f"{folder} holds a run of an earlier version, which drew the "
                "clips to validate on in another way: some of those drawn now "
                f"may have been trained on. Train anew, or {instead}."
            )
        return
    kept = read_clips(folder)
    changes = [
        _changes(name, split, kept)
        for name, split in clips.items()
        if _digest(split) != digests[name]
    ]
    if changes:
        raise ValueError(
            f"The clips of {recipe.data} are not those of the run in {folder}: "
            f"{'; '.join(changes)}. Bring back what was there, or {instead}."
        )


def trained_on(folder, clips):
    """Which clips a run was trained on, and in which words to say so.

    Args:
        folder: path of the run.
        clips: `Clips`.

    Returns:
        Pair of a list of str, names of clips that the run was trained on, and
        a list of sentences, empty if there is nothing to say.
    """
    kept = read_clips(folder)
    if kept is None:
        return [], [
            "Which of these clips were trained on is not known: "
            f"{folder} has no {FILE}, as it was converted, or trained by an "
            "earlier version. Check yourself that none was."
        ]
    own = _names(clips, np.isin(clips.fingerprints, kept.train))
    before = _names(clips, np.isin(clips.fingerprints, kept.earlier))
    return own, [
        f"{len(names):,} of {len(clips):,} clips were trained on{who}: "
        f"{some_of(names)}"
        for names, who in (
            (own, ""),
            (before, " by the run that this one started from"),
        )
        if names
    ]


def check_sides(clips, init_from=""):
    """Looks for clips to validate on among those to train on.

    Args:
        clips: pair `(train, validation)` of `Clips`.
        init_from: str, what training starts from.

    Returns:
        list of sentences: how many have the content of a clip to train on
        under another name, or were trained on by the run in `init_from`.

    Raises:
        ValueError: if a file is on both sides.
    """
    train, validation = clips
    shared = np.isin(validation.fingerprints, train.fingerprints)
    names = _names(validation, shared)
    both = set(names) & set(
        _names(train, np.isin(train.fingerprints, validation.fingerprints))
    )
    both = sorted(name for name in both if not name.startswith("array "))
    if both:
        raise ValueError(
            f"{len(both):,} of {len(validation):,} clips to validate on are "
            f"to train on too: {some_of(both)}. Keep each on one side."
        )
    lines = []
    if names:
        lines.append(
            f"{len(names):,} of {len(validation):,} clips to validate on have "
            "the content of a clip to train on, so that the score flatters: "
            f"{some_of(names)}"
        )
    if init_from and read_clips(_folder_of(init_from)):
        found, _ = trained_on(_folder_of(init_from), validation)
        if found:
            lines.append(
                f"{len(found):,} of {len(validation):,} clips to validate on "
                f"were trained on in {init_from}: {some_of(found)}"
            )
    return lines


def _folder_of(init_from):
    """The folder of the run that `start_from` would take."""
    path = Path(init_from)
    if path.suffix == ".keras":
        return path.parent
    inner = path / "coarse_to_fine"
    return path if (path / FILE).exists() else inner


def _changes(name, split, kept):
    """str, how a split of the data differs from what a run kept."""
    if kept is None:
        return f"those {SPLITS[name]} differ"
    before = getattr(kept, name)
    new = ~np.isin(split.fingerprints, before)
    gone = np.count_nonzero(~np.isin(before, split.fingerprints))
    found = []
    if new.any():
        names = _names(split, new)
        found.append(f"{len(names):,} new ({some_of(names)})")
    if gone:
        found.append(f"{gone:,} gone")
    if name == "validation":
        names = _names(split, np.isin(split.fingerprints, kept.train))
        if names:
            found.append(f"{len(names):,} trained on ({some_of(names)})")
    if not found:
        found = ["the same with other labels, or another number of times"]
    return f"of those {SPLITS[name]} {', '.join(found)}"


def _names(clips, mask):
    """list of str, what the clips of a mask `(n,)` are called."""
    return [
        audio_name(clips.audio[index], index)
        for index in np.flatnonzero(mask).tolist()
    ]


def _digest(clips):
    """str, of a split's fingerprints and labels, in whatever order."""
    rows = np.stack([clips.fingerprints, _label_keys(clips.labels)], axis=1)
    rows = rows[np.lexsort(rows.T)].astype("<u8")
    return hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()


def _label_keys(labels):
    """uint64 `(n,)`, equal where labels are."""
    if not isinstance(labels, LabelSets) and labels.ndim == 1:
        return labels.astype("uint64")
    kind = "<i4" if isinstance(labels, LabelSets) else "<f4"
    keys = (
        hashlib.blake2b(np.asarray(row, kind).tobytes(), digest_size=8)
        for row in (labels[index] for index in range(len(labels)))
    )
    keys = (int.from_bytes(key.digest(), "little") for key in keys)
    return np.fromiter(keys, "uint64", len(labels))
