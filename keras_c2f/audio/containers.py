"""Where a file's audio lies, where its header and its content disagree.

libsndfile believes headers. Those of a recorder that lost power, of a stream
that was never ended, and of files that were appended to one another or cut
are wrong, and then a part is read as if it were all. Here headers are held
against the content, at little cost: nothing is decoded.
"""

import io
import mmap
import re
import struct
from typing import NamedTuple

from keras_c2f.audio import flac, mpeg

MAX_32 = 2**32 - 1
UNKNOWN_32 = b"\xff" * 4
LARGE = 2**26  # bytes; beyond, the end of a file is looked at, not all of it
MOST_CHUNKS = 1000  # of zeros there could be millions
ZEROS = 2**16  # bytes of padding that are looked at
# What may follow the samples of a WAV file, beside chunks that fit.
TRAILERS = (
    *(b"TAG", b"ID3", b"APETAGEX", b"LIST", b"id3 ", b"bext", b"cue "),
    *(b"fLaC", b"OggS", b"FORM", b"caff", b".snd"),
)
BEGIN_OF_STREAM = b"OggS\0\x02"


class Part(NamedTuple):
    """A part of a file that libsndfile reads by itself.

    Attributes:
        pieces: tuple of what it is made of: bytes, or a pair `(first, last)`,
            the file's bytes from one place to before the other.
        frames: int, how many there are at most; `None`, as its header says.
    """

    pieces: tuple
    frames: int | None = None


def find_parts(file, size, is_mpeg=False):
    """The parts of an audio file.

    Args:
        file: binary file.
        size: int, bytes that it has.
        is_mpeg: bool, whether it is an MP3 file, which no signature shows.

    Returns:
        tuple of `Part`, or `None` if the header can be believed.
    """
    start = mpeg.skip_id3(file, 0)
    find = _mpeg if is_mpeg else FORMATS.get(_read(file, start, 4))
    try:
        return find and find(file, start, size)
    except (IndexError, struct.error):  # ends within a header
        return None


def _content(file, size):
    """bytes of the whole file, or what reads like them."""
    if size > LARGE and isinstance(file, io.BufferedReader):
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    file.seek(0)
    return file.read(size)


def _read(file, position, count):
    file.seek(position)
    return file.read(count)


def _wav(file, start, size):
    """WAV, RF64 and BW64; several that follow one another."""
    parts = []
    while start is not None:
        part, start = _one_wav(file, start, size)
        if part is None:
            return None  # libsndfile finds the words
        parts.append(part)
    is_believed = len(parts) == 1 and parts[0].pieces[0] == (0, size)
    return None if is_believed else tuple(parts)


def _one_wav(file, start, size):
    """A `Part`, `None` without samples, and where the next file begins."""
    positions, position = {}, start + 12
    for _ in range(MOST_CHUNKS):
        name, length = struct.unpack("<4sI", _read(file, position, 8))
        positions[name] = position
        if name == b"data":
            break
        position += 8 + length + length % 2
    else:
        return None, None
    first, wide = positions[b"data"] + 8, positions.get(b"ds64")
    if wide is not None and length == MAX_32:
        length = int.from_bytes(_read(file, wide + 16, 8), "little")
    end, following, agrees = min(first + length, size), None, True
    for position in (first + length, first + length + length % 2):
        agrees, following = _after_samples(file, position, size)
        if agrees:
            break
    is_unknown = length in (0, MAX_32)
    if not agrees and (is_unknown or _read(file, end, ZEROS).strip(b"\0")):
        end = size
    stop = following or size
    is_known = _read(file, start, 4) != b"BW64"
    if is_known and (first + length >= size or end == first + length):
        return Part(((start, stop),)), following
    return _with_size(file, start, positions, end, stop), following


def _after_samples(file, position, size):
    """Whether what follows may do so, and where it is a file of its own."""
    for _ in range(MOST_CHUNKS):
        if position + 8 > size:
            break
        name, length = struct.unpack("<4sI", _read(file, position, 8))
        if name in (b"RIFF", b"RF64", b"BW64"):
            return True, position
        if name.startswith(TRAILERS):
            return True, None
        if not (name.isascii() and name.decode().isprintable()):
            return False, None
        position += 8 + length + length % 2
    return position <= size + 1, None


def _with_size(file, start, positions, end, stop):
    """The `Part` with the number of its bytes put right."""
    data = positions[b"data"]
    length, samples = end - data - 8, (data + 8, stop)
    wide = positions.get(b"ds64")
    if wide is not None:
        head = (b"RF64", (start + 4, wide + 16), struct.pack("<Q", length))
        return Part((*head, (wide + 24, data + 4), UNKNOWN_32, samples))
    if length < MAX_32:
        return Part(((start, data + 4), struct.pack("<I", length), samples))
    sizes = struct.pack("<IQQQI", 28, stop - start, length, 0, 0)
    head = b"RF64" + UNKNOWN_32 + b"WAVEds64" + sizes
    return Part((head, (start + 12, data + 4), UNKNOWN_32, samples))


def _appended(file, start, size, layout, head):
    """The parts of files that follow one another; `None` of a single one.

    Args:
        file, start, size: the file, where it begins, and its bytes.
        layout: str for `struct`, of a chunk's name and length.
        head: int, bytes in front of a file's first chunk.
    """
    magic, wide = _read(file, start, 4), struct.calcsize(layout)
    starts, position = [start], start + head
    for _ in range(MOST_CHUNKS):
        if position + wide > size:
            break
        name, length = struct.unpack(layout, _read(file, position, wide))
        if name == magic:
            starts.append(position)
            position += head
        elif length < 0:
            break
        else:
            position += wide + length
            position += length % 2 if magic == b"FORM" else 0
    if len(starts) == 1:
        return None
    ends = *starts[1:], size
    return tuple(Part((piece,)) for piece in zip(starts, ends, strict=True))


def _caf(file, start, size):
    """Apple's CAF, of which libsndfile wants the size of the samples."""
    parts = _appended(file, start, size, ">4sq", 8)
    if parts:
        return parts
    position = start + 8
    for _ in range(MOST_CHUNKS):
        name, length = struct.unpack(">4sq", _read(file, position, 12))
        if name == b"data" or length < 0:
            break
        position += 12 + length
    rest = size - position - 12
    if name != b"data" or 0 < length <= rest:
        return None
    position += 4
    pieces = ((start, position), struct.pack(">q", rest), (position + 8, size))
    return (Part(pieces),)


def _aiff(file, start, size):
    """AIFF whose samples go on where their size says that they end."""
    parts = _appended(file, start, size, ">4sI", 12)
    if parts:
        return parts
    position = start + 12
    for _ in range(MOST_CHUNKS):
        name, length = struct.unpack(">4sI", _read(file, position, 8))
        if name == b"SSND":
            break
        position += 8 + length + length % 2
    end, rest = position + 8 + length, size - position - 8
    behind = _read(file, end, ZEROS)
    is_chunk = behind[:4].isascii() and behind[:4].decode().isprintable()
    if name != b"SSND" or is_chunk or len(behind) < 8 or rest > MAX_32:
        return None
    if not behind.strip(b"\0"):
        return None
    pieces = (
        (start, position + 4),
        struct.pack(">I", rest),
        (position + 8, size),
    )
    return (Part(pieces),)


def _au(file, start, size):
    """AU, whose samples go on to the end of the file."""
    header = _read(file, start, 12)
    if len(header) < 12:
        return None
    first, length = struct.unpack(">II", header[4:])
    if length >= size - start - first:
        return None
    return (Part(((start, start + 8), UNKNOWN_32, (start + 12, size))),)


def _ogg(file, start, size):
    """Ogg, of which links may follow one another."""
    data = _content(file, size)
    if size > LARGE:
        last = data.rfind(b"OggS")
        serials = (data[page + 14 : page + 18] for page in (start, last))
        if len(set(serials)) == 1:
            return None
    positions = [m.start() for m in re.finditer(BEGIN_OF_STREAM, data)]
    links = [
        position
        for before, position in zip([None, *positions], positions, strict=False)
        if before is None or not _is_same_link(data, before, position)
    ]
    if links in ([], [0]):
        return None
    return tuple(
        Part(((a, b),)) for a, b in zip(links, [*links[1:], size], strict=True)
    )


def _is_same_link(data, before, position):
    """Whether nothing but one page lies between two that begin a stream."""
    count = data[before + 26]
    return position == before + 27 + count + sum(data[before + 27 :][:count])


def _flac(file, start, size):
    data = _content(file, size)
    parts = flac.find_streams(data, start, search=size <= LARGE)
    return parts and tuple(Part(pieces) for pieces in parts)


def _mpeg(file, start, size):
    parts = mpeg.find_streams(_content(file, size))
    return parts and tuple(Part(*part) for part in parts)


FORMATS = {
    b"RIFF": _wav,
    b"RF64": _wav,
    b"BW64": _wav,
    b"FORM": _aiff,
    b"caff": _caf,
    b".snd": _au,
    b"OggS": _ogg,
    b"fLaC": _flac,
}
