"""ESC-50 and ESC-10, environmental sounds."""

import numpy as np

from keras_c2f.audio.walk import locate
from keras_c2f.data.clips import Clips
from keras_c2f.datasets.lines import existing_folder, number, read_rows
from keras_c2f.datasets.listing import Listing, held_out
from keras_c2f.utils.annotations import PathLike


def read_esc50(
    root: PathLike, fold: int = 1, esc10: bool = False
) -> tuple[Clips, Clips]:
    """ESC-50: 2,000 clips of 5 s in 50 classes; ESC-10 is 400 in 10 of them.

    Download and unpack https://github.com/karolpiczak/ESC-50 (600 MB,
    CC BY-NC; ESC-10 CC BY), and name the folder that holds:

        root/
            meta/esc50.csv    filename,fold,target,category,esc10,...
            audio/            the files that the CSV names

    Published numbers are the mean accuracy over the five folds.

    Args:
        root: path.
        fold: int from 1 to 5, to validate on; the rest is for training.
        esc10: bool, only the ten classes of ESC-10, renumbered from 0 in
            the order of their ESC-50 numbers.

    Returns:
        `(train, validation)`, two `Clips` of paths; how many clips were
        found, if not all, is in their `note`.

    Raises:
        ValueError: if the folder or the CSV is missing, the fold is unknown,
            or no clip of a split is found.

    Reference:
        Piczak, "ESC: Dataset for Environmental Sound Classification", ACM
        Multimedia 2015.
    """
    root = existing_folder(root)
    table = root / "meta" / "esc50.csv"
    rows = read_rows(table, "filename fold target category esc10".split())
    if esc10:
        rows = [(where, row) for where, row in rows if row["esc10"] == "True"]
        if not rows:
            raise ValueError(
                f"'{table}' marks no clip as ESC-10: its column 'esc10' is "
                "'True' nowhere. Leave `esc10` off for all classes."
            )
    targets = [number(row["target"], "target", where) for where, row in rows]
    folds = [number(row["fold"], "fold", where) for where, row in rows]
    validation = held_out(folds, fold, "fold")
    paths = [str(root / "audio" / row["filename"]) for _, row in rows]

    names = {
        target: row["category"]
        for target, (_, row) in zip(targets, rows, strict=True)
    }
    order = sorted(names)
    listing = Listing(
        paths,
        locate(paths),
        np.searchsorted(order, targets),
        [names[target] for target in order],
        root,
    )
    return listing.splits(~validation, validation)
