"""Recordings without labels, for pre-training."""

from pathlib import Path

import numpy as np

from keras_c2f.data.readers.lines import existing_folder
from keras_c2f.data.readers.listing import Listing
from keras_c2f.data.readers.sound_files import SUFFIXES, sounds_below


def read_sounds(root, validation_share=0.1, seed=0):
    """Recordings without labels: every sound in a folder, at any depth.

    Files and folders that start with `.` or `_` are left out.

    Args:
        root: path.
        validation_share: float between 0 and 1, the part to validate on.
        seed: int, of the random choice of those clips, by their names.

    Returns:
        `(train, validation)`, two `Clips` of paths, without classes.

    Raises:
        ValueError: if the folder is missing, or has fewer than two sounds.
    """
    root = existing_folder(root)

    def visible(folder, base):
        parts = (*Path(folder).relative_to(root).parts, base)
        hidden = any(part[0] in "._" for part in parts)
        return None if hidden else (folder, base)

    paths = sorted(sounds_below(root, visible).values())
    if len(paths) < 2:
        raise ValueError(
            f"'{root}' needs at least two sounds ({', '.join(SUFFIXES)}), one "
            f"of them to validate on, and has {len(paths)}."
        )
    listing = Listing(paths, paths, np.zeros((len(paths), 0)), [], root)
    return listing.drawn(validation_share, seed, np.zeros(len(paths), int))
