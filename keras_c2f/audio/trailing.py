"""What follows the samples of a file: tags, another file, more, or junk."""

import re

import numpy as np

from keras_c2f.audio import mpeg

# How a file of each format begins, but MP3, which has no signature.
STARTS = {
    b"RIFF": re.compile(rb"RIFF....WAVE", re.DOTALL),
    b"RF64": re.compile(rb"RF64....WAVE", re.DOTALL),
    b"BW64": re.compile(rb"BW64....WAVE", re.DOTALL),
    b"riff": re.compile(rb"riff\x2e\x91\xcf\x11"),
    b"FORM": re.compile(rb"FORM....AIF[FC]", re.DOTALL),
    b"caff": re.compile(rb"caff\0\x01\0\0"),
    b".snd": re.compile(rb"\.snd\0\0..", re.DOTALL),
    b"OggS": re.compile(rb"OggS\0\x02"),
    b"fLaC": re.compile(rb"fLaC[\0\x80]\0\0\x22"),
}
MPEG_BYTES = 4 * mpeg.LARGEST  # three frames and the header of a fourth
MPEG = b"ID3"  # as good as any
ID3V1, APE = (b"TAG", 128), b"APETAGEX"
LOOKED_AT = 2**16  # bytes on either side of an end
FEWEST = 1000  # bytes; fewer are no recording, whatever they are
FEW = 4  # different bytes: padding
TEXT = bytes(range(32, 127)) + b"\t\n\r"
ENTROPY_MARGIN = 0.05  # bits, between compressed data and random bytes


def skip_id3(file, position):
    """int, where the ID3v2 tags end that are at a place of a binary file."""
    while True:
        file.seek(position)
        header = file.read(10)
        if len(header) < 10 or header[:3] != b"ID3":
            return position
        size = 0
        for byte in header[6:]:
            size = size << 7 | byte & 0x7F
        position += 10 + size


def skip_tags(file, position):
    """int, where the tags end that are at a place: ID3 and APE, in any order.

    Reference:
        APE tags: header and footer of 32 bytes, whose size counts the footer.
    """
    before = None
    while position != before:
        before = position = skip_id3(file, position)
        file.seek(position)
        header = file.read(16)
        if header.startswith(APE):
            position += 32 + int.from_bytes(header[12:16], "little")
        elif header.startswith(ID3V1[0]):
            position += ID3V1[1]
    return position


def next_file(file, position):
    """Where another audio file begins behind what tags are at a place.

    Args:
        file: binary file.
        position: int, where samples end.

    Returns:
        int, or `None`.
    """
    position = skip_tags(file, position)
    file.seek(position)
    data = file.read(MPEG_BYTES)
    is_start = any(start.match(data) for start in STARTS.values())
    return position if is_start or mpeg.is_start(data) else None


def find_file(data, position, own=None):
    """Where the next audio file begins, of another format.

    Args:
        data: bytes.
        position: int, behind which to look.
        own: bytes, the signature that the file itself is full of.

    Returns:
        int, or `None`.
    """
    found = []
    if own != MPEG and (at := mpeg.find_start(data, position)) is not None:
        found.append(at)
    for magic, start in STARTS.items():
        if magic == own:
            continue
        at = data.find(magic, position)
        while at >= 0 and not start.match(data, at):
            at = data.find(magic, at + 1)
        found += [at] * (at >= 0)
    return min(found, default=None)


def is_more(file, first, end):
    """Whether bytes behind samples are more of them, though not counted.

    A recorder that lost power leaves a header that counts a part of them.
    Whatever else follows, the header counts right: padding, text, or data
    that are compressed where the samples are not.

    Args:
        file: binary file, with samples from `first` to before `end`.
        first, end: int.
    """
    file.seek(end)
    behind = file.read(LOOKED_AT)
    begin = max(first, end - LOOKED_AT)
    file.seek(begin)
    before = file.read(end - begin)
    if len(behind) < FEWEST or len(set(behind)) <= FEW:
        return False
    if not behind.strip(TEXT):
        return False
    return not _is_random(behind) or _is_random(before)


def _is_random(data):
    """Whether bytes are as random as those of compressed data."""
    counts = np.bincount(np.frombuffer(data, "uint8"), minlength=256)
    shares = counts[counts > 0] / max(len(data), 1)
    entropy = -np.sum(shares * np.log2(shares))
    # what is found of 8 bits in so few bytes
    expected = 8 - 255 / (2 * np.log(2) * max(len(data), 1))
    return entropy > expected - ENTROPY_MARGIN
