"""Opens audio files for libsndfile, with their headers put right."""

import contextlib
import functools
import io
import os
import stat

import numpy as np

from keras_c2f.audio.containers import COUNTED, find_parts
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.optional import soundfile, tf

UNKNOWN_LENGTH = 2**62  # frames of a stream that does not say how many
BLOCK_VALUES = 2**20  # decoded at once, over all channels
RATES = (50, 10_000_000)  # Hz; seconds to resample, or gigabytes, beyond
CONVERT = "convert it once, for example with ffmpeg -i IN OUT.wav"
DELAY = 2304  # frames; codecs count those at the ends in several ways
CANCELLED = 1e-3  # of the power that unrelated channels have when averaged
SILENCE = 1e-9  # power, of the last of 16 bits


class AudioError(ValueError):
    """A recording that cannot be used.

    Attributes:
        path: str, the file; for an array, a description.
        reason: str, what is wrong with it.
    """

    def __init__(self, path: PathLike, reason: str):
        super().__init__(f"{printable(path)}: {reason}")
        self.path = path
        self.reason = reason


def printable(path):
    """str, a path as text; of a name that is not UTF-8, escapes."""
    return path.encode(errors="backslashreplace").decode()


class AudioFile:
    """An open file; the streams of which it is made as if they were one.

    Args:
        path: str, for messages.
        streams: list of `(file, frames)`: a `soundfile.SoundFile` and how
            many of its frames there are.

    Attributes:
        path: str.
        sample_rate: int, Hz.
        num_frames: int, samples of each channel.
    """

    def __init__(self, path, streams):
        self.path = path
        self._streams = streams
        rates = sorted({file.samplerate for file, _ in streams})
        if len(rates) > 1:
            raise AudioError(
                path,
                f"is several recordings in one file, of {rates[0]} and "
                f"{rates[-1]} Hz: {CONVERT}",
            )
        (self.sample_rate,) = rates
        if not RATES[0] <= self.sample_rate <= RATES[1]:
            raise AudioError(
                path,
                f"says that its sample rate is {self.sample_rate} Hz, which is "
                f"outside {RATES[0]} to {RATES[1]}: the header is damaged",
            )
        self.num_frames = sum(frames for _, frames in streams)
        if self.num_frames >= UNKNOWN_LENGTH:
            raise AudioError(path, f"does not say how long it is: {CONVERT}")

    def blocks(self, first=0, last=None):
        """Reads frames, averaged over the channels.

        What a header promises takes no memory, nor do channels beside the
        first.

        Args:
            first, last: int, from one frame to before the other, which is
                the end by default.

        Yields:
            float32 `(samples,)`.

        Raises:
            AudioError: if channels cancel each other, or there are fewer
                frames than the file promises.
        """
        last = self.num_frames if last is None else last
        missing, end = last - first, last
        for file, frames in self._streams:
            if max(first, 0) < min(last, frames):
                skipped = max(first, 0)
                if skipped and file.seekable():
                    file.seek(skipped)
                elif skipped:
                    for _ in _read_blocks(file, skipped):
                        pass
                count = min(last, frames) - skipped
                for block in _read_blocks(file, count):
                    missing -= len(block)
                    yield self._mono(block)
            first -= frames
            last -= frames
        if missing > DELAY:
            seconds = (end - missing) / self.sample_rate
            raise AudioError(
                self.path,
                f"is damaged, and cannot be decoded beyond {seconds:.1f} s",
            )

    def _mono(self, block):
        channels = block.shape[1]
        if channels == 1:
            return block[:, 0]
        mono, values = block.mean(axis=1), block.ravel()
        power = np.dot(values, values) / values.size
        if power > SILENCE:
            left = np.dot(mono, mono) / mono.size * channels
            if left < CANCELLED * power:
                raise AudioError(
                    self.path,
                    "has channels that cancel each other when averaged: keep "
                    "one of them, for example with ffmpeg -i IN -af "
                    "pan=mono|c0=c0 OUT.wav",
                )
        return mono


def _read_blocks(file, num_frames):
    """`(frames, channels)` blocks of as many frames, or as there are."""
    size = max(BLOCK_VALUES // file.channels, 1)
    while num_frames > 0:
        block = file.read(min(size, num_frames), "float32", always_2d=True)
        if not len(block):
            break
        yield block
        num_frames -= len(block)


@contextlib.contextmanager
def open_audio(path, content=None):
    """An `AudioFile`; in its context errors of libsndfile are `AudioError`.

    Args:
        path: str, local or what `tf.io.gfile` knows; with `content`, what
            messages call it.
        content: bytes of a file that is in memory, or `None`.
    """
    _ = (
        soundfile.SoundFile
    )  # outside `try`: a missing package is no bad recording
    try:
        with contextlib.ExitStack() as stack:
            yield AudioFile(path, _open_streams(path, content, stack))
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        # TypeError: headerless .raw
        # without the path, which is in the message of some
        message = getattr(error, "error_string", str(error))
        reason = decoding_reason(path, message, content)
        raise AudioError(path, reason) from error


def _open_streams(path, content, stack):
    """List of `(soundfile.SoundFile, frames)`; `stack` closes them."""

    def opened(source):
        return stack.enter_context(soundfile.SoundFile(source))

    if content is not None or _is_remote(path):
        file = _read_remote(path) if content is None else io.BytesIO(content)
        source, find = file, functools.partial(_find_in, file)
    else:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # a pipe would block
            raise AudioError(path, "is not a file")
        file = None
        # as bytes, also where the name is not UTF-8
        source = path if os.name == "nt" else os.fsencode(path)
        key = (path, status.st_size, status.st_mtime_ns)
        find = functools.partial(_find_parts, *key)
    parts, plain = find(is_mpeg=False), None
    if not parts:
        plain = opened(source)
        if plain.format == "MP3":
            parts = find(is_mpeg=True)
    if not parts:
        return [(plain, plain.frames)]
    limit = parts[0].frames
    if plain and len(parts) == 1 and limit and plain.frames >= limit > 0:
        return [(plain, limit)]  # faster than from Python
    file = file or stack.enter_context(open(path, "rb"))
    streams = []
    for pieces, limit in parts:
        part = opened(io.BufferedReader(Spliced(file, pieces)))
        streams.append((part, _num_frames(part, limit)))
    return streams


def _num_frames(file, limit):
    """int, frames of a part, given `Part.frames`."""
    if limit == COUNTED:
        blocks = _read_blocks(file, UNKNOWN_LENGTH)
        frames = sum(len(block) for block in blocks)
        file.seek(0)
        return frames
    return file.frames if limit is None else min(file.frames, limit)


@functools.lru_cache(2**16)
def _find_parts(path, size, modified, is_mpeg):
    """`find_parts` of a local file, once as long as it does not change."""
    with open(path, "rb") as file:
        return find_parts(file, size, is_mpeg)


def _find_in(file, is_mpeg):
    position, size = file.tell(), file.getbuffer().nbytes
    parts = find_parts(file, size, is_mpeg)
    file.seek(position)  # where libsndfile has left it
    return parts


class Spliced(io.RawIOBase):
    """Pieces of a file, and bytes between them, read as one file.

    Args:
        file: binary file.
        pieces: tuple of bytes and `(first, last)`, see `containers.Part`.
    """

    def __init__(self, file, pieces):
        self._file = file
        self._pieces = []
        end = 0
        for piece in pieces:
            is_bytes = isinstance(piece, bytes)
            begin = end
            end += len(piece) if is_bytes else piece[1] - piece[0]
            self._pieces.append((begin, end, piece))
        self._size = end
        self._place = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._place

    def seek(self, offset, whence=os.SEEK_SET):
        base = {os.SEEK_CUR: self._place, os.SEEK_END: self._size}
        self._place = max(base.get(whence, 0) + offset, 0)
        return self._place

    def readinto(self, buffer):
        for begin, end, piece in self._pieces:
            if begin <= self._place < end:
                inside = self._place - begin
                count = min(len(buffer), end - self._place)
                if isinstance(piece, bytes):
                    data = piece[inside : inside + count]
                else:
                    self._file.seek(piece[0] + inside)
                    data = self._file.read(count)
                buffer[: len(data)] = data
                self._place += len(data)
                return len(data)
        return 0


def _is_remote(path):
    """bool, whether a path is for `tf.io.gfile`."""
    return "://" in path


def _read_remote(path):
    """The whole file in memory."""
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return io.BytesIO(file.read())
    except tf.errors.OpError as error:
        raise AudioError(path, f"cannot be read ({error.message})") from error


# What a file is that libsndfile does not know, by its first bytes.
FOREIGN = (
    (4, b"ftyp", "MP4, M4A or 3GP"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA or ASF"),
    (0, b"#!AMR", "AMR"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
)


def decoding_reason(path, message, content=None):
    """What is wrong with a file, in words rather than a library's code.

    Args:
        path: str.
        message: str, the library's.
        content: bytes of a file that is in memory, or `None`.
    """
    start = content or b""
    if content is None and not _is_remote(path):
        if not os.path.isfile(path):
            return "is not a file"
        if not os.access(path, os.R_OK):
            return "may not be read: check its permissions"
        with open(path, "rb") as file:
            start = file.read(16)
        if not start:
            return "is empty"
    for position, magic, name in FOREIGN:
        if start[position:].startswith(magic):
            return f"is {name}, which libsndfile does not read: {CONVERT}"
    if "does not exist" in message:  # it does: checked above
        message = "Format not recognised"
    detail = message.replace(path, "").replace("''", "").strip(" .:\n")
    return f"cannot be decoded ({detail or 'its content is damaged'})"
