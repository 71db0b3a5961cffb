"""The Free Spoken Digit Dataset."""

import re

import numpy as np

from keras_c2f.audio.walk import locate, walk_folder
from keras_c2f.data.clips import Clips
from keras_c2f.datasets.lines import existing_folder, read_rows
from keras_c2f.datasets.listing import Listing, held_out
from keras_c2f.utils.annotations import PathLike

NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<index>\d+)\.\w+")
NUM_TEST_TAKES = 5  # takes 0 to 4 of each digit and speaker are the test set


def read_digits(
    root: PathLike, speaker: str | None = None
) -> tuple[Clips, Clips]:
    """Free Spoken Digit Dataset: 3,000 digits from 0 to 9 by six speakers.

    Download https://github.com/Jakobovski/free-spoken-digit-dataset (CC
    BY-SA) and name its folder; or one with a list of the files and any
    recording format:

        root/                            root/
            recordings/                      meta.csv    filename,...
                0_george_0.wav ...           audio/      0_george_0.flac ...

    Digit, speaker and take are read from the file names.

    Args:
        root: path.
        speaker: str, the speaker to validate on and not to train on; harder
            and more honest. `None`: the official split, takes 0 to 4 of
            every digit and speaker, so the same speakers on both sides.

    Returns:
        `(train, validation)`, two `Clips` of paths; how many of a list were
        found, if not all, is in their `note`.

    Raises:
        ValueError: if the folder or the list is missing, a file name has
            another form, the speaker is unknown, or no clip of a split is
            found.
    """
    root = existing_folder(root)
    names, folder = _names(root)
    matches = [NAME.fullmatch(name) for name in names]
    if not all(matches):
        raise ValueError(
            "Files are named digit_speaker_take, such as "
            f"0_george_12.wav. Received: {names[matches.index(None)]!r} in "
            f"'{root}'."
        )
    if speaker is None:
        splits = [
            "test" if int(match["index"]) < NUM_TEST_TAKES else "train"
            for match in matches
        ]
        validation = held_out(splits, "test", "split")
    else:
        speakers = [match["speaker"] for match in matches]
        validation = held_out(speakers, speaker, "speaker")
    labels = np.array([int(match["digit"]) for match in matches])
    recordings = locate(str(folder / name) for name in names)
    listing = Listing(names, recordings, labels, "0123456789", root)
    return listing.splits(~validation, validation)


def _names(root):
    """Names of the recordings, and the folder they should be in."""
    folder = root / "recordings"
    if not folder.is_dir():
        rows = read_rows(root / "meta.csv", ["filename"])
        return [row["filename"] for _, row in rows], root / "audio"
    found = walk_folder(folder)
    names = ["/".join(found.parts(path)) for path in found.audio]
    if not names:
        raise ValueError(
            f"'{folder}' has no audio in it. Download the data set again."
        )
    return names, folder
