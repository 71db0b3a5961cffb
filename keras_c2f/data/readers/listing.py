"""What a data set lists, and which part of it is for training."""

from dataclasses import dataclass

import numpy as np

from keras_c2f.data.clips import Clips
from keras_c2f.data.labels import LabelSets


@dataclass
class Listing:
    """Clips as a data set lists them, some of which may be missing.

    Args:
        names: list of str, as the list calls the clips.
        sounds: list with the path of each clip, or `None` if it is missing.
        labels: int `(n,)` or `LabelSets`.
        class_names: list of str.
        source: the folder or file, for messages.
        remark: str, how labels were read, if that had to be decided; it goes
            into the note of the clips to train on.
    """

    names: list
    sounds: list
    labels: np.ndarray | LabelSets
    class_names: list
    source: object
    remark: str = ""

    def parts(self, train, validation):
        """`(train, validation)`, two `Clips`, given masks `(n,)`.

        Missing clips are left out, and counted in `Clips.note`.

        Raises:
            ValueError: if no clip of a part is there.
        """
        return (
            self._part(train, "train on", self.remark),
            self._part(validation, "validate on"),
        )

    def _part(self, mask, purpose, remark=""):
        listed = np.flatnonzero(mask).tolist()
        kept = [index for index in listed if self.sounds[index] is not None]
        note = ""
        if len(kept) < len(listed):
            missing = next(i for i in listed if self.sounds[i] is None)
            note = (
                f"{len(kept):,} of {len(listed):,} clips found in "
                f"'{self.source}'; first missing: '{self.names[missing]}'"
            )
        if not kept:
            raise ValueError(
                f"There is no clip to {purpose}: {note or 'none is listed'}. "
                "Check the path, and that the sounds lie and are called as "
                "the reader's description says."
            )
        return Clips(
            [self.sounds[index] for index in kept],
            self.labels[kept],
            self.class_names,
            "; ".join(filter(None, (note, remark))),
        )


def held_out(values, value, what):
    """Boolean `(n,)`, true where `values` equals the part held out.

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


def check_choice(name, value, choices):
    """Refuses the `value` of an option that is not among its `choices`."""
    if value not in choices:
        known = ", ".join(map(repr, choices))
        raise ValueError(f"`{name}` is one of {known}. Received: {value!r}.")


def random_mask(labels, validation_share, seed):
    """Draws a validation set with the same share of every class.

    A class's draw depends on its own clips only, so that adding clips to one
    class moves none of another.

    Args:
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
            "`validation_share` is the part of the clips to validate on, "
            f"between 0 and 1. Received: {validation_share}."
        )
    labels = np.asarray(labels)
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = int(len(members) * validation_share + 0.5)
        count = min(max(count, 1), len(members) - 1)
        rng = np.random.default_rng((seed, int(label) % 2**32))
        mask[rng.permutation(members)[:count]] = True
    if not mask.any():
        raise ValueError(
            "Every class has a single clip, which leaves none to validate on. "
            "Add clips: two or more per class."
        )
    return mask
