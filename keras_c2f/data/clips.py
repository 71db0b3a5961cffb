"""The list of labelled recordings that every data-set reader returns."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from keras_c2f.audio.fingerprint import fingerprints
from keras_c2f.data.labels import LabelSets
from keras_c2f.utils.annotations import PathLike


@dataclass(frozen=True, eq=False, repr=False)  # arrays have no truth value
class Clips:
    """Recordings, their labels, and what the labels are called.

    Args:
        audio: sequence of file paths, or of float `(samples,)` arrays,
            mono, in [-1, 1], already at the model's sample rate.
        labels: int `(n,)` class indices; `LabelSets`, where a clip may have
            several labels; or, where these are soft, float
            `(n, num_classes)` with values from 0 to 1.
        class_names: sequence of str, in the order of the class indices.
        note: str, what a reader reports, such as how many of the listed
            clips it found; `""` if there is nothing.

    Recordings without labels have multi-hot labels `(n, 0)` of no class.

    Raises:
        ValueError: if there is no clip, there is a single class, two have
            one name, a name is not on one line, the lengths differ, or a label
            is outside the class list.

    Example:
        >>> clips = Clips(["dog.wav", "rain.flac"], [1, 0], ["rain", "dog"])
        >>> len(clips), clips.targets().tolist()
        (2, [[0.0, 1.0], [1.0, 0.0]])
        >>> clips.subset([1]).audio
        ('rain.flac',)
        >>> Clips(["a.wav"], LabelSets.of([[0, 2]]), "xyz").target(0).tolist()
        [1.0, 0.0, 1.0]
    """

    audio: Sequence[PathLike] | Sequence[np.ndarray]
    labels: Sequence[int] | np.ndarray | LabelSets
    class_names: Sequence[str]
    note: str = ""

    def __post_init__(self):
        labels = self.labels
        if not isinstance(labels, LabelSets):
            labels = np.asarray(labels)
            if labels.ndim == 2:
                labels = labels.astype("float32")
        for name, value in (
            ("audio", tuple(self.audio)),
            ("labels", labels),
            ("class_names", tuple(self.class_names)),
        ):
            object.__setattr__(self, name, value)
        self._check()

    def _check(self):
        labels, num_classes = self.labels, len(self.class_names)
        if not self.audio:
            raise ValueError(
                "There are no clips. Check the folder, the fold or the subset "
                "they were selected by."
            )
        _check_names(self.class_names)
        sparse = isinstance(labels, LabelSets)
        shape = (len(labels),) if sparse else labels.shape
        if num_classes < 2 and shape != (len(self.audio), 0):
            raise ValueError(
                "Classification needs at least two classes. Received: "
                f"class_names={self.class_names}. Clips without labels have "
                f"`labels` of shape (n, 0) and no class name."
            )
        if len(shape) not in (1, 2) or shape[0] != len(self.audio):
            raise ValueError(
                "`labels` has one entry, or one multi-hot row, per recording. "
                f"Received: {len(self.audio)} recordings and labels of shape "
                f"{shape}."
            )
        if len(shape) == 2:
            if shape[1] != num_classes:
                raise ValueError(
                    f"Multi-hot `labels` have {shape[1]} columns, and "
                    f"`class_names` {num_classes} names: give one name per "
                    "column."
                )
            outside = ~((labels >= 0) & (labels <= 1)).all(axis=1)  # NaN too
        else:
            indices = labels.classes if sparse else labels
            if not np.issubdtype(indices.dtype, np.integer):
                raise ValueError(
                    "Single `labels` are whole numbers, indices into "
                    f"`class_names`. Received: dtype {indices.dtype}."
                )
            outside = (indices < 0) | (indices >= num_classes)
        if outside.any():
            first = int(np.argmax(outside))
            if sparse:
                first = int(np.searchsorted(labels.offsets, first, "right")) - 1
            raise ValueError(
                f"Label {labels[first]} of clip {first} is outside the "
                f"{num_classes} classes of `class_names`: indices count from "
                "0, multi-hot values are from 0 to 1."
            )

    def __len__(self):
        return len(self.audio)

    def __repr__(self):
        note = f"; {self.note}" if self.note else ""
        return f"<{len(self):,} clips of {self.num_classes} classes{note}>"

    @property
    def num_classes(self) -> int:
        """int, length of the class list."""
        return len(self.class_names)

    @property
    def multi_label(self) -> bool:
        """bool, whether a clip may have several labels."""
        return isinstance(self.labels, LabelSets) or self.labels.ndim == 2

    @cached_property
    def fingerprints(self) -> np.ndarray:
        """uint64 `(n,)`, equal where recordings have the same content.

        Files are looked at once: see `keras_c2f.audio.fingerprint`.
        """
        return fingerprints(self.audio)

    def subset(self, indices: Sequence[int] | np.ndarray) -> Clips:
        """`Clips` at `indices` (a sequence of int), with all class names."""
        indices = np.asarray(indices, dtype="int64")
        return replace(
            self,
            audio=[self.audio[index] for index in indices.tolist()],
            labels=self.labels[indices],
        )

    def joined(self, other: Clips) -> Clips:
        """`Clips` of both sets, this one's first; they have the same classes.

        The notes of both are kept.
        """
        labels, more = self.labels, other.labels
        notes = filter(None, dict.fromkeys([self.note, other.note]))
        if isinstance(labels, LabelSets):
            labels = labels.joined(more)
        else:
            labels = np.concatenate([labels, more])
        return replace(
            self,
            audio=[*self.audio, *other.audio],
            labels=labels,
            note="; ".join(notes),
        )

    def with_classes(self, class_names: Sequence[str]) -> Clips:
        """The same `Clips` with another class list, matched by name.

        Names that differ in Unicode normalisation alone are the same.

        Args:
            class_names: sequence of str; may have classes without a clip.

        Raises:
            ValueError: if clips have a label that is not in the list.
        """
        class_names = tuple(class_names)
        if class_names == self.class_names:
            return self
        plain = {_plain(name): i for i, name in enumerate(class_names)}
        exact = {name: i for i, name in enumerate(class_names)}
        positions = np.array(
            [
                exact.get(name, plain.get(_plain(name), -1))
                for name in self.class_names
            ],
            int,
        )
        self._refuse_strangers(positions, class_names)
        labels = self.labels
        if isinstance(labels, LabelSets):
            labels = labels.renumbered(positions)
        elif labels.ndim == 2:
            kept = np.flatnonzero(positions >= 0)
            labels = np.zeros((len(self), len(class_names)), "float32")
            np.add.at(labels.T, positions[kept], self.labels.T[kept])
        else:
            labels = positions[labels]
        return replace(self, labels=labels, class_names=class_names)

    def _refuse_strangers(self, positions, class_names):
        """Refuses labels whose class has no place in another list."""
        labels = self.labels
        if isinstance(labels, LabelSets):
            used = np.bincount(labels.classes, minlength=len(positions))
        elif labels.ndim == 2:
            used = np.count_nonzero(labels, axis=0)
        else:
            used = np.bincount(labels, minlength=len(positions))
        strangers = np.flatnonzero((positions < 0) & (used > 0)).tolist()
        if strangers:
            counts = [
                f"{self.class_names[i]!r} ({used[i]:,} clips)"
                for i in strangers
            ]
            raise ValueError(
                f"Labels of clips are not among the {len(class_names)} "
                f"classes: {some_of(counts)}. The classes are "
                f"{some_of(class_names, 20)}. Rename the labels, or leave "
                "these clips out."
            )

    def target(self, index: int) -> np.ndarray:
        """float32 `(num_classes,)`: one-hot or multi-hot labels of a clip."""
        if isinstance(self.labels, LabelSets):
            return self.labels.multi_hot(index, self.num_classes)
        if self.multi_label:
            return self.labels[index]
        target = np.zeros(self.num_classes, "float32")
        target[self.labels[index]] = 1
        return target

    def targets(self) -> np.ndarray:
        """float32 `(n, num_classes)`: the targets of all clips at once.

        For a set that fits in memory so; a pipeline makes one at a time.
        """
        return np.stack([self.target(index) for index in range(len(self))])


def _check_names(class_names):
    """Refuses names that two classes share, or that have no line of their own.

    What is exported lists them line by line.
    """
    for name in class_names:
        if not str(name).isprintable() and any(
            unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in str(name)
        ):
            raise ValueError(
                f"The class name {name!r} has a line break or a control "
                "character. Write it on one line, of letters, digits and "
                "other marks."
            )
    if len(set(class_names)) < len(class_names):
        twice = next(n for n in class_names if class_names.count(n) > 1)
        raise ValueError(
            f"Two classes are called {twice!r}. Give each a name of its own."
        )


def _plain(name):
    """A class name as it is compared: in one Unicode normalisation."""
    return unicodedata.normalize("NFC", name)


def some_of(texts, limit=3):
    """str, the first texts, and how many more there are.

    Example:
        >>> some_of("abcde")
        'a, b, c and 2 more'
    """
    more = len(texts) - limit
    shown = ", ".join(texts[:limit])
    return f"{shown} and {more:,} more" if more > 0 else shown
