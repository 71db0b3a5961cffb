"""Recordings sorted into one folder per class."""

import re
from collections.abc import Sequence

import numpy as np

from keras_c2f.audio.walk import is_hidden, nfc, walk_folder
from keras_c2f.data.clips import Clips
from keras_c2f.datasets.label_cells import alike
from keras_c2f.datasets.lines import existing_folder
from keras_c2f.datasets.listing import Listing
from keras_c2f.utils.annotations import PathLike

NOISE = "_background_noise_"  # of Speech Commands: no class
# Parts of a data set, as folders of them are called.
PART = re.compile(
    r"train(ing)?|val(id(ation)?)?|dev|test(ing)?|eval(uation)?"
    r"|(fold|split|part)[ _-]?\d+",
    re.IGNORECASE,
)


def read_folder(
    root: PathLike,
    validation_share: float = 0.2,
    seed: int = 0,
    more_classes: Sequence[str] = (),
) -> tuple[Clips, Clips]:
    """Your own recordings: one sub-folder per class.

        root/
            dog/    bark.wav  puppy.flac
            rain/   roof.mp3  street.OGG

    The folder names, sorted, are the classes. Folders inside a class folder
    belong to the class. Left out are hidden files and folders, see
    `walk_folder`, and `_background_noise_` of Speech Commands.

    Args:
        root: path.
        validation_share: float between 0 and 1, the share of each class to
            validate on; a class with two or more clips is on both sides.
        seed: int, of the random choice of those clips, which is made by
            their names: see `random_mask`.
        more_classes: sequence of str, classes beside those that have a
            folder; such as those of a network that is to be scored.

    Returns:
        `(train, validation)`, two `Clips` of paths. What was found, used and
        left out is in their `note`.

    Raises:
        ValueError: if the folder is missing, has fewer than two classes, or
            a class has no clip.
    """
    root = existing_folder(root)
    folders = class_folders(root)
    names = sorted({nfc(folder.name) for folder in folders}.union(more_classes))
    if not folders or len(names) < 2:
        found = f"only '{folders[0].name}'" if folders else "none"
        raise ValueError(
            f"'{root}' needs a sub-folder of audio for each of at least two "
            f"classes, and has {found}. Make one per class, or name the "
            "folder that contains them."
        )
    if all(map(PART.fullmatch, names)):
        raise ValueError(
            f"The folders in '{root}' are called {', '.join(names)}: parts of "
            "a data set rather than classes. Name one of them, or list the "
            "files in a CSV with the columns path, label and split."
        )
    found = walk_folder(root)
    found.keep(
        lambda path: len(found.parts(path)) > 1, "outside the class folders"
    )
    found.keep(lambda path: found.parts(path)[0] != NOISE, f"of {NOISE}")
    members = {folder.name: [] for folder in folders}
    for path in found.audio:
        members[found.parts(path)[0]].append(path)
    for name, paths in members.items():
        if not paths:
            raise ValueError(
                f"The class folder '{root / name}' has no audio in it that can "
                f"be read. Put some there, or remove it. {found}."
            )
    index = {name: label for label, name in enumerate(names)}
    recordings = [path for name in members for path in members[name]]
    labels = [index[nfc(name)] for name in members for _ in members[name]]
    remark = "; ".join(filter(None, (str(found), alike([tuple(names)]))))
    listing = Listing(
        recordings, recordings, np.array(labels), names, root, remark
    )
    return listing.drawn(validation_share, seed)


def class_folders(root):
    """Folders in a folder, sorted, which are not hidden and no noise."""
    return sorted(
        path
        for path in root.iterdir()
        if not is_hidden(path.name) and path.name != NOISE and path.is_dir()
    )
