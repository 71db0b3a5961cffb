"""AudioSet, two million clips of YouTube videos with 527 labels."""

import numpy as np

from keras_c2f.audio.walk import locate_youtube, walk_folder
from keras_c2f.data.clips import Clips
from keras_c2f.data.labels import LabelSets
from keras_c2f.datasets.lines import (
    class_indices,
    existing_folder,
    number,
    read_classes,
    read_lines,
)
from keras_c2f.datasets.listing import Listing
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.values import Choice

COLUMNS = ["id", "start", "end", "labels"]
TRAIN = {
    "full": ("balanced_train", "unbalanced_train"),
    "balanced": ("balanced_train",),
    "unbalanced": ("unbalanced_train",),
}


def read_audioset(root: PathLike, train: str = "full") -> tuple[Clips, Clips]:
    """AudioSet: clips of 10 s with one or several of 527 labels each.

    Download the four lists from https://research.google.com/audioset (CC BY).
    The recordings themselves are not distributed: a download tool fetches what
    is left of the videos.

        root/
            balanced_train_segments.csv      22,160 clips
            unbalanced_train_segments.csv    2,041,789 clips
            eval_segments.csv                20,371 clips
            class_labels_indices.csv         index,mid,display_name
            any/folders/--PJHxphWEs_30.wav ...

    The names of the usual tools are understood: see `locate_youtube`.

    Args:
        root: path.
        train: `"full"`, balanced and unbalanced clips together, AudioSet-2M;
            `"balanced"`, AudioSet-20K; or `"unbalanced"`.

    Returns:
        `(train, evaluation)`, two `Clips` of paths, with `LabelSets`; how
        many clips were found is in their `note`.

    Raises:
        ValueError: if a list is missing or broken, a label is unknown, or no
            clip of a split is found.

    Reference:
        Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for
        audio events", ICASSP 2017.
    """
    Choice(tuple(TRAIN)).check("train", train)
    root = existing_folder(root)
    index, class_names = read_classes(root / "class_labels_indices.csv", "mid")
    segments, num_train = [], 0

    def rows():  # one at a time: two million lists would take long to make
        nonlocal num_train
        for split in (*TRAIN[train], "eval"):
            num_train = len(segments)  # ends up as those before `eval`
            path = root / f"{split}_segments.csv"
            for where, (video, start, _, mids) in read_lines(path, COLUMNS):
                segments.append((video, number(start, "start", where, float)))
                yield class_indices(mids.split(","), index, where)

    labels = LabelSets.of(rows())
    names = [video for video, _ in segments]
    contents = walk_folder(root)
    recordings = locate_youtube(contents, segments)
    evaluation = np.arange(len(segments)) >= num_train
    listing = Listing(names, recordings, labels, class_names, root)
    listing.remark = contents.to_convert()
    return listing.splits(~evaluation, evaluation)
