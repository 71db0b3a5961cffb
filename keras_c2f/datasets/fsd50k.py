"""FSD50K, 51,197 clips of Freesound with 200 labels."""

import numpy as np

from keras_c2f.audio.walk import locate
from keras_c2f.data.clips import Clips
from keras_c2f.data.labels import LabelSets
from keras_c2f.datasets.lines import (
    class_index,
    class_indices,
    existing_folder,
    read_lines,
    read_rows,
)
from keras_c2f.datasets.listing import Listing
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.values import Choice

SPLITS = ("train", "val")


def read_fsd50k(
    root: PathLike, validate_on: str = "validation"
) -> tuple[Clips, Clips]:
    """FSD50K: clips of 0.3 to 30 s with one or several of 200 labels each.

    Download and unpack https://zenodo.org/records/4060432 (30 GB, CC BY; each
    clip has a licence of its own), and name the folder that holds:

        root/
            FSD50K.ground_truth/
                vocabulary.csv      0,Accelerating_and_revving_and_vroom,/m/..
                dev.csv             fname,labels,mids,split
                eval.csv            fname,labels,mids
            FSD50K.dev_audio/       64760.wav ...
            FSD50K.eval_audio/      37199.wav ...

    Args:
        root: path.
        validate_on: `"validation"`, the 4,170 clips of `dev.csv` whose split
            is `val`; or `"test"`, the 10,231 of `eval.csv`. The 36,796 whose
            split is `train` are for training.

    Returns:
        `(train, validation)`, two `Clips` of paths, with `LabelSets`; how
        many clips were found, if not all, is in their `note`.

    Raises:
        ValueError: if a list is missing or broken, a label is unknown, or no
            clip of a split is found.

    Reference:
        Fonseca et al., "FSD50K: An open dataset of human-labeled audio
        events", IEEE/ACM TASLP 30, 2022.
    """
    Choice(("validation", "test")).check("validate_on", validate_on)
    root = existing_folder(root)
    lists = root / "FSD50K.ground_truth"
    vocabulary = read_lines(lists / "vocabulary.csv", ["index", "label", "mid"])
    class_names = [name for _, (_, name, _) in vocabulary]
    index = class_index(class_names, lists / "vocabulary.csv")
    names, labels, splits = [], [], []

    def add(where, row, folder, split):
        names.append(str(root / folder / row["fname"]))
        labels.append(class_indices(row["labels"].split(","), index, where))
        splits.append(split)

    columns = ["fname", "labels"]
    for where, row in read_rows(lists / "dev.csv", [*columns, "split"]):
        if row["split"] not in SPLITS:
            raise ValueError(
                f"{where} has the split {row['split']!r}, and should have "
                "'train' or 'val'. Download the file again."
            )
        add(where, row, "FSD50K.dev_audio", row["split"])
    if validate_on == "test":
        for where, row in read_rows(lists / "eval.csv", columns):
            add(where, row, "FSD50K.eval_audio", "test")
    listing = Listing(
        names, locate(names), LabelSets.of(labels), class_names, root
    )
    splits = np.array(splits)
    validation = "test" if validate_on == "test" else "val"
    return listing.splits(splits == "train", splits == validation)
