"""Where a file's audio lies, where its header and its content disagree.

libsndfile believes headers. Those of a recorder that lost power, of a stream
that was never ended, and of files that were appended to one another or cut
are wrong, and then a part is read as if it were all, or what follows as if it
were audio. Here headers are held against the content, at little cost: nothing
is decoded.
"""

import io
import mmap
import struct
from typing import NamedTuple

from keras_c2f.audio import flac, mpeg, ogg, trailing

MAX_32 = 2**32 - 1
UNKNOWN_32 = b"\xff" * 4
FARTHEST = 2**62  # bytes, where nothing is: a file's sizes may be larger
LARGE = 2**26  # bytes; beyond, the end of a file is looked at, not all of it
MOST_CHUNKS = 1000  # of zeros there could be millions
# Chunks that may follow the samples though their size is wrong.
LATE_CHUNKS = (b"LIST", b"id3 ", b"bext", b"cue ")
COUNTED = -1  # frames of a part that has to be decoded to know
RIFF_CHUNK, FORM_CHUNK, CAF_CHUNK = "<4sI", ">4sI", ">4sq"  # name, length
W64_CHUNK = "<4s12xQ"  # a GUID that begins with the name


class Part(NamedTuple):
    """A part of a file that libsndfile reads by itself.

    Attributes:
        pieces: tuple of what it is made of: bytes, or a pair `(first, last)`,
            the file's bytes from one place to before the other.
        frames: int, how many there are at most; `None`, as its header says;
            `COUNTED`, as many as can be decoded.
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
    parts, start = [], trailing.skip_id3(file, 0)
    find = _mpeg if is_mpeg else FORMATS.get(_read(file, start, 4))
    while find:
        try:
            found, following = find(file, start, size)
        except (IndexError, struct.error):  # ends within a header
            found = following = None
        if not (parts or found or following):
            return None
        parts += found or [Part(((start, following or size),))]
        if following is None:
            break
        start = following
        find = FORMATS.get(_read(file, start, 4), _mpeg)
    return tuple(parts) or None


def _content(file, size):
    """bytes of the whole file, or what reads like them."""
    if size > LARGE and isinstance(file, io.BufferedReader):
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    file.seek(0)
    return file.read(size)


def _read(file, position, count):
    file.seek(min(position, FARTHEST))
    return file.read(count)


# Each format has a function of the file, where in it an audio file of that
# format begins, and the file's size. It returns a list of `Part`, or `None` if
# the header is right, and where another file begins behind it, or `None`.


def _wav(file, start, size):
    """WAV, RF64 and BW64."""
    chunks, position = {}, start + 12
    for _ in range(MOST_CHUNKS):
        name, length = _chunk(file, position, RIFF_CHUNK)
        chunks[name] = position
        if name == b"data":
            break
        position += 8 + length + length % 2
    else:
        return None, None  # libsndfile finds the words
    first, wide = chunks[b"data"] + 8, chunks.get(b"ds64")
    if wide is not None and length == MAX_32:
        length = int.from_bytes(_read(file, wide + 16, 8), "little")
    end = min(first + length, size)
    positions = first + length, first + length + length % 2
    agrees, following = _after_samples(file, positions, size, RIFF_CHUNK)
    is_unknown = length in (0, MAX_32)
    if not agrees and (is_unknown or trailing.is_more(file, first, end)):
        end = size
    stop = following or size
    is_known = _read(file, start, 4) != b"BW64"
    if is_known and (first + length >= size or end == first + length):
        return None, following
    return [_with_size(file, start, chunks, end, stop)], following


def _chunk(file, position, layout):
    """Name and length of a chunk, by a layout for `struct`."""
    return struct.unpack(layout, _read(file, position, struct.calcsize(layout)))


def _after_samples(file, positions, size, layout):
    """What follows samples.

    Args:
        file, size: the file and its bytes.
        positions: where the samples end, without and with padding.
        layout: of a chunk.

    Returns:
        bool, whether it is nothing, chunks, tags or a file, all of which show
        that the samples end there; and where a file begins, or `None`.
    """
    for position in positions:
        agrees, following = _chunks_to_end(file, position, size, layout)
        if agrees:
            break
    return agrees, following


def _chunks_to_end(file, position, size, layout):
    head = struct.calcsize(layout)
    for _ in range(MOST_CHUNKS):
        if position + head > size:
            break
        following = trailing.next_file(file, position)
        if following is not None:
            return True, following
        name, length = _chunk(file, position, layout)
        if trailing.skip_tags(file, position) > position:
            return True, None
        if not (name.isascii() and name.decode().isprintable()) or length < 0:
            return False, None
        if layout == W64_CHUNK:  # which counts the head
            length = max(length - head, 0)
        position += head + length
        if layout != CAF_CHUNK:
            position += -position % (8 if layout == W64_CHUNK else 2)
        if position > size + 1 and name in LATE_CHUNKS:
            return True, None
    return position <= size + 1, None


def _with_size(file, start, chunks, end, stop):
    """The `Part` with the number of its bytes put right."""
    data = chunks[b"data"]
    length, samples = end - data - 8, (data + 8, stop)
    wide = chunks.get(b"ds64")
    if wide is not None:
        head = (b"RF64", (start + 4, wide + 16), struct.pack("<Q", length))
        return Part((*head, (wide + 24, data + 4), UNKNOWN_32, samples))
    if length < MAX_32:
        return Part(((start, data + 4), struct.pack("<I", length), samples))
    sizes = struct.pack("<IQQQI", 28, stop - start, length, 0, 0)
    head = b"RF64" + UNKNOWN_32 + b"WAVEds64" + sizes
    return Part((head, (start + 12, data + 4), UNKNOWN_32, samples))


def _caf(file, start, size):
    """Apple's CAF, of which libsndfile wants the size of the samples."""
    position = start + 8
    for _ in range(MOST_CHUNKS):
        name, length = _chunk(file, position, CAF_CHUNK)
        if name == b"data" or length < 0:
            break
        position += 12 + length
    first, rest = position + 12, size - position - 12
    if name != b"data":
        return None, None
    if 0 < length <= rest:
        end = first + length
        agrees, following = _after_samples(file, [end], size, CAF_CHUNK)
        if agrees or not trailing.is_more(file, first, end):
            return None, following
    position += 4
    pieces = ((start, position), struct.pack(">q", rest), (position + 8, size))
    return [Part(pieces)], None


def _aiff(file, start, size):
    """AIFF whose samples go on where their size says that they end."""
    position = start + 12
    for _ in range(MOST_CHUNKS):
        name, length = _chunk(file, position, FORM_CHUNK)
        if name == b"SSND":
            break
        position += 8 + length + length % 2
    first, rest = position + 8, size - position - 8
    if name != b"SSND" or length > rest:
        return None, None
    end = first + length
    positions = end, end + length % 2
    agrees, following = _after_samples(file, positions, size, FORM_CHUNK)
    is_more = length == 0 or trailing.is_more(file, first, end)
    if agrees or not is_more or rest > MAX_32:
        return None, following
    pieces = (
        (start, position + 4),
        struct.pack(">I", rest),
        (position + 8, size),
    )
    return [Part(pieces)], None


def _au(file, start, size):
    """AU, whose samples go on where their size says that they end."""
    header = _read(file, start, 12)
    if len(header) < 12:
        return None, None
    first, length = struct.unpack(">II", header[4:])
    first += start
    if length >= size - first:
        return None, None
    following = trailing.next_file(file, first + length) if length else None
    is_more = length == 0 or trailing.is_more(file, first, first + length)
    if following is not None or not is_more:
        return None, following
    return [Part(((start, start + 8), UNKNOWN_32, (start + 12, size)))], None


def _w64(file, start, size):
    """Sony's Wave64, of which libsndfile reads all that follows as samples."""
    position = start + 40
    for _ in range(MOST_CHUNKS):
        name, length = _chunk(file, position, W64_CHUNK)
        if name == b"data" or length < 24:
            break
        position += length + -length % 8
    end = position + length
    if name != b"data" or length <= 24 or end >= size:
        return None, None
    positions = end, end + -length % 8
    agrees, following = _after_samples(file, positions, size, W64_CHUNK)
    if not agrees and trailing.is_more(file, position + 24, end):
        return None, None
    return [Part(((start, end),))], following


def _ogg(file, start, size):
    """Ogg, of which links may follow one another."""
    data = _content(file, size)
    if size > LARGE:
        last = data.rfind(b"OggS")
        serials = (data[page + 14 : page + 18] for page in (start, last))
        if len(set(serials)) == 1:
            return None, None
    following = trailing.find_file(data, start + 4, b"OggS")
    stop = following or size
    streams = ogg.find_streams(data, start, stop)
    if len(streams) < 2 and all(is_known for _, is_known in streams):
        return None, following
    parts = [
        Part(pieces, None if is_known else COUNTED)
        for pieces, is_known in streams
    ]
    return parts, following


def _flac(file, start, size):
    data, following = _content(file, size), None
    if size <= LARGE:
        first = flac.skip_metadata(data, start)
        following = trailing.find_file(data, first, b"fLaC")
        data = data[:following]
    parts = flac.find_streams(data, start, search=size <= LARGE)
    return parts and [Part(pieces) for pieces in parts], following


def _mpeg(file, start, size):
    data = _content(file, size)
    following = trailing.find_file(data, start, trailing.MPEG)
    if following is not None:
        data = data[:following]
    parts = mpeg.find_streams(data, start)
    return parts and [Part(*part) for part in parts], following


FORMATS = {
    b"RIFF": _wav,
    b"RF64": _wav,
    b"BW64": _wav,
    b"riff": _w64,
    b"FORM": _aiff,
    b"caff": _caf,
    b".snd": _au,
    b"OggS": _ogg,
    b"fLaC": _flac,
}
