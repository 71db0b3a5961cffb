"""How many samples an MP3 file has, counted by its frames.

libsndfile believes the Xing header of the first frame, right or wrong. Without
one it takes the first frame's bit rate for that of all.
"""

import re
from typing import NamedTuple

# Of layer III; kbit/s by the header's four bits, of MPEG-1 and of 2 and 2.5.
BIT_RATES = (
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
RATES = (44100, 48000, 32000)  # Hz, halved in MPEG-2, and again in 2.5
SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
SAME = 0xFE0C  # bits of a header that all frames of a stream share
XING = (b"Xing", b"Info")
DECODER_DELAY = 529  # samples, which a player cuts beside the encoder's
ID3V1_SIZE = 128
LARGEST = 1441  # bytes of a frame


def _frame_sizes():
    """`{second and third byte of a header: (bytes, samples)}`."""
    sizes = {}
    for version, halvings in ((3, 0), (2, 1), (0, 2)):
        for protection in range(2):
            for code in range(14 * 3 * 2):
                rest, padding = divmod(code, 2)
                rate, bits = rest % 3, rest // 3
                header = (0xE2 | version << 3 | protection) << 8
                header |= bits + 1 << 4 | rate << 2 | padding << 1
                samples = 1152 if version == 3 else 576
                hertz = RATES[rate] >> halvings
                kilobits = BIT_RATES[version != 3][bits]
                size = samples // 8 * 1000 * kilobits // hertz + padding
                sizes[header] = sizes[header | 1] = (size, samples)
    return sizes


SIZES = _frame_sizes()


def is_start(data, position=0):
    """bool, whether four frames begin at a place, one behind the other."""
    for _ in range(3):
        size = _size(data, position, len(data))
        following = position + size
        if not size or not _size(data, following, len(data)):
            return False
        if (_key(data, position) ^ _key(data, following)) & SAME:
            return False
        position = following
    return True


def find_start(data, position):
    """int, where the next four frames begin, `None` if nowhere."""
    positions = (match.start() for match in SYNC.finditer(data, position))
    return next((at for at in positions if is_start(data, at)), None)


def find_streams(data, start):
    """The streams of a file.

    Args:
        data: bytes of an MP3 file, from `start` on.
        start: int.

    Returns:
        tuple of `(pieces, frames)` of each, see `containers.Part`; `None` if
        there is one whose header is right, or no stream was found.
    """
    first, end = _next_frame(data, start, len(data)), len(data)
    if data[-ID3V1_SIZE:][:3] == b"TAG":
        end -= ID3V1_SIZE
    if first is None:
        return None
    starts = [position for position in _xing_places(data) if position > first]
    streams = []
    for position in [first, *starts]:
        stop = min([other for other in starts if other > position], default=end)
        while position is not None:
            stream, position = _stream(data, position, stop)
            streams.append(stream)
    is_right = len(streams) == 1 and streams[0] == (((first, end),), None)
    return None if is_right else tuple(streams)


def _stream(data, start, stop):
    """`(pieces, frames)` of the next stream, and where another begins."""
    xing = _xing(data, start)
    begin = start + (xing.frame_bytes if xing else 0)
    count, following = _count_frames(data, begin, stop)
    stop = following or stop
    samples = count * SIZES[_key(data, start)][1]
    if xing and xing.num_frames == count:
        return (((start, stop),), None), following
    if xing and xing.num_frames and xing.num_bytes == stop - start:
        # the rest is right, such as the samples to cut at both ends
        position = data.index(xing.name, start) + 8
        pieces = (
            (start, position),
            count.to_bytes(4, "big"),
            (position + 4, stop),
        )
        return (pieces, None), following
    if xing and xing.num_frames > count:
        return (((start, stop),), max(samples - xing.delay, 0)), following
    head = _xing_frame(data, start, count, stop - begin)
    return ((head, (begin, stop)), samples), following


def _key(data, position):
    return data[position + 1] << 8 | data[position + 2]


def _size(data, position, stop):
    """int, bytes of the frame at a place, 0 if there is none."""
    if position + 4 > stop or data[position] != 0xFF:
        return 0
    return SIZES.get(_key(data, position), (0,))[0]


def _next_frame(data, position, stop):
    """Where the next frame is that another of the same kind follows."""
    for match in SYNC.finditer(data, position, stop):
        position = match.start()
        following = position + _size(data, position, stop)
        if following > position and (
            following == stop
            or _size(data, following, stop)
            and (_key(data, position) ^ _key(data, following)) & SAME == 0
        ):
            return position
    return None


def _count_frames(data, position, stop):
    """Whole frames to `stop`, or to where a stream of another kind begins.

    Returns:
        `(count, place)`, the latter `None` if nothing of another kind does.
    """
    position = _next_frame(data, position, stop)
    if position is None:
        return 0, None
    kind = _key(data, position) & SAME
    sizes = {
        key: size for key, (size, _) in SIZES.items() if key & SAME == kind
    }
    count, last = 0, stop - 3
    while True:
        while position < last and data[position] == 0xFF:
            size = sizes.get(data[position + 1] << 8 | data[position + 2])
            if size is None:
                break
            position += size
            count += 1
        if position > stop:  # the last one is cut
            return count - 1, None
        position = _next_frame(data, position, stop)
        if position is None:
            return count, None
        if _key(data, position) & SAME != kind:
            return count, position


class _Xing(NamedTuple):
    """What the header in a stream's first frame says."""

    name: bytes
    frame_bytes: int
    num_frames: int
    num_bytes: int
    delay: int  # samples that are cut at the start


def _xing(data, position):
    """`_Xing` of the frame at a place, `None` if it is another."""
    size = _size(data, position, len(data))
    header = position + (_xing_offset(data, position) if size else 0)
    if not size or data[header : header + 4] not in XING:
        return None
    flags, fields = data[header + 7], header + 8
    numbers = []
    for bit in (1, 2):
        numbers.append(int.from_bytes(data[fields : fields + 4], "big"))
        if flags & bit:
            fields += 4
        else:
            numbers[-1] = 0
    fields += (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
    delays = int.from_bytes(data[fields + 21 : fields + 24], "big")
    has_delays = data[fields : fields + 1].isalpha()  # an encoder's name
    delay = (delays >> 12) + DECODER_DELAY if has_delays else 0
    name = data[header : header + 4]
    return _Xing(name, size, *numbers, delay)


def _xing_offset(data, position):
    is_mono, is_mpeg1 = (
        data[position + 3] >> 6 == 3,
        data[position + 1] >> 3 & 3 == 3,
    )
    return 4 + (17 if is_mono == is_mpeg1 else 32 if is_mpeg1 else 9)


def _xing_places(data):
    """Where frames with a Xing header are."""
    for name in XING:
        found = data.find(name)
        while found >= 0:
            for offset in (36, 21, 13):
                position = found - offset
                if position >= 0 and _xing(data, position):
                    yield position
            found = data.find(name, found + 1)


def _xing_frame(data, position, num_frames, num_bytes):
    """bytes, a frame that says how many follow."""
    key = (_key(data, position) | 0x0100) & 0xFF0C | 0xE0  # of the most bits
    size, _ = SIZES[key]
    header = (
        bytes([0xFF])
        + key.to_bytes(2, "big")
        + data[position + 3 : position + 4]
    )
    frame = bytearray(header.ljust(size, b"\0"))
    counts = num_frames.to_bytes(4, "big") + (num_bytes + size).to_bytes(
        4, "big"
    )
    offset = _xing_offset(data, position)
    frame[offset : offset + 16] = b"Xing\0\0\0\3" + counts
    return bytes(frame)
