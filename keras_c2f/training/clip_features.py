"""Features of whole clips, computed once and kept in a folder.

One file holds what one network makes of clips: rows by the clip's name, size
and time of change, so that folds of one data set share it. Beside it lies a
text that says what it holds.
"""

import hashlib
import json
import os
import time

import keras
import numpy as np

from keras_c2f.utils.files import atomic_write, write_json


class FeatureStore:
    """Features of clips by one network, in memory and in a folder.

    Args:
        folder: path; made if missing.
        description: dict of what decides on the features; anything else gives
            another file.
    """

    def __init__(self, folder, description):
        self.description = description
        text = json.dumps(description, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.path = os.path.join(folder, f"features-{key}.npz")
        self._rows = {}
        os.makedirs(folder, exist_ok=True)
        if os.path.exists(self.path):
            with np.load(self.path) as file:
                names = file["names"].tolist()
                self._rows = dict(zip(names, file["features"], strict=True))

    def __contains__(self, name):
        return name in self._rows

    def __getitem__(self, name):
        return self._rows[name]

    def __len__(self):
        return len(self._rows)

    def add(self, names, features):
        """Keeps float32 `(n, size)`, one row a name, on disk too."""
        self._rows.update(zip(names, features, strict=True))
        rows = {
            "names": np.array(list(self._rows)),
            "features": np.stack(list(self._rows.values())),
        }
        atomic_write(self.path, lambda path: np.savez(path, **rows))
        write_json(
            f"{os.path.splitext(self.path)[0]}.json",
            {
                "clips": len(self),
                "numbers_a_clip": rows["features"].shape[1],
                "megabytes": round(os.path.getsize(self.path) / 1e6, 2),
                **self.description,
            },
        )

    def __str__(self):
        size = os.path.getsize(self.path) if len(self) else 0
        return f"{self.path}: {len(self)} clips, {size / 1e6:.1f} MB"


def clip_features(network, pipeline, clips, folder):
    """What the head of a network is given for each clip.

    Args:
        network: `AudioClassifier` fed with what `pipeline` makes, whose head is
            a dense layer.
        pipeline: `AudioPipeline`; set to the network's resolution.
        clips: `Clips`.
        folder: path, where features are kept; those that are there are not
            computed again.

    Returns:
        float32 `(n, size)`, and int `(n,)`: which clips these are. Clips that
        cannot be read are missing.
    """
    store = FeatureStore(folder, _description(network, pipeline))
    names = [_name(audio) for audio in clips.audio]
    positions = {name: position for position, name in enumerate(names)}
    missing = [
        position for name, position in positions.items() if name not in store
    ]
    print(
        f"Features of {len(clips)} clips, {len(clips) - len(missing)} of them "
        f"known, by {_words(store.description)}",
        flush=True,
    )
    if missing:
        began = time.monotonic()
        read, rows = _compute(network, pipeline, clips.subset(missing))
        if len(read):
            store.add([names[missing[position]] for position in read], rows)
        seconds = time.monotonic() - began
        print(f"Computed {len(read)} in {seconds:.0f} s", flush=True)
    print(f"Kept in {store}", flush=True)
    found = [position for position, name in enumerate(names) if name in store]
    if not found:
        return np.zeros((0, 0), "float32"), np.zeros(0, int)
    return np.stack([store[names[p]] for p in found]), np.array(found)


def _compute(network, pipeline, clips):
    """Places of the clips that could be read, and their features."""
    head = network.get_layer("head")
    embed = keras.Model(network.input, head.input)
    # the number of each clip as its label: unreadable ones are left out
    numbered = type(clips)(
        (*clips.audio, clips.audio[0]),  # a single one has no classes
        np.arange(len(clips) + 1),
        [str(position) for position in range(len(clips) + 1)],
    ).subset(range(len(clips)))
    pipeline.set_phase(network.resolution, epoch=0)
    positions, rows = [], []
    with pipeline.naming_bad_audio():
        for batch, labels in pipeline.dataset(numbered):
            positions.append(labels.numpy().argmax(axis=1))
            rows.append(embed.predict_on_batch(batch.numpy()))
    if not rows:
        return [], []
    return np.concatenate(positions), np.concatenate(rows).astype("float32")


def _description(network, pipeline):
    """dict of all that decides on the features of a clip."""
    backbone = network.backbone
    weights = hashlib.sha256()
    for value in backbone.get_weights():
        weights.update(np.ascontiguousarray(value, "float32").tobytes())
    config = backbone.get_config()
    config.pop("name")
    return {
        "backbone": type(backbone).__name__,
        "blocks": getattr(backbone, "depth", None),
        "resolution": str(network.resolution),
        "pooling": network.pooling,
        "weights": weights.hexdigest(),
        "arguments": {name: str(value) for name, value in config.items()},
        "frontend": pipeline.frontend.get_config(),
        "clip_samples": pipeline.clip_samples,
    }


def _words(description):
    blocks = description["blocks"]
    return (
        f"{description['backbone']}"
        + (f", {blocks} blocks" if blocks else "")
        + f", resolution {description['resolution']}, pooling "
        f"{description['pooling']}"
    )


def _name(audio):
    """Identity of a clip, which a later file of that name has not."""
    if isinstance(audio, (str, os.PathLike)):
        try:
            found = os.stat(audio)
        except OSError:  # unreadable; the pipeline says so
            return os.path.abspath(audio)
        path = os.path.abspath(audio)
        return f"{path} {found.st_size} {found.st_mtime_ns}"
    if isinstance(audio, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(audio)).hexdigest()
    try:  # prepared
        return hashlib.sha256(audio.load().tobytes()).hexdigest()
    except ValueError:
        return repr(audio)
