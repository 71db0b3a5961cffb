"""Fingerprints of audio files, whatever their names and places.

A fingerprint is taken of a file's size and content, of more than 64 KiB of four
pieces, so that two million files take minutes on two cores. It finds a file
again under another name or on another machine. It does not notice a change of
a few samples between the pieces.
"""

import hashlib
import os
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_c2f.utils.optional import tqdm

WHOLE = 65536  # bytes of a file up to which all of it is read
PIECE = 4096
NUM_PIECES = 4
CHUNK = 4096  # recordings that a thread takes at a time
THREADS = 16  # more than cores: most of the time is spent waiting for disks


def fingerprints(recordings):
    """Fingerprints of recordings, by threads.

    Args:
        recordings: sequence of paths, arrays and prepared `Record`s. A `Record`
            has the fingerprint of the file that it was made of. Of remote
            paths (`gs://...`), and of files that are empty or
            cannot be read, the fingerprint is of the path alone.

    Returns:
        uint64 `(n,)`; equal where the content is.
    """
    return np.array(
        over_chunks(
            recordings, lambda chunk: map(_fingerprint, chunk), "fingerprints"
        ),
        "uint64",
    )


def file_keys(paths):
    """Numbers that are equal where paths lead to one file.

    Through symbolic and hard links too. Remote and missing files have their
    normalised path's.

    Args:
        paths: list of str.

    Returns:
        int64 `(n,)`, good within one process.
    """
    return np.array(
        over_chunks(paths, lambda chunk: map(_file_key, chunk)), "int64"
    )


def file_state(path):
    """Size in bytes, time of change in nanoseconds, CRC-32 of the content.

    Args:
        path: str.

    Returns:
        list of three int; `None` of what is not a readable local file.
    """
    try:
        with open(path, "rb") as file:
            found, checksum = os.fstat(file.fileno()), 0
            while data := file.read(2**20):
                checksum = zlib.crc32(data, checksum)
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return None
    return [found.st_size, found.st_mtime_ns, checksum]


def differs(path, state):
    """bool, whether a file that is still there has another content.

    One that was only copied or touched is read, and found to be the same.

    Args:
        path: str.
        state: what `file_state` returned, or `None`.
    """
    version = file_version(path)
    if state is None or len(version) == 1 or [*version[1:]] == state[:2]:
        return False
    found = file_state(path)
    return found is not None and found[::2] != state[::2]


def file_version(path):
    """tuple of a local file's path, size and time of change; else the path."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return (path,)
    return path, found.st_size, found.st_mtime_ns


def audio_name(audio, number):
    """str, name of a recording in messages: its path, or the array's number."""
    if isinstance(audio, (str, os.PathLike)):
        return os.fspath(audio)
    return getattr(audio, "name", f"array number {number}")


def over_chunks(items, function, title=""):
    """list of what a function of a part of the items yields for each.

    Many items are divided among threads. With a `title` a bar is shown if that
    takes long.
    """
    chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
    if len(chunks) < 2:
        return list(function(items))
    found = []
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(lambda chunk: list(function(chunk)), chunks)
        if title:
            parts = tqdm.tqdm(parts, title, len(chunks), delay=5, leave=False)
        for part in parts:
            found += part
    return found


def _fingerprint(audio):
    if isinstance(audio, (str, os.PathLike)):
        data = _pieces(audio)
    elif hasattr(audio, "fingerprint"):
        return audio.fingerprint
    else:  # to 16 bits: synthesis may differ in the last digits of float32
        samples = np.nan_to_num(np.asarray(audio, "float32"), posinf=1)
        data = (samples.clip(-1, 1) * 32767).round().astype("<i2").tobytes()
    return int.from_bytes(
        hashlib.blake2b(data, digest_size=8).digest(), "little"
    )


def _pieces(path):
    """bytes: the size of a file, and all of it or equal pieces of it."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if not size:  # nothing to compare
                return os.fsencode(path)
            if size <= WHOLE:
                return size.to_bytes(8, "little") + file.read()
            pieces = [size.to_bytes(8, "little")]
            for index in range(NUM_PIECES):
                file.seek((size - PIECE) * index // (NUM_PIECES - 1))
                pieces.append(file.read(PIECE))
            return b"".join(pieces)
    except (OSError, ValueError):
        return os.fsencode(path)


def _file_key(path):
    try:
        found = os.stat(path)
        return hash((found.st_dev, found.st_ino))
    except (OSError, ValueError):
        return hash(os.path.normpath(path) if "://" not in path else path)
