"""Data sets that `keras-c2f prepare` wrote."""

import os

import numpy as np

from keras_c2f.data.clips import Clips, some_of
from keras_c2f.data.labels import LabelSets
from keras_c2f.data.shards import Record, Shards, read_json
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.optional import tf


def read_prepared(root: PathLike) -> tuple[Clips, Clips]:
    """What `keras-c2f prepare` wrote: decoded recordings, or their log-mel.

    Clips and their order are those of the data set it was made of, so the
    same seed gives the same batches. A file that could not be read then is a
    bad recording now, with the same reason.

    Args:
        root: path, local or any that `tf.io.gfile` knows (`gs://...`).

    Returns:
        `(train, validation)`, two `Clips`.

    Raises:
        ValueError: if there is no prepared data set, or an unfinished one; or
            files that it was made of have changed since. Those that are no
            longer where they were are not looked for.
    """
    root = os.path.expanduser(root)
    path = os.path.join(root, "dataset.json")
    # TensorFlow takes seconds, and only it knows remote paths
    exists = tf.io.gfile.exists if "://" in path else os.path.exists
    if not exists(path):
        raise ValueError(
            f"There is no '{path}', so '{root}' is no prepared data set, or "
            "an unfinished one. Run `keras-c2f prepare` with "
            f"`--out={root}`; it goes on where it stopped."
        )
    config = read_json(path)
    note = ""
    if config["version"] < 2:
        note = (
            f"'{root}' was prepared by an earlier version: whether its files "
            "have changed since is not known"
        )
    splits, changed = [], []
    for split in ("train", "validation"):
        shards = Shards(root, split, config)
        changed += shards.changed_sources()
        recordings = [
            Record(shards, number) for number in range(shards.num_clips)
        ]
        labels = labels_from_json(config["labels"][split], config["label_kind"])
        splits.append(Clips(recordings, labels, config["class_names"], note))
    if changed:
        raise ValueError(
            f"{len(changed):,} files have changed since '{root}' was prepared "
            f"of them: {some_of(changed)}. Prepare them again, into another "
            "folder."
        )
    return tuple(splits)


def label_kind(labels):
    """`"single"`, `"sets"` or `"soft"`: what `Clips.labels` are."""
    if isinstance(labels, LabelSets):
        return "sets"
    return "single" if labels.ndim == 1 else "soft"


def labels_to_json(labels):
    """`Clips.labels` as lists: an index, indices, or values of each clip."""
    if isinstance(labels, LabelSets):
        return [labels[index].tolist() for index in range(len(labels))]
    return labels.tolist()


def labels_from_json(rows, kind):
    """Labels for `Clips` from what `labels_to_json` made."""
    if kind == "sets":
        return LabelSets.of(rows)
    return np.array(rows, "int64" if kind == "single" else "float32")
