"""Recordings sorted into one folder per class."""

import os

import numpy as np

from keras_c2f.data.readers.lines import existing_folder
from keras_c2f.data.readers.listing import Listing
from keras_c2f.data.readers.sound_files import SUFFIXES, sounds_in


def read_folder(root, validation_share=0.2, seed=0, more_classes=()):
    """Your own recordings: one sub-folder per class.

        root/
            dog/    bark.wav  puppy.flac
            rain/   roof.mp3  street.OGG

    The folder names, sorted, are the classes. Other files are ignored, and so
    is whatever starts with `.` or `_` (Speech Commands keeps its noise in
    `_background_noise_`). Sounds are taken from the class folder itself, not
    from folders inside it.

    Args:
        root: path.
        validation_share: float between 0 and 1, the part of each class to
            validate on; a class with two or more clips is on both sides.
        seed: int, of the random choice of those clips, which is made by
            their names: see `random_mask`.
        more_classes: sequence of str, classes beside those that have a
            folder; such as those of a network that is to be scored.

    Returns:
        `(train, validation)`, two `Clips` of paths.

    Raises:
        ValueError: if the folder is missing, has fewer than two classes, or
            a class has no clip.
    """
    root = existing_folder(root)
    folders = class_folders(root)
    class_names = [folder.name for folder in folders]
    class_names += [name for name in more_classes if name not in class_names]
    if not folders or len(class_names) < 2:
        found = f"only '{folders[0].name}'" if folders else "none"
        raise ValueError(
            f"'{root}' needs a sub-folder of sounds for each of at least two "
            f"classes, and has {found}. Make one per class, or name the "
            "folder that contains them."
        )
    sounds, labels = [], []
    for label, folder in enumerate(folders):
        names = [name for name in sounds_in(folder) if name[0] != "_"]
        if not names:
            raise ValueError(
                f"The class folder '{folder}' has no sound in it "
                f"({', '.join(SUFFIXES)}). Put some there, or remove it."
            )
        # a `Path` per clip would take four times as long
        sounds += [os.path.join(folder, name) for name in names]
        labels += [label] * len(names)
    listing = Listing(sounds, sounds, np.array(labels), class_names, root)
    return listing.drawn(validation_share, seed)


def class_folders(root):
    """Folders in a folder, sorted, without those that begin with `.` or `_`."""
    return sorted(
        path
        for path in root.iterdir()
        if path.name[0] not in "._" and path.is_dir()
    )
