"""VGGSound, 200,000 clips of YouTube videos in 309 classes."""

import numpy as np

from keras_c2f.audio.walk import locate_youtube, walk_folder
from keras_c2f.data.clips import Clips
from keras_c2f.datasets.lines import existing_folder, number, read_lines
from keras_c2f.datasets.listing import Listing, held_out
from keras_c2f.utils.annotations import PathLike


def read_vggsound(root: PathLike) -> tuple[Clips, Clips]:
    """VGGSound: clips of 10 s in 309 classes, one label each.

    Download the list from https://www.robots.ox.ac.uk/~vgg/data/vggsound (CC
    BY). The recordings themselves are not distributed: a download tool fetches
    what is left of the videos.

        root/
            vggsound.csv    id, start in seconds, label, train or test
            any/folders/--0PQM4-hqg_000030.wav ...

    The names of the usual tools are understood: see `locate_youtube`. The
    classes are numbered in the order of their names.

    Args:
        root: path.

    Returns:
        `(train, test)`, two `Clips` of paths; how many of the 183,730 and
        15,446 clips were found is in their `note`.

    Raises:
        ValueError: if the list is missing or broken, or no clip of a split is
            found.

    Reference:
        Chen et al., "VGGSound: A large-scale audio-visual dataset", ICASSP
        2020.
    """
    root = existing_folder(root)
    path = root / "vggsound.csv"
    segments, labels, splits = [], [], []
    for where, row in read_lines(path, ["id", "start", "label", "split"]):
        video, start, label, split = row
        segments.append((video, number(start, "start", where, float)))
        labels.append(label)
        splits.append(split)
    test = held_out(splits, "test", "split")
    class_names, labels = np.unique(labels, return_inverse=True)
    contents = walk_folder(root)
    listing = Listing(
        [video for video, _ in segments],
        locate_youtube(contents, segments),
        labels,
        class_names.tolist(),
        root,
        contents.to_convert(),
    )
    return listing.splits(~test, test)
