"""Recordings without labels, for pre-training."""

import numpy as np

from keras_c2f.data.clips import Clips
from keras_c2f.data.readers.folder import SUFFIXES, is_sound
from keras_c2f.data.readers.listing import existing_folder, random_mask, split


def read_sounds(root, validation_share=0.1, seed=0):
    """Recordings without labels: every sound in a folder, at any depth.

    Files and folders that start with `.` or `_` are left out.

    Args:
        root: path.
        validation_share: float between 0 and 1, the part to validate on.
        seed: int, of the random choice of those clips.

    Returns:
        `(train, validation)`, two `Clips` of paths, without classes.

    Raises:
        ValueError: if the folder is missing, or has fewer than two sounds.
    """
    root = existing_folder(root)
    paths = [
        path
        for path in sorted(root.rglob("*"))
        if is_sound(path)
        and not any(
            part.startswith((".", "_")) for part in path.relative_to(root).parts
        )
    ]
    if len(paths) < 2:
        raise ValueError(
            f"'{root}' needs at least two sounds ({', '.join(SUFFIXES)}), one "
            f"of them to validate on, and has {len(paths)}."
        )
    clips = Clips(list(map(str, paths)), np.zeros((len(paths), 0)), ())
    mask = random_mask(np.zeros(len(paths), int), validation_share, seed)
    return split(clips, mask)
