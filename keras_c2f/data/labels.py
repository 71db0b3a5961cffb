"""Labels of clips that may belong to several classes."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class LabelSets:
    """The classes of each clip, of which there may be several, or none.

    Two million clips of AudioSet take 40 MB; as multi-hot rows of 527 float32
    they would take 4 GB.

    Args:
        classes: int `(total,)`, the class indices of all clips in a row.
        offsets: int `(n + 1,)`; clip `i` has the classes from `offsets[i]` up
            to `offsets[i + 1]`.

    Example:
        >>> labels = LabelSets.of([[2, 0], [], [1]])
        >>> len(labels), labels[0].tolist(), labels.multi_hot(0, 3).tolist()
        (3, [0, 2], [1.0, 0.0, 1.0])
        >>> labels[[2, 0]]
        LabelSets.of([[1], [0, 2]])
    """

    classes: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[Iterable[int]]) -> LabelSets:
        """From an iterable of sequences of int, the class indices of a clip.

        Raises:
            ValueError: if an index is not a whole number.
        """
        offsets = [0]

        def flat():
            for row in rows:
                row = sorted(set(row))
                yield from map(operator.index, row)
                offsets.append(offsets[-1] + len(row))

        try:
            classes = np.fromiter(flat(), "int32")
        except TypeError as error:
            raise ValueError(
                "Each row of `LabelSets` lists class indices, which are whole "
                f"numbers, such as [3, 17]. Row {len(offsets) - 1}: {error}."
            ) from None
        return cls(classes, np.array(offsets, "int64"))

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, index):
        """int32 array of one clip's classes; of several clips `LabelSets`."""
        if np.ndim(index) == 0:
            index = range(len(self))[index]
            return self.classes[self.offsets[index] : self.offsets[index + 1]]
        starts = self.offsets[:-1][index]
        lengths = self.offsets[1:][index] - starts
        offsets = np.concatenate([[0], lengths.cumsum()])
        positions = np.repeat(starts - offsets[:-1], lengths)
        return LabelSets(
            self.classes[positions + np.arange(offsets[-1])], offsets
        )

    def __repr__(self):
        rows = [self[index].tolist() for index in range(min(len(self), 5))]
        more = "" if len(self) <= 5 else f" and {len(self) - 5:,} more"
        return f"LabelSets.of({rows}{more})"

    def joined(self, other: LabelSets) -> LabelSets:
        """`LabelSets` of these clips and of those of `other`."""
        ends = other.offsets[1:] + self.offsets[-1]
        return LabelSets(
            np.concatenate([self.classes, other.classes]),
            np.concatenate([self.offsets, ends]),
        )

    def renumbered(self, positions: np.ndarray) -> LabelSets:
        """`LabelSets` in which class `i` is called `places[i]`."""
        order = np.lexsort((positions[self.classes], self.rows()))
        return LabelSets(
            positions[self.classes][order].astype(self.classes.dtype),
            self.offsets,
        )

    def rows(self) -> np.ndarray:
        """int64 `(total,)`, the clip that each of `classes` is of."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def multi_hot(self, index: int, num_classes: int) -> np.ndarray:
        """float32 `(num_classes,)` of one clip: 1 at its classes, else 0."""
        row = np.zeros(num_classes, "float32")
        row[self[index]] = 1
        return row
