"""Prepared data: decoded recordings in TFRecord files that are read in any
order.

    DIR/
        dataset.json                       settings, classes, labels, bad clips
        bad_files.csv                      split, path, reason
        train-00000-of-00012.tfrecord      records of 512 clips
        train-00000-of-00012.json          their index
        validation-00000-of-00003.tfrecord ...

A record is a plain little-endian array: int16 `(samples,)` at the model's
rate, or float16 `(frames, mel_bins)`, not normalised. The index has, for each
clip of the shard, path, offset and size of the array in bytes, and its CRC-32,
which is checked at every reading; size -1 is a clip without a record. Besides,
`fingerprint` and `source` of the file it was made of: `data.fingerprint`.

Why TFRecord: any TensorFlow program reads it, each record carries a CRC-32C,
and with offsets known it is read in any order from any path that
`tf.io.gfile` knows. Measured, random records of 256 KiB from the page cache,
two threads on two cores, a second: 7100 so, 7300 from ArrayRecord (11500 with
its file kept open), which has no wheel for Windows and reads local files only;
970 by TensorFlow's own random reader. CRC-32 is in Python's library, CRC-32C
is not; it takes 0.1 ms. Why plain 16-bit samples: FLAC, 0.7 times their size
on noise, took 50 times as long to decode from memory in two threads, which
wait for each other in its callbacks.
"""

import hashlib
import json
import os
import threading
import zlib
from dataclasses import dataclass

import numpy as np

from keras_c2f.audio.decode import AudioError
from keras_c2f.audio.fingerprint import differs
from keras_c2f.utils.optional import tf

STORES = ("waveform", "log_mel")
HEADER = 12  # bytes before a TFRecord's data: their length and its checksum
FOOTER = 4  # bytes behind: the checksum of the data
MISSING = -1  # size of a clip that has no record
AGAIN = "Delete the index '{}' and dataset.json, and prepare again"


class Shards:
    """One split of a prepared data set: train or validation.

    Args:
        folder: path of the prepared data set.
        split: str, `"train"` or `"validation"`.
        config: dict, what `dataset.json` holds.

    Attributes:
        store: str, `"waveform"` or `"log_mel"`.
        frontend: `Frontend` it was prepared for.
        bad: dict from the numbers of clips without a record to path and
            reason.
    """

    def __init__(self, folder, split, config):
        from keras_c2f.layers.log_mel import Frontend

        self.folder = folder
        self.split = split
        self.store = config["store"]
        self.frontend = Frontend.from_config(config["frontend"])
        self.bad = {int(i): bad for i, bad in config["bad"][split].items()}
        self.num_clips = len(config["labels"][split])
        self.clips_per_shard = config["clips_per_shard"]
        self.num_shards = -(-self.num_clips // self.clips_per_shard)
        self._indices = {}
        self._last_sources = None, {}
        self._lock = threading.Lock()  # called from tf.data's threads

    def clips_of(self, shard):
        """range of the numbers of a shard's clips."""
        first = shard * self.clips_per_shard
        return range(first, min(first + self.clips_per_shard, self.num_clips))

    def load(self, number):
        """The recording of a clip.

        Args:
            number: int, its place in the split.

        Returns:
            float32 `(samples,)`, or float16 `(frames, mel_bins)`.

        Raises:
            AudioError: naming the clip, if it has no record or a damaged one.
        """
        shard, row = divmod(number, self.clips_per_shard)
        offset, size, checksum = self._index(shard)[row].tolist()
        if size == MISSING:
            raise AudioError(*self.bad[number])
        path = self.path(shard)
        try:
            with tf.io.gfile.GFile(path, "rb") as file:
                file.seek(offset)
                data = file.read(size)
        except tf.errors.OpError as error:
            raise AudioError(
                self._name(number), f"cannot be read ({error.message})"
            ) from error
        if len(data) != size or zlib.crc32(data) != checksum:
            raise AudioError(
                self._name(number),
                "is damaged: its checksum differs. "
                f"{AGAIN.format(self.path(shard, '.json'))}",
            )
        if self.store == "log_mel":
            bins = self.frontend.num_mel_bins
            return np.frombuffer(data, "<f2").reshape(-1, bins)
        return np.frombuffer(data, "<i2").astype("float32") / 32768

    def seconds(self, number):
        """float, length of a clip, from the index alone.

        Raises:
            AudioError: naming the clip, if it has no record.
        """
        shard, row = divmod(number, self.clips_per_shard)
        size = int(self._index(shard)[row, 1])
        if size == MISSING:
            raise AudioError(*self.bad[number])
        samples = size // 2
        if self.store == "log_mel":
            frames = samples // self.frontend.num_mel_bins
            samples = self.frontend.num_samples(frames)
        return samples / self.frontend.sample_rate

    def path(self, shard, ending=".tfrecord"):
        """Path of a shard, or of its index with `ending=".json"`."""
        name = f"{self.split}-{shard:05}-of-{self.num_shards:05}{ending}"
        return os.path.join(self.folder, name)

    def _index(self, shard):
        """int64 `(clips, 3)`: offset, size, CRC-32; read at first use."""
        if shard not in self._indices:
            path = self.path(shard, ".json")
            try:
                columns = read_json(path)
                index = np.transpose(
                    [columns[name] for name in ("offset", "size", "crc32")]
                )
            except (ValueError, KeyError, tf.errors.OpError) as error:
                raise AudioError(
                    path,
                    f"is damaged or missing. {AGAIN.format(path)}",
                ) from error
            with self._lock:
                self._indices[shard] = index
        return self._indices[shard]

    def fingerprint(self, number):
        """int, of the file that a clip was made of: see `data.fingerprint`."""
        shard, row = divmod(number, self.clips_per_shard)
        columns = self._sources(shard)
        if "fingerprint" in columns:
            return int(columns["fingerprint"][row], 16)
        # of an earlier version, or damaged: at least no other clip's
        text = f"{self.path(shard)} {row}".encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest, "little")

    def source(self, number):
        """str, path of the file that a clip was made of, or array number."""
        shard, row = divmod(number, self.clips_per_shard)
        paths = self._sources(shard).get("path")
        return paths[row] if paths else f"clip {row} of {self.path(shard)}"

    def changed_sources(self):
        """list of str, files that are still there with another content."""
        found = []
        for shard in range(self.num_shards):
            columns = self._sources(shard)
            rows = zip(
                columns.get("path", ()), columns.get("source", ()), strict=False
            )
            found += [path for path, state in rows if differs(path, state)]
        return found

    def _sources(self, shard):
        """The index of a shard as it is, empty if damaged; the last is kept."""
        if self._last_sources[0] != shard:
            try:
                columns = read_json(self.path(shard, ".json"))
            except (ValueError, tf.errors.OpError):
                columns = {}
            self._last_sources = shard, columns
        return self._last_sources[1]

    def _name(self, number):
        shard, row = divmod(number, self.clips_per_shard)
        source = self.source(number)
        return f"{self.path(shard)}, record of clip {row}, {source}"


@dataclass(frozen=True, slots=True)
class Record:
    """A prepared recording: what `Clips` hold in place of a path.

    Args:
        shards: `Shards`.
        number: int, the clip's place in its split.
    """

    shards: Shards
    number: int

    def load(self):
        """See `Shards.load`."""
        return self.shards.load(self.number)

    @property
    def fingerprint(self):
        """See `Shards.fingerprint`."""
        return self.shards.fingerprint(self.number)

    @property
    def name(self):
        """See `Shards.source`."""
        return self.shards.source(self.number)

    def seconds(self):
        """See `Shards.seconds`."""
        return self.shards.seconds(self.number)

    @property
    def problem(self):
        """Path and reason, if preparation left the clip out; else `None`."""
        return self.shards.bad.get(self.number)


def are_log_mel(recordings, frontend, on_waveform):
    """Whether recordings are prepared log-mel; refuses what cannot be used.

    Args:
        recordings: sequence of paths, arrays and `Record`s.
        frontend: `Frontend` of the pipeline.
        on_waveform: str, what is asked for that needs samples, or `""`.

    Raises:
        ValueError: if recordings were prepared for another rate or front end,
            or log-mel is to be changed as a waveform, or mixed with other
            audio.
    """
    sources = {s.shards if isinstance(s, Record) else None for s in recordings}
    stores = {each.store if each else "waveform" for each in sources}
    if len(stores) > 1:
        raise ValueError(
            "Some clips are prepared log-mel and others are not. Prepare all "
            "of them with the same store."
        )
    log_mel = stores == {"log_mel"}
    for source in filter(None, sources):
        names = _settings(frontend) if log_mel else ["sample_rate"]
        for name in names:
            stored, wanted = (
                getattr(f, name) for f in (source.frontend, frontend)
            )
            if stored != wanted:
                raise ValueError(
                    f"'{source.folder}' was prepared with {name}={stored}, and "
                    f"the model takes {wanted}. Prepare the data again for "
                    "this model, or choose a model of that front end."
                )
    if log_mel and on_waveform:
        raise ValueError(
            f"The data are prepared as log-mel, and {on_waveform} needs "
            "waveforms. Prepare with `--store=waveform`, or leave it out."
        )
    return log_mel


def _settings(frontend):
    """Names of what shapes a log-mel before it is normalised."""
    return [n for n in frontend.get_config() if n not in ("mean", "std")]


def read_json(path):
    """What a JSON file holds, from any path that `tf.io.gfile` knows."""
    with tf.io.gfile.GFile(path, "r") as file:
        return json.loads(file.read())
