"""Kinetics-Sounds, clips of Kinetics-400 whose action is audible."""

import numpy as np

from keras_c2f.audio.walk import locate_youtube, walk_folder
from keras_c2f.data.clips import Clips
from keras_c2f.datasets.lines import existing_folder, number, read_lines
from keras_c2f.datasets.listing import Listing
from keras_c2f.utils.annotations import PathLike

# The lists give numbers only. That these follow the alphabet was checked with
# the clips of seven classes that Kinetics' own lists name too.
CLASS_NAMES = tuple(
    "blowing nose, blowing out candles, bowling, chopping wood, "
    "dribbling basketball, laughing, mowing lawn, playing accordion, "
    "playing bagpipes, playing bass guitar, playing clarinet, playing drums, "
    "playing guitar, playing harmonica, playing keyboard, playing organ, "
    "playing piano, playing saxophone, playing trombone, playing trumpet, "
    "playing violin, playing xylophone, ripping paper, shoveling snow, "
    "shuffling cards, singing, stomping grapes, tap dancing, tapping guitar, "
    "tapping pen, tickling".split(", ")
)


def read_kinetics_sounds(root: PathLike) -> tuple[Clips, Clips]:
    """Kinetics-Sounds: clips of 10 s in 31 classes, one label each.

    There is no official list. The one in use is in `data/KineticSound` of
    https://github.com/GeWu-Lab/OGM-GE_CVPR2022; the videos are those of
    Kinetics-400 (CC BY), fetched by a download tool.

        root/
            my_train.txt    --4-0ihtnBU_000058_000068,10,4
            my_test.txt     -3Mwkq-7TV4_2,10,23
            any/folders/--4-0ihtnBU_000058_000068.wav ...

    A line holds the video's id with the start in seconds and maybe the end,
    the length, and the class number. The names of the usual tools are
    understood: see `locate_youtube`.

    Args:
        root: path.

    Returns:
        `(train, test)`, two `Clips` of paths; how many of the 14,799 and
        2,597 clips were found is in their `note`.

    Raises:
        ValueError: if a list is missing or broken, or no clip of a split is
            found.

    Reference:
        Arandjelovic and Zisserman, "Look, listen and learn", ICCV 2017, with
        34 classes, of which Kinetics has kept 31.
    """
    root = existing_folder(root)
    names, segments, labels, test = [], [], [], []
    for file in ("my_train.txt", "my_test.txt"):
        for where, row in read_lines(root / file, ["clip", "length", "label"]):
            clip, _, label = row
            start = clip[11:].lstrip("_").split("_")[0]
            names.append(clip)
            segments.append((clip[:11], number(start, "start", where, float)))
            labels.append(_label(label, where))
            test.append(file == "my_test.txt")
    contents = walk_folder(root)
    recordings = locate_youtube(contents, segments)
    test = np.array(test)
    listing = Listing(names, recordings, np.array(labels), CLASS_NAMES, root)
    listing.remark = contents.to_convert()
    return listing.splits(~test, test)


def _label(text, where):
    label = number(text, "label", where)
    if not 0 <= label < len(CLASS_NAMES):
        raise ValueError(
            f"{where} has the label {label}, and the {len(CLASS_NAMES)} "
            f"classes count from 0 to {len(CLASS_NAMES) - 1}. Download the "
            "file again."
        )
    return label
