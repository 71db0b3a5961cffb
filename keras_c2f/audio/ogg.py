"""Where Ogg streams begin in a file, and whether they say how long they are.

libsndfile takes a stream's length from its last page, whose place in the
stream is unknown, or 0, where a program did not end it.

Reference:
    RFC 3533, "The Ogg Encapsulation Format Version 0", section 6.
"""

import itertools
import re
import struct

PAGE = b"OggS\0"
BEGIN_OF_STREAM = re.compile(rb"OggS\0\x02")
HEAD = 27  # bytes of a page in front of its table of segments
PLACE, CHECK_SUM = 6, 22  # in a page: samples to its end, and the sum
UNKNOWN = 2**64 - 1
MOST = 2**21  # samples in a page: 255 packets of 8192


def find_streams(data, start, stop):
    """The streams of a file that follow one another.

    Args:
        data: bytes of a file, an Ogg stream from `start` to `stop`.
        start, stop: int.

    Returns:
        list of `(pieces, is_known)` of each, see `containers.Part`: whether
        its last page says how long it is.
    """
    positions = [m.start() for m in BEGIN_OF_STREAM.finditer(data, start, stop)]
    links = [
        position
        for before, position in zip([None, *positions], positions, strict=False)
        if before is None or position != _end(data, before)
    ]
    links.append(stop)
    return [_stream(data, *link) for link in itertools.pairwise(links)]


def _stream(data, first, last):
    page = _last_page(data, first, last)
    before = None if page is None else _last_page(data, first, page)
    if before is None:
        return ((first, last),), True
    # a page that no packet ends on has none
    done = 0 if _place(data, before) == UNKNOWN else _place(data, before)
    if done <= _place(data, page) <= done + MOST:
        return ((first, last),), True
    end = _end(data, page)
    fixed = bytearray(data[page:end])
    struct.pack_into("<Q", fixed, PLACE, done + MOST)
    struct.pack_into("<I", fixed, CHECK_SUM, 0)
    struct.pack_into("<I", fixed, CHECK_SUM, _check_sum(fixed))
    return ((first, page), bytes(fixed), (end, last)), False


def _place(data, page):
    return struct.unpack_from("<Q", data, page + PLACE)[0]


def _last_page(data, first, last):
    """int, where the last whole page begins, `None` if there is none."""
    page = data.rfind(PAGE, first, last)
    while page >= 0:
        if page + HEAD <= last and _end(data, page) <= last:
            return page
        page = data.rfind(PAGE, first, page)
    return None


def _end(data, page):
    """int, where a page ends."""
    count = data[page + HEAD - 1]
    return page + HEAD + count + sum(data[page + HEAD :][:count])


def _check_sum(page):
    value = 0
    for byte in page:
        value = value << 8 & 0xFFFFFFFF ^ SUMS[value >> 24 ^ byte]
    return value


def _sum_of(byte):
    value = byte << 24
    for _ in range(8):
        value = value << 1 ^ (0x104C11DB7 if value >> 31 else 0)
    return value


SUMS = [_sum_of(byte) for byte in range(256)]
