"""The list of labelled sounds that every data-set reader returns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Clips:
    """Sounds, their labels, and what the labels are called.

    Args:
        sounds: sequence of file paths, or of float `(samples,)` arrays,
            mono, in [-1, 1], already at the model's sample rate.
        labels: int `(n,)` class indices, or multi-hot `(n, num_classes)`;
            values between 0 and 1 are allowed in the latter.
        class_names: sequence of str, in the order of the class indices.

    Sounds without labels have multi-hot labels `(n, 0)` of no class.

    Raises:
        ValueError: if there is no clip, there is a single class, the lengths
            differ, or a label is outside the class list.

    Example:
        >>> clips = Clips(["dog.wav", "rain.flac"], [1, 0], ["rain", "dog"])
        >>> len(clips), clips.targets().tolist()
        (2, [[0.0, 1.0], [1.0, 0.0]])
        >>> clips.subset([1]).sounds
        ('rain.flac',)
    """

    sounds: Sequence
    labels: np.ndarray
    class_names: Sequence[str]

    def __post_init__(self):
        labels = np.asarray(self.labels)
        if labels.ndim == 2:
            labels = labels.astype("float32")
        for name, value in (
            ("sounds", tuple(self.sounds)),
            ("labels", labels),
            ("class_names", tuple(self.class_names)),
        ):
            object.__setattr__(self, name, value)
        self._check()

    def _check(self):
        labels, num_classes = self.labels, len(self.class_names)
        if not self.sounds:
            raise ValueError(
                "There are no clips. Check the folder, the fold or the subset "
                "they were selected by."
            )
        if num_classes < 2 and labels.shape != (len(self.sounds), 0):
            raise ValueError(
                "Telling classes apart needs at least two of them. Received: "
                f"class_names={self.class_names}. Sounds without labels have "
                f"`labels` of shape (n, 0) and no class name."
            )
        if labels.ndim not in (1, 2) or len(labels) != len(self.sounds):
            raise ValueError(
                "`labels` has one entry, or one multi-hot row, per sound. "
                f"Received: {len(self.sounds)} sounds and labels of shape "
                f"{labels.shape}."
            )
        if labels.ndim == 2:
            if labels.shape[1] != num_classes:
                raise ValueError(
                    f"Multi-hot `labels` have {labels.shape[1]} columns, and "
                    f"`class_names` {num_classes} names: give one name per "
                    "column."
                )
            outside = ~((labels >= 0) & (labels <= 1)).all(axis=1)  # NaN too
        else:
            if not np.issubdtype(labels.dtype, np.integer):
                raise ValueError(
                    "Single `labels` are whole numbers, indices into "
                    f"`class_names`. Received: dtype {labels.dtype}."
                )
            outside = (labels < 0) | (labels >= num_classes)
        if outside.any():
            first = int(np.argmax(outside))
            raise ValueError(
                f"Label {labels[first]} of clip {first} is outside the "
                f"{num_classes} classes of `class_names`: indices count from "
                "0, multi-hot values are from 0 to 1."
            )

    def __len__(self):
        return len(self.sounds)

    @property
    def num_classes(self):
        """int, length of the class list."""
        return len(self.class_names)

    def subset(self, indices):
        """`Clips` at `indices` (a sequence of int), with all class names."""
        indices = np.asarray(indices, dtype="int64")
        return replace(
            self,
            sounds=[self.sounds[index] for index in indices],
            labels=self.labels[indices],
        )

    def targets(self):
        """float32 `(n, num_classes)`: one-hot or multi-hot labels."""
        if self.labels.ndim == 2:
            return self.labels
        return np.eye(self.num_classes, dtype="float32")[self.labels]
