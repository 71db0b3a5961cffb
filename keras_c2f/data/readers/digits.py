"""The Free Spoken Digit Dataset."""

import re

import numpy as np

from keras_c2f.data.clips import Clips
from keras_c2f.data.readers.listing import (
    check_present,
    existing_folder,
    held_out,
    read_rows,
    split,
)

NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<index>\d+)\.\w+")
NUM_TEST_TAKES = 5  # takes 0 to 4 of each digit and speaker are the test set


def read_digits(root, speaker=None):
    """Free Spoken Digit Dataset: 3,000 digits from 0 to 9 by six speakers.

    Download https://github.com/Jakobovski/free-spoken-digit-dataset (CC
    BY-SA) and name its folder; or one with a list of the files and any sound
    format:

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
        `(train, validation)`, two `Clips` of paths.

    Raises:
        ValueError: if the folder, the list or a clip is missing, a file name
            has another form, or the speaker is unknown.
    """
    root = existing_folder(root)
    paths = _paths(root)
    matches = [NAME.fullmatch(path.name) for path in paths]
    if not all(matches):
        raise ValueError(
            "A recording is called digit_speaker_take, such as "
            f"0_george_12.wav. Received: '{paths[matches.index(None)]}'."
        )
    if speaker is None:
        parts = [
            "test" if int(match["index"]) < NUM_TEST_TAKES else "train"
            for match in matches
        ]
        validation = held_out(parts, "test", "split")
    else:
        speakers = [match["speaker"] for match in matches]
        validation = held_out(speakers, speaker, "speaker")
    labels = np.array([int(match["digit"]) for match in matches])
    clips = Clips([str(path) for path in paths], labels, "0123456789")
    return split(clips, validation)


def _paths(root):
    if (root / "recordings").is_dir():
        paths = sorted((root / "recordings").glob("*.wav"))
        if not paths:
            raise ValueError(
                f"'{root / 'recordings'}' has no .wav file. Download the data "
                "set again."
            )
        return paths
    rows = read_rows(root / "meta.csv", ["filename"])
    paths = [root / "audio" / row["filename"] for row in rows]
    check_present(paths, root)
    return paths
