"""What a data set lists, and how it is split."""

import hashlib
import os
import unicodedata
from dataclasses import dataclass, replace

import numpy as np

from keras_c2f.audio.fingerprint import file_keys
from keras_c2f.audio.walk import stem
from keras_c2f.data.clips import Clips, some_of
from keras_c2f.data.labels import LabelSets


@dataclass
class Listing:
    """Clips as a data set lists them, some of which may be missing.

    A file that is listed several times, also under several names or through
    links, counts once, and `Clips.note` says so.

    Args:
        names: list of str, as the list calls the clips.
        audio: list with the path of each clip, or `None` if it is missing.
        labels: int `(n,)` or `LabelSets`.
        class_names: list of str.
        source: the folder or file, for messages.
        remark: str, what else `Clips.note` of both splits has: what was left
            out, or how labels were read.
    """

    names: list
    audio: list
    labels: np.ndarray | LabelSets
    class_names: list
    source: object
    remark: str = ""

    def __post_init__(self):
        keys = np.array(
            [-1 - i if s is None else 0 for i, s in enumerate(self.audio)],
            "int64",
        )
        found = np.flatnonzero(keys == 0)
        keys[found] = file_keys([self.audio[i] for i in found.tolist()])
        self._keys = keys

    def splits(self, train, validation):
        """`(train, validation)`, two `Clips`, given masks `(n,)`.

        Missing clips are left out, and counted in `Clips.note`.

        Raises:
            ValueError: if no clip of a split is there, a file is in both
                splits, or it is listed with different labels.
        """
        used = np.flatnonzero(train | validation)
        repeated = np.zeros(len(train), bool)
        both = []
        for first, again in self._repeats(used):
            if train[first] != train[again]:
                both.append(self._pair(first, again))
            elif not np.array_equal(self.labels[first], self.labels[again]):
                self._refuse_labels(first, again)
            repeated[again] = True
        if both:
            raise ValueError(
                f"'{self.source}' has files both to train on and to validate "
                f"on, {len(both):,} in all: {some_of(both)}. Keep each on one "
                "side."
            )
        parts = (
            self._part(train, repeated, "train on"),
            self._part(validation, repeated, "validate on"),
        )
        note = _only_validated(*parts)
        if not note:
            return parts
        return tuple(
            replace(part, note="; ".join(filter(None, (part.note, note))))
            for part in parts
        )

    def drawn(self, validation_share, seed, groups=None):
        """`splits`, of which the one to validate on is drawn by names.

        These are paths here, and count from the folder of `source`.

        Args:
            validation_share, seed: see `random_mask`.
            groups: int `(n,)`, of each of which a share is drawn; default:
                the labels.

        Raises:
            ValueError: as `random_mask` and `splits`.
        """
        groups = self.labels if groups is None else groups
        firsts = np.arange(len(self.names))
        for first, again in self._repeats(firsts):
            firsts[again] = first
        once = np.flatnonzero(firsts == np.arange(len(firsts)))
        base = os.path.abspath(self.source)
        if not os.path.isdir(base):
            base = os.path.dirname(base)
        names = [
            os.path.abspath(self.names[i]).removeprefix(base + os.sep)
            for i in once.tolist()
        ]
        validation = np.zeros(len(firsts), bool)
        validation[once] = random_mask(
            names, groups[once], validation_share, seed
        )
        validation = validation[firsts]  # what is repeated, beside its first
        return self.splits(~validation, validation)

    def _repeats(self, positions):
        """Pairs of places with one file, the first and a later one, in order.

        Args:
            positions: int `(m,)`, rising: the clips to look at.
        """
        keys = self._keys[positions]
        order = np.argsort(keys, kind="stable")
        pairs, first = [], None
        for i in np.flatnonzero(np.diff(keys[order]) == 0).tolist():
            if first is None or keys[order[i]] != keys[first]:
                first = order[i]
            pairs.append((int(positions[first]), int(positions[order[i + 1]])))
        return sorted(pairs, key=lambda pair: pair[1])

    def _pair(self, first, again):
        """str, both names of a file, or the one that it has."""
        one, other = self.names[first], self.names[again]
        return f"'{one}'" if one == other else f"'{one}' = '{other}'"

    def _refuse_labels(self, first, again):
        labels = [
            "+".join(
                self.class_names[label]
                for label in np.atleast_1d(self.labels[position]).tolist()
            )
            for position in (first, again)
        ]
        raise ValueError(
            f"'{self.source}' has one file with two labels: "
            f"{self._pair(first, again)} is {labels[0] or 'none'} and "
            f"{labels[1] or 'none'}. Keep one of them; a file with several "
            "labels is listed once, with all of them."
        )

    def _part(self, mask, repeated, purpose):
        listed = np.flatnonzero(mask & ~repeated).tolist()
        kept = [index for index in listed if self.audio[index] is not None]
        notes = []
        if len(kept) < len(listed):
            missing = next(i for i in listed if self.audio[i] is None)
            notes.append(
                f"{len(kept):,} of {len(listed):,} clips found in "
                f"'{self.source}'; first missing: '{self.names[missing]}'"
            )
        if not kept:
            raise ValueError(
                f"There is no clip to {purpose}: "
                f"{notes[0] if notes else 'none is listed'}. "
                "Check the path, and that the recordings lie and are called as "
                "the reader's description says."
            )
        again = np.flatnonzero(mask & repeated).tolist()
        if again:
            notes.append(
                f"{len(again):,} lines repeat a file, which counts once: "
                f"{some_of([repr(self.names[i]) for i in again])}"
            )
        return Clips(
            [self.audio[index] for index in kept],
            self.labels[kept],
            self.class_names,
            "; ".join(filter(None, (*notes, self.remark))),
        )


def _only_validated(train, validation):
    """str, classes that are validated on and not trained on; `""` if none."""
    names = train.class_names
    missing = _occurring(validation.labels) - _occurring(train.labels)
    missing = [repr(names[index]) for index in sorted(missing)]
    return f"no clip to train on of {some_of(missing)}" if missing else ""


def _occurring(labels):
    """Set of int, the classes that clips have."""
    if isinstance(labels, LabelSets):
        labels = labels.classes
    return set(labels.ravel().tolist()) if labels.size else set()


def held_out(values, value, what):
    """Boolean `(n,)`, true where `values` equals the split held out.

    Args:
        values: list of the fold, speaker or split of each clip.
        value: the one to validate on.
        what: str, its name in the error, such as `"fold"`.

    Raises:
        ValueError: if no clip has `value`, or all have.
    """
    mask = np.array([item == value for item in values])
    present = sorted(set(values))
    if not mask.any():
        raise ValueError(
            f"There is no {what} {value!r}. Choose from: "
            f"{', '.join(map(repr, present))}."
        )
    if mask.all():
        raise ValueError(
            f"Every clip is of {what} {value!r}, which leaves none to train "
            "on. List clips of another one too."
        )
    return mask


def random_mask(names, labels, validation_share, seed):
    """Draws a validation set with the same share of every class, by names.

    In each class the clips whose names have the lowest digests are drawn. So
    the draw does not hang on where the data lie nor on the order of files, and
    a file that is added, renamed or removed moves at most one other of its
    class. Suffixes of audio files do not matter: a WAV that is converted to
    FLAC stays on its side.

    Args:
        names: list of str, relative paths.
        labels: int `(n,)`.
        validation_share: float between 0 and 1. A class with two or more
            clips gets at least one on each side; a single clip trains.
        seed: int.

    Returns:
        bool `(n,)`, true for validation.

    Raises:
        ValueError: if the share is not between 0 and 1, or every class has
            a single clip.
    """
    if not 0 < validation_share < 1:
        raise ValueError(
            "`validation_share` is the share of the clips to validate on, "
            f"between 0 and 1. Received: {validation_share}."
        )
    labels = np.asarray(labels)
    digests = np.array([_digest(name, seed) for name in names], "uint64")
    order = np.lexsort((digests, labels))
    starts = np.flatnonzero(np.diff(labels[order], prepend=labels.min() - 1))
    mask = np.zeros(len(labels), bool)
    for members in np.split(order, starts[1:]):
        count = int(len(members) * validation_share + 0.5)
        count = min(max(count, 1), len(members) - 1)
        mask[members[:count]] = True
    if not mask.any():
        raise ValueError(
            "Every class has a single clip, which leaves none to validate on. "
            "Add clips: two or more per class."
        )
    return mask


def _digest(name, seed):
    """int, the same on every system for a file's relative path."""
    name = unicodedata.normalize("NFC", stem(name.replace(os.sep, "/")))
    text = f"{seed}/{name}".encode(errors="surrogateescape")
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "little")
