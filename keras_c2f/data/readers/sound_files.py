"""Finds sound files; each folder is listed once, and no file looked at."""

import os
import re

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
# How download tools call a clip: the video's id, then maybe the start, then
# maybe the end; AudioSet's collections put a Y before the id.
YOUTUBE = re.compile(
    r"Y?([\w-]{11})(?:_(\d+(?:\.\d+)?)(?:[_-]\d+(?:\.\d+)?)?)?", re.ASCII
)


def sounds_in(folder):
    """Sorted names of the sound files in a folder, without hidden ones."""
    names = os.listdir(folder)
    return sorted(
        n for n in names if n.lower().endswith(SUFFIXES) and n[0] != "."
    )


def find_sounds(path):
    """Paths of the sound files in a folder, at any depth, in order.

    Args:
        path: a folder, or a file, which is taken whatever it is.

    Returns:
        list of str; hidden files are left out.

    Raises:
        ValueError: if a folder has none.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        return [path]
    found = [
        os.path.join(folder, name)
        for folder, _, _ in os.walk(path, followlinks=True)
        for name in sounds_in(folder)
    ]
    if not found:
        raise ValueError(f"There are no sound files in {path}.")
    return sorted(found)


def stem(name):
    """A file's name without the suffix, if that is one of a sound file."""
    base, suffix = os.path.splitext(name)
    return base if suffix.lower() in SUFFIXES else name


def locate(paths):
    """Finds listed files, also where they have another sound suffix by now.

    Args:
        paths: iterable of str, with or without suffix.

    Returns:
        list with the path of each file, or `None` if it is missing.
    """
    folders = {}
    found = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = _by_name(folder)
        name = folders[folder].get(name) or folders[folder].get(stem(name))
        found.append(name and os.path.join(folder, name))
    return found


def _by_name(folder):
    """`{name: name}` of what is in a folder; of sounds `{stem: name}` too."""
    folder = folder or "."
    if not os.path.isdir(folder):
        return {}
    names = sorted(os.listdir(folder))
    sounds = {base: name for name in names if (base := stem(name)) != name}
    return {name: name for name in names} | sounds


def sounds_below(root, key):
    """Sounds in a folder and all folders inside it.

    Args:
        root: path.
        key: function of folder and stem; what the sound is looked up by, or
            `None` to leave it out.

    Returns:
        dict from key to path; of several sounds the first in the alphabet.
    """
    found = {}
    for folder, _, names in os.walk(root, followlinks=True):
        for name in names:
            base, suffix = os.path.splitext(name)
            if suffix.lower() not in SUFFIXES:
                continue
            place = key(folder, base)
            if place is not None:
                path = os.path.join(folder, name)
                found[place] = min(path, found.get(place, path))
    return found


def locate_youtube(root, segments):
    """Finds clips of YouTube videos, anywhere below a folder.

    Names by the common download tools are understood, for `_1s5pGDzYt8` from
    30 s: the id alone, `Y_1s5pGDzYt8`, `_1s5pGDzYt8_30`, `_1s5pGDzYt8_30.000`,
    `_1s5pGDzYt8_000030`, `_1s5pGDzYt8_000030_000040`,
    `_1s5pGDzYt8_30.0-40.0`, and milliseconds, `_1s5pGDzYt8_30000_40000`. A
    start in the name must be the segment's.

    Args:
        root: path.
        segments: iterable of `(id, start)`, the start in seconds.

    Returns:
        list with the path of each clip, or `None` if it is missing.
    """

    def key(_, base):
        match = YOUTUBE.fullmatch(base)
        if match:
            video, start = match.groups()
            return video if start is None else f"{video}_{float(start)}"

    found = sounds_below(root, key)
    return [
        found.get(f"{video}_{float(start)}")
        or found.get(f"{video}_{float(round(1000 * start))}")
        or found.get(video)
        for video, start in segments
    ]
