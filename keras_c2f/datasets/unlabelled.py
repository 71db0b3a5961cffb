"""Recordings without labels, for pre-training."""

import numpy as np

from keras_c2f.audio.walk import walk_folder
from keras_c2f.data.clips import Clips
from keras_c2f.datasets.lines import existing_folder
from keras_c2f.datasets.listing import Listing
from keras_c2f.utils.annotations import PathLike


def read_unlabelled(
    root: PathLike, validation_share: float = 0.1, seed: int = 0
) -> tuple[Clips, Clips]:
    """Recordings without labels: every audio file in a folder, at any depth.

    Hidden files and folders are left out: see `walk_folder`.

    Args:
        root: path.
        validation_share: float between 0 and 1, the share to validate on.
        seed: int, of the random choice of those clips, by their names.

    Returns:
        `(train, validation)`, two `Clips` of paths, without classes. What was
        found, used and left out is in their `note`.

    Raises:
        ValueError: if the folder is missing, or has fewer than two audio.
    """
    root = existing_folder(root)
    found = walk_folder(root)
    paths = found.audio
    if len(paths) < 2:
        raise ValueError(
            f"'{root}' needs at least two files that can be read, one of them "
            f"to validate on, and has {len(paths)}. {found}."
        )
    listing = Listing(paths, paths, np.zeros((len(paths), 0)), [], root)
    listing.remark = str(found)
    return listing.drawn(validation_share, seed, np.zeros(len(paths), int))
