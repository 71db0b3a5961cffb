"""Where FLAC streams begin in a file, and how many samples they really have.

Reference:
    RFC 9639, "Free Lossless Audio Codec (FLAC)", sections 8.2 and 9.1.
"""

import functools
import re

import numpy as np

MARKER = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
FRAME = re.compile(rb"\xff[\xf8\xf9]")
TAG = re.compile(rb"TAG|ID3|APETAGEX")
TEXT = bytes(range(32, 127)) + b"\t\n\r"
TAIL = 2**18  # bytes at the end, more than a frame has
MARGIN = 1024  # bytes, for what may follow the last frame
MAX_32 = 2**32 - 1
TOTAL = 21  # place of the number of samples, 36 bits, in a stream


def find_streams(data, start, search=True):
    """The streams of a file.

    Args:
        data: bytes of a file, a FLAC stream from `start` on.
        start: int.
        search: bool, looks for another stream also where the end of the file
            belongs to the first.

    Returns:
        tuple of the pieces of each, see `containers.Part`; `None` if there is
        one whose header is right.
    """
    total = _total(data, start)
    if not search and _samples(data, start, len(data), total) == total:
        return None
    starts = [match.start() for match in MARKER.finditer(data, start)]
    if not starts:
        return None
    streams = []
    for first, last in zip(starts, [*starts[1:], len(data)], strict=True):
        total = _total(data, first)
        found = _samples(data, first, last, total)
        pieces = ((first, last),)
        if found != total:
            position = first + TOTAL
            number = data[position] & 0xF0 | found >> 32
            number = bytes([number]) + (found & MAX_32).to_bytes(4, "big")
            pieces = ((first, position), number, (position + 5, last))
        streams.append(pieces)
    is_right = len(streams) == 1 and len(streams[0]) == 1
    return None if is_right else tuple(streams)


def skip_metadata(data, start):
    """int, where the frames of a stream begin: metadata may hold files."""
    position, is_last = start + 4, False
    while not is_last and position < len(data):
        is_last = bool(data[position] & 0x80)
        position += 4 + int.from_bytes(data[position + 1 : position + 4], "big")
    return position


def _total(data, first):
    """int, samples of each channel by the header of a stream."""
    position = first + TOTAL
    return int.from_bytes(data[position : position + 5], "big") & 0xFFFFFFFFF


def _samples(data, first, last, total):
    """int, samples there are: `total`, unless the last frames disagree."""
    largest = int.from_bytes(data[first + 15 : first + 18], "big")
    block = int.from_bytes(data[first + 8 : first + 10], "big")
    begin = max(first + 42, last - (2 * largest + MARGIN if largest else TAIL))
    frames = [
        (match.start(), *header)
        for match in FRAME.finditer(data, begin, last)
        if (header := _frame(data, match.start()))
    ]
    ends = _ends(data, last)
    for index in reversed(range(len(frames))):
        position, is_counted, number, count = frames[index]
        is_whole = 0 < largest <= last - position
        is_whole |= any(_crc16(data[position:end]) == 0 for end in ends)
        if number * (block if is_counted else 1) + count == total:
            if is_whole or _ends_near(data, position, last):
                return total
        for before, *_, size in reversed(frames[:index]):
            if _crc16(data[before:position]) == 0:  # so both are frames
                number *= size if is_counted else 1
                return number + (count if is_whole else 0)
        if is_whole and not number:
            return count
    return total


def _ends_near(data, position, last):
    """bool, whether a frame ends not far from `last`, whatever follows."""
    value, sums = 0, CRC16.tolist()
    for at in range(position, last):
        value = value << 8 & 0xFFFF ^ sums[value >> 8 ^ data[at]]
        if not value and at >= last - MARGIN:
            return True
    return False


def _ends(data, last):
    """Places where the last frame may end: tags, text or padding may follow."""
    tail = data[max(last - TAIL, 0) : last]
    begin = last - len(tail)
    ends = {last}
    for padding in (b"\0", TEXT):
        end = begin + len(tail.rstrip(padding))
        ends |= {end, end + 1, end + 2}  # what looks so may be the check sum
    ends |= {begin + match.start() for match in TAG.finditer(tail)}
    return [end for end in ends if end <= last]


def _frame(data, position):
    """What the header of a frame says, `None` if there is none.

    Returns:
        `(is_counted, number, count)`: whether the number is that of the frame
        rather than of its first sample, and how many samples it has.
    """
    header = data[position : position + 16]
    if len(header) < 16 or header[3] & 1:
        return None
    length = max(1, 8 - (header[4] ^ 0xFF).bit_length())  # of a coded number
    if length > 7 or header[4] >> 6 == 2:
        return None
    number = header[4] & (0xFF >> length if length > 1 else 0x7F)
    for byte in header[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    position, code = 4 + length, header[2] >> 4
    extra = {6: 1, 7: 2}.get(code, 0)
    if extra:
        count = int.from_bytes(header[position : position + extra], "big") + 1
    elif code < 2:
        count = 192 * code
    else:
        count = 576 << code - 2 if code < 6 else 256 << code - 8
    position += extra + {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if not count or _crc8(header[: position + 1]):
        return None
    return header[1] == 0xF8, number, count


def _crc8(data):
    value = 0
    for byte in data:
        value = CRC8[value ^ byte]
    return value


def _crc16(data):
    """int, check sum of a frame; 0 of a whole one, which ends with its own."""
    values = CRC16[np.frombuffer(data, "uint8")]
    level = 0
    while len(values) > 1:
        if len(values) % 2:  # zeros in front change nothing
            values = np.concatenate([values[:1] & 0, values])
        values = _shifted(level)[values[::2]] ^ values[1::2]
        level += 1
    return int(values[0]) if len(values) else 0


@functools.cache
def _shifted(level):
    """uint16 `(65536,)`: every check sum, behind it `2**level` zero bytes."""
    if level:
        half = _shifted(level - 1)
        return half[half]
    sums = np.arange(2**16, dtype="uint32")
    return (sums << 8 & 0xFFFF).astype("uint16") ^ CRC16[sums >> 8]


def _crc_table(bits, polynomial):
    """uint16 `(256,)`, check sums of single bytes."""
    table = np.arange(256) << (bits - 8)
    for _ in range(8):
        table <<= 1
        table ^= (table >> bits) * (1 << bits | polynomial)
    return table.astype("uint16")


CRC8 = _crc_table(8, 0x07).tolist()
CRC16 = _crc_table(16, 0x8005)
