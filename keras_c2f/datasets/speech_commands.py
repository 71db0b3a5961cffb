"""Speech Commands, 35 spoken words."""

import numpy as np

from keras_c2f.audio.walk import stem, walk_folder
from keras_c2f.data.clips import Clips
from keras_c2f.datasets.folder import NOISE
from keras_c2f.datasets.lines import existing_folder, read_lines
from keras_c2f.datasets.listing import Listing
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.values import Choice

LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}


def read_speech_commands(
    root: PathLike, validate_on: str = "validation"
) -> tuple[Clips, Clips]:
    """Speech Commands, version 2: 105,829 clips of 1 s, 35 words.

    Download and unpack `speech_commands_v0.02.tar.gz` from
    https://download.tensorflow.org/data (2.3 GB, CC BY).

        root/
            validation_list.txt    bed/026290a7_nohash_0.wav
            testing_list.txt
            bed/  bird/ ...        a folder per word
            _background_noise_/    not a class, and not read

    What is in neither list is for training. The classes are numbered in the
    order of the words.

    Args:
        root: path.
        validate_on: `"validation"` or `"test"`, the split that is returned
            beside the one for training.

    Returns:
        `(train, validation)`, two `Clips` of paths; how many of the listed
        ones were found, if not all, is in the latter's `note`.

    Raises:
        ValueError: if a list is missing or broken, or no clip of a split is
            found.

    Reference:
        Warden, "Speech Commands: A dataset for limited-vocabulary speech
        recognition", 2018, arXiv 1804.03209.
    """
    Choice(tuple(LISTS)).check("validate_on", validate_on)
    root = existing_folder(root)
    contents = walk_folder(root)
    located = ((contents.parts(path), path) for path in contents.audio)
    recordings = {
        f"{parts[0]}/{stem(parts[1])}": path
        for parts, path in located
        if len(parts) == 2 and parts[0] != NOISE
    }
    splits = dict.fromkeys(recordings, "train")
    for split, file in LISTS.items():
        for where, (name,) in read_lines(root / file, ["word/clip"]):
            if name.count("/") != 1:
                raise ValueError(
                    f"{where} is {name!r}, and should be word/clip. Download "
                    "the file again."
                )
            splits[stem(name)] = split
    names = list(splits)
    words = [name.split("/")[0] for name in names]
    class_names, labels = np.unique(words, return_inverse=True)
    listing = Listing(
        names,
        [recordings.get(n) for n in names],
        labels,
        class_names.tolist(),
        root,
        contents.to_convert(),
    )
    splits = np.array(list(splits.values()))
    return listing.splits(splits == "train", splits == validate_on)
