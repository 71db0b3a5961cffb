"""Writes prepared data sets: decoded, resampled, in shards; see `shards`."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from keras_c2f.audio.audio_file import AudioError, printable
from keras_c2f.audio.fingerprint import (
    audio_name,
    file_state,
    file_version,
    fingerprints,
    over_chunks,
)
from keras_c2f.data import features
from keras_c2f.data.cache import AudioCache
from keras_c2f.data.order import check_shard
from keras_c2f.data.prepared import label_kind, labels_to_json
from keras_c2f.data.shards import (
    FOOTER,
    HEADER,
    MISSING,
    STORES,
    Record,
    Shards,
    read_json,
)
from keras_c2f.utils import files
from keras_c2f.utils.folder_lock import alone_in
from keras_c2f.utils.optional import tf, tqdm
from keras_c2f.utils.values import Choice, Number

if TYPE_CHECKING:
    from keras_c2f.data.clips import Clips
    from keras_c2f.layers.log_mel import Frontend
    from keras_c2f.utils.annotations import PathLike


def prepare(
    clips: tuple[Clips, Clips],
    folder: PathLike,
    frontend: Frontend,
    store: str = "waveform",
    clips_per_shard: int = 512,
    workers: int | None = None,
    shard: tuple[int, int] | None = None,
) -> list[tuple[str, str, str]]:
    """Decodes clips once, so that training only has to read them.

    Shards appear whole or not at all, and each before its index. A call
    after a kill goes on with the first shard that has no index, and ends with
    the same bytes. Samples are rounded to 16 bits and clipped to [-1, 1];
    log-mel of whole clips is rounded to float16 (11 significant bits).

    Recordings are decoded by threads: soundfile and soxr release Python's lock.

    Args:
        clips: pair `(train, validation)` of `Clips`.
        folder: path to write, local or any that `tf.io.gfile` knows.
        frontend: `Frontend`, whose rate (and log-mel) is wanted.
        store: `"waveform"`, or `"log_mel"`: as fast as data can be read, but
            without mix-up of waveforms and gain. Crops begin at frames; in
            librosa's style their first and last frames include what is around.
        clips_per_shard: int, also the most clips whose work a kill loses.
        workers: int, threads; default: one per core.
        shard: pair of int, to write but a part of the shards: its index from
            0, and how many parts there are. Parts may be written at once, on
            several machines that share `folder`, and again after a kill. At
            last a call without `shard` writes what is missing and finishes.

    Returns:
        list of `(split, path, reason)` of the files that cannot be used, as
        in `bad_files.csv`; of a part, of those in it.

    Raises:
        ValueError: if `store` is unknown, `clips_per_shard` below 1, `shard`
            no part, or the folder holds another preparation, cannot be
            written, or is local and another process prepares all there.
    """
    Choice(STORES).check("store", store)
    Number(int, at_least=1).check("clips_per_shard", clips_per_shard)
    if any(isinstance(s, Record) for split in clips for s in split.audio):
        raise ValueError(
            "The data are prepared already. Give the original data set."
        )
    if shard:
        check_shard(shard)
    clips = dict(zip(("train", "validation"), clips, strict=True))
    config = _config(clips, frontend, store, clips_per_shard)
    whole = os.path.join(folder, "dataset.json")
    plan = os.path.join(folder, "plan.json")
    try:
        tf.io.gfile.makedirs(folder)
        with _alone_in(folder, shared=bool(shard)):
            if not _holds(whole, config):
                _write_plan(plan, config)
                _write_shards(clips, folder, config, workers, shard)
                if shard:
                    return _bad_rows(config["bad"])
                _finish(folder, config)
            if not shard and tf.io.gfile.exists(plan):
                tf.io.gfile.remove(plan)
            return _bad_rows(read_json(whole)["bad"])
    except (tf.errors.OpError, OSError) as error:
        reason = getattr(error, "message", error)
        raise ValueError(
            f"Preparing '{folder}' failed ({reason}). Put that right, and the "
            "same call goes on; or choose another folder."
        ) from error


def _alone_in(folder, shared):
    """The lock of a local folder; other file systems have none."""
    if "://" in str(folder):
        return contextlib.nullcontext()
    return alone_in(folder, shared=shared)


def _write_plan(path, config):
    """Writes what is prepared, or refuses what differs."""
    if not _holds(path, config):
        atomic_write(path, json.dumps(config))
        _holds(path, config)  # another process may have written one meanwhile


def _finish(folder, config):
    """Writes `dataset.json`, when all shards are there."""
    table = _table(_bad_rows(config["bad"]))
    atomic_write(os.path.join(folder, "bad_files.csv"), table)
    atomic_write(os.path.join(folder, "dataset.json"), json.dumps(config))


def _write_shards(clips, folder, config, workers, part):
    """Writes what is missing of a part, of all if that is `None`.

    Notes the clips that cannot be used in the config.
    """
    from keras_c2f.layers.log_mel import Frontend

    frontend = Frontend.from_config(config["frontend"])
    encode = _encoder(frontend, config["store"])
    splits = {name: Shards(folder, name, config) for name in clips}
    wanted = [
        (split, shard)
        for split, shards in splits.items()
        for shard in range(shards.num_shards)
    ]
    index, count = part or (0, 1)
    wanted = wanted[index::count]
    total = sum(len(splits[split].clips_of(shard)) for split, shard in wanted)
    workers = workers or os.cpu_count()
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm.tqdm(
            total=total, unit=" clips", desc="prepare", disable=None
        ) as bar,
    ):
        for split, shard in wanted:
            shards = splits[split]
            bad = _shard(shards, shard, clips[split], encode, pool, bar)
            config["bad"][split].update(bad)


def _config(clips, frontend, store, clips_per_shard):
    """What `dataset.json` holds, as long as no clip is known to be bad."""
    train = clips["train"]
    return {
        "version": 2,
        "store": store,
        "sample_rate": frontend.sample_rate,
        "frontend": frontend.get_config(),
        "clips_per_shard": clips_per_shard,
        "class_names": list(train.class_names),
        "label_kind": label_kind(train.labels),
        "sources": {name: _digest(split) for name, split in clips.items()},
        "labels": {
            name: labels_to_json(split.labels) for name, split in clips.items()
        },
        "bad": {name: {} for name in clips},
    }


def _digest(clips):
    """SHA-256 of what identifies the recordings: files, or samples of arrays.

    Of a file its path, size and time of change.
    """
    digest = hashlib.sha256()
    for source in over_chunks(clips.audio, lambda chunk: map(_source, chunk)):
        digest.update(source)
    return digest.hexdigest()


def _source(audio):
    if isinstance(audio, (str, os.PathLike)):
        path, *state = file_version(os.fspath(audio))
        return os.fsencode(path) + f"\n{state}\n".encode()
    return np.asarray(audio).tobytes()


def _holds(path, config):
    """Whether a file holds this preparation; refuses another one."""
    if not tf.io.gfile.exists(path):
        return False
    found = read_json(path)
    for name, wanted in config.items():
        if name != "bad" and found.get(name) != wanted:
            raise ValueError(
                f"'{os.path.dirname(path)}' holds another preparation: its "
                f"{name} differs from what is asked for now. Choose another "
                "folder, or delete that one."
            )
    return True


def _encoder(frontend, store):
    """A function from `(audio, index)` to bytes; raises `AudioError`."""
    load = AudioCache(frontend.sample_rate, "soundfile").load

    def waveform(audio, index):
        samples = np.rint(load(audio, index, None, 0) * np.float32(32768))
        return samples.clip(-32768, 32767).astype("<i2").tobytes()

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32),
            tf.TensorSpec([], tf.int32),
        ]
    )
    def mels(samples, frames):
        return features.log_mel(samples, frontend, frames, normalize=False)

    def log_mel(audio, index):
        samples = load(audio, index, None, 0)
        # a clip shorter than a window is a frame of padding
        frames = max(frontend.num_frames(len(samples)), 1)
        return mels(samples, frames).numpy().astype("<f2").tobytes()

    return {"waveform": waveform, "log_mel": log_mel}[store]


def _shard(shards, shard, clips, encode, pool, bar):
    """Writes a shard unless it is there; dict of its bad clips."""
    numbers = shards.clips_of(shard)
    index = shards.path(shard, ".json")
    if tf.io.gfile.exists(index):
        bar.update(len(numbers))
        return read_json(index)["bad"]

    def encoded(number):
        try:
            return encode(clips.audio[number], number)
        except AudioError as error:
            return error

    recordings = clips.audio[numbers.start : numbers.stop]
    columns = {n: [] for n in ("path", "offset", "size", "crc32")}
    columns["fingerprint"] = [f"{n:016x}" for n in fingerprints(recordings)]
    columns["source"] = list(pool.map(_state, recordings))
    bad = {}

    def write(temporary):
        end = 0
        with tf.io.TFRecordWriter(temporary) as writer:
            for number, data in zip(
                numbers, pool.map(encoded, numbers), strict=True
            ):
                path = printable(audio_name(clips.audio[number], number))
                size = checksum = MISSING
                if isinstance(data, AudioError):
                    bad[str(number)] = (path, data.reason)
                else:
                    writer.write(data)
                    size, checksum = len(data), zlib.crc32(data)
                row = (path, end + HEADER, size, checksum)
                for name, value in zip(columns, row, strict=False):
                    columns[name].append(value)
                if size != MISSING:
                    end += HEADER + size + FOOTER
                bar.update()

    _move_when_whole(shards.path(shard), write)
    atomic_write(index, json.dumps({**columns, "bad": bad}))
    return bad


def _state(audio):
    """`file_state` of the file that a recording is read from, if it is one."""
    if isinstance(audio, (str, os.PathLike)):
        return file_state(os.fspath(audio))
    return None


def _bad_rows(bad):
    """`(split, path, reason)` of each bad clip."""
    return [(split, *row) for split in bad for row in bad[split].values()]


def _table(rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("split", "path", "reason"), *rows])
    return text.getvalue()


def atomic_write(path, text):
    """Writes a text file that appears whole or not at all.

    As `files.atomic_write`, on any path that `tf.io.gfile` knows.
    """

    def write(temporary):
        with tf.io.gfile.GFile(temporary, "w") as file:
            file.write(text)

    _move_when_whole(path, write)


def _move_when_whole(path, write):
    prefix = files.own_prefix()  # others may write parts at the same time
    if "://" not in str(path):
        files.atomic_write(path, write, prefix)
        return
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f"{prefix}{name}")
    write(temporary)
    tf.io.gfile.rename(temporary, path, overwrite=True)
