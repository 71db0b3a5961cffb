"""VoxCeleb1, celebrities' voices, for telling who speaks."""

import os

import numpy as np

from keras_c2f.audio.walk import index_audio, stem, walk_folder
from keras_c2f.data.clips import Clips
from keras_c2f.datasets.lines import existing_folder, read_lines
from keras_c2f.datasets.listing import Listing
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.values import Choice

SPLITS = {"1": "train", "2": "validation", "3": "test"}


def read_voxceleb(
    root: PathLike, validate_on: str = "validation"
) -> tuple[Clips, Clips]:
    """VoxCeleb1 identification: 153,516 utterances of 1,251 speakers.

    Ask for access and download the development and test sets from
    https://www.robots.ox.ac.uk/~vgg/data/voxceleb (CC BY), and
    `iden_split.txt` from its folder `meta`. The two archives may be unpacked
    into one folder or two.

        root/
            iden_split.txt    3 id10003/na8-QEFmj44/00003.wav
            any/folders/id10003/na8-QEFmj44/00003.wav ...

    The number is 1 for training, 2 for validation, 3 for testing; all
    speakers are in each. The classes are the speakers, in the order of their
    names, `id10001` to `id11251`.

    Args:
        root: path.
        validate_on: `"validation"` or `"test"`, the split that is returned
            beside the one for training.

    Returns:
        `(train, validation)`, two `Clips` of paths; how many utterances were
        found, if not all, is in their `note`.

    Raises:
        ValueError: if the list is missing or broken, or no clip of a split is
            found.

    Reference:
        Nagrani et al., "VoxCeleb: a large-scale speaker identification
        dataset", Interspeech 2017.
    """
    Choice(("validation", "test")).check("validate_on", validate_on)
    root = existing_folder(root)
    names, speakers, splits = [], [], []
    for where, (split, name) in read_lines(
        root / "iden_split.txt", ["split", "path"], delimiter=" "
    ):
        if split not in SPLITS or name.count("/") != 2:
            raise ValueError(
                f"{where} is '{split} {name}', and should be 1, 2 or 3, and "
                "speaker/video/file. Download the file again."
            )
        names.append(name)
        speakers.append(name.split("/")[0])
        splits.append(SPLITS[split])
    contents = walk_folder(root)
    found = index_audio(contents.audio, _speaker_video_file)
    class_names, labels = np.unique(speakers, return_inverse=True)
    listing = Listing(
        names,
        [found.get(stem(name)) for name in names],
        labels,
        class_names.tolist(),
        root,
        contents.to_convert(),
    )
    splits = np.array(splits)
    return listing.splits(splits == "train", splits == validate_on)


def _speaker_video_file(folder, base):
    return "/".join([*folder.split(os.sep)[-2:], base])
