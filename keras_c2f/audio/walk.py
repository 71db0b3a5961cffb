"""Finds audio files: one walk through a folder, for readers and `predict`."""

import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field

from keras_c2f.utils.annotations import PathLike

# What libsndfile reads, as far as people call audio files so.
SUFFIXES = tuple(
    ".wav .wave .bwf .rf64 .bw64 .flac .ogg .oga .opus .mp3 .mp2 .mpga .mpa "
    ".aiff .aif .aifc .au .snd .caf .w64 .voc .sph .nist .iff .8svx .svx .avr "
    ".paf .pvf .sds .sf .ircam".split()
)
# What it does not.
UNREADABLE = tuple(
    ".m4a .m4b .m4p .mp4 .m4v .mov .aac .ac3 .eac3 .dts .wma .wmv .asf .webm "
    ".mkv .mka .amr .awb .3gp .3gpp .3g2 .alac .ape .wv .tta .mpc .spx .ra .rm "
    ".avi .flv .f4v .mpg .mpeg .vob .m2ts .dsf .dff .adts .ac4 .oma .qcp .shn "
    ".tak .ofr .xwma .gsm .raw .pcm .vox .ulaw .alaw".split()
)
CONVERT = "convert them, for example with ffmpeg -i IN{} OUT.flac"
# What systems and programs make beside `.` in front: archives made on a Mac,
# disks of Windows, Linux and network storage, Python.
HIDDEN = tuple(
    name.casefold()
    for name in (
        *("__MACOSX", "$RECYCLE.BIN", "System Volume Information"),
        *("lost+found", "@eaDir", "#recycle", "__pycache__"),
    )
)
# How download tools call a clip: the video's id, then maybe the start, then
# maybe the end; AudioSet's collections put a Y before the id.
YOUTUBE = re.compile(
    r"Y?([\w-]{11})(?:_(\d+(?:\.\d+)?)(?:[_-]\d+(?:\.\d+)?)?)?", re.ASCII
)


@dataclass
class FolderContents:
    """What is in a folder and all folders inside it.

    Attributes:
        root: str.
        audio: list of str, the paths of audio files that can be read, in
            order.
        left_out: dict from a reason to the paths of what was left out for it;
            a hidden folder counts as one.
        unreadable: `Counter` of audio and video files by their suffix, of
            formats that have to be converted first.
        others: `Counter` of all other files by their suffix.
    """

    root: str
    audio: list = field(default_factory=list)
    left_out: dict = field(default_factory=dict)
    unreadable: Counter = field(default_factory=Counter)
    others: Counter = field(default_factory=Counter)

    def leave_out(self, reason, path):
        """Notes that a file or folder is not used."""
        self.left_out.setdefault(reason, []).append(path)

    def keep(self, wanted, reason):
        """Leaves out the audio files of which `wanted(path)` is false."""
        for path in self.audio:
            if not wanted(path):
                self.leave_out(reason, path)
        self.audio = [path for path in self.audio if wanted(path)]

    def parts(self, path):
        """list of str: the folders below the root, and the file's name."""
        return path[len(os.path.join(self.root, "")) :].split(os.sep)

    def to_convert(self):
        """str, the files of formats that cannot be read; `""` if none are."""
        if not self.unreadable:
            return ""
        suffix = next(iter(self.unreadable))
        return (
            f"{_counted(self.unreadable)} that cannot be decoded "
            f"({CONVERT.format(suffix)})"
        )

    def why_left_out(self):
        """str, what was left out and why; `""` if nothing was."""
        parts = [self.to_convert()] if self.unreadable else []
        for reason, paths in self.left_out.items():
            example = os.path.relpath(min(paths), self.root)
            parts.append(f"{len(paths):,} {reason}, such as '{example}'")
        if self.others:
            parts.append(f"{_counted(self.others)} that are no audio")
        return "; ".join(parts)

    def __str__(self):
        used, why = len(self.audio), self.why_left_out()
        counts = *self.unreadable.values(), *self.others.values()
        found = used + sum(counts) + sum(map(len, self.left_out.values()))
        return f"{found:,} files in '{self.root}', {used:,} used" + (
            f"; left out: {why}" if why else ", none left out"
        )


def _counted(suffixes):
    return ", ".join(
        f"{count:,} {suffix or 'without suffix'}"
        for suffix, count in suffixes.most_common()
    )


def walk_folder(root):
    """Finds the audio files in a folder and all folders inside it.

    Names count, in capitals or not; what is in a file is not looked at, but
    whether something is. Links are followed, and each folder is walked once,
    however many links lead to it. What begins with `.`, or is a folder that
    systems make (`HIDDEN`), is hidden, and left out.

    Args:
        root: path.

    Returns:
        `FolderContents`.

    Raises:
        ValueError: if the folder itself may not be listed.
    """
    found = FolderContents(os.fspath(root))
    walked, folders, links = set(), [found.root], []
    while folders or links:
        folder = (folders or links).pop()
        try:
            status = os.stat(folder)
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            if folder == found.root:
                raise ValueError(
                    f"The folder '{folder}' cannot be listed "
                    f"({error.strerror}). Check its permissions."
                ) from None
            found.leave_out("folders that cannot be listed", folder)
            continue
        if (status.st_dev, status.st_ino) in walked:
            found.leave_out("links to folders already walked", folder)
            continue
        walked.add((status.st_dev, status.st_ino))
        for entry in entries:
            try:
                _sort(entry, found, folders, links)
            except OSError:
                found.leave_out("that cannot be looked at", entry.path)
    found.audio.sort()
    return found


def is_hidden(name):
    """bool, whether a file or folder of that name is left out."""
    return name[0] == "." or name.casefold() in HIDDEN


def _sort(entry, found, folders, links):
    """Puts one entry of a folder where it belongs."""
    suffix = os.path.splitext(entry.name)[1].lower()
    if is_hidden(entry.name):
        found.leave_out("hidden", entry.path)
    elif entry.is_dir():
        (links if entry.is_symlink() else folders).append(entry.path)
    elif suffix in UNREADABLE:
        found.unreadable[suffix] += 1
    elif suffix not in SUFFIXES:
        found.others[suffix] += 1
    elif not entry.is_file():
        found.leave_out("links that lead nowhere, or no files", entry.path)
    elif not entry.stat().st_size:
        found.leave_out("empty", entry.path)
    else:
        found.audio.append(entry.path)


def find_audio(path: PathLike) -> list[str]:
    """Paths of the audio files in a folder, at any depth, in order.

    Args:
        path: a folder, or a file, which is taken whatever it is.

    Returns:
        list of str; see `walk_folder` for what is left out.

    Raises:
        ValueError: if a folder has none.
    """
    return list(look_into(path).audio)


def look_into(path):
    """`FolderContents` of a folder with audio, or of a single file.

    Raises:
        ValueError: if a folder has no audio file.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        return FolderContents(path, [path])
    found = walk_folder(path)
    if not found.audio:
        why = found.why_left_out()
        raise ValueError(
            f"There are no audio files in {path} that can be read"
            + (f"; it has {why}." if why else ".")
        )
    return found


def stem(name):
    """A file's name without the suffix, if that is one of an audio file."""
    base, suffix = os.path.splitext(name)
    return base if suffix.lower() in SUFFIXES + UNREADABLE else name


def locate(paths):
    """Finds listed files, also where they have another suffix by now.

    Names that differ in their Unicode normalisation alone are the same: a Mac
    writes an accent as a character of its own.

    Args:
        paths: iterable of str, with or without suffix.

    Returns:
        list with the path of each file, or `None` if it is missing.
    """
    folders, positions = {}, {}
    found = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            positions[folder] = _existing(folder)
            folders[folder] = _by_name(positions[folder])
        names = folders[folder]
        name = (
            names.get(name)
            or names.get(stem(name))
            or names.get(nfc(name))
            or names.get(nfc(stem(name)))
        )
        found.append(name and os.path.join(positions[folder], name))
    return found


def nfc(text):
    """str, with each accent and its letter as one character."""
    return unicodedata.normalize("NFC", text)


def _existing(folder):
    """A folder as the disk spells it, in whatever Unicode normalisation."""
    if folder.isascii() or os.path.isdir(folder):
        return folder
    above, name = os.path.split(folder)
    if not name or above == folder:
        return folder
    above = _existing(above)
    try:
        names = os.listdir(above or ".")
    except OSError:
        return folder
    same = [other for other in sorted(names) if nfc(other) == nfc(name)]
    return os.path.join(above, same[0] if same else name)


def _by_name(folder):
    """`{name: name}` of what is in a folder; of audio `{stem: name}` too."""
    folder = folder or "."
    if not os.path.isdir(folder):
        return {}
    names = sorted(os.listdir(folder))
    order = sorted(names, key=lambda n: not n.lower().endswith(UNREADABLE))
    found = {base: name for name in order if (base := stem(name)) != name}
    found |= {name: name for name in names}
    return {nfc(key): name for key, name in found.items()} | found


def index_audio(paths, key):
    """Audio files by what they are looked up by.

    Args:
        paths: iterable of str.
        key: function of folder and stem, `None` to leave a file out.

    Returns:
        dict from key to path; of several files the first in the alphabet.
    """
    found = {}
    for path in paths:
        folder, name = os.path.split(path)
        position = key(folder, os.path.splitext(name)[0])
        if position is not None:
            found[position] = min(path, found.get(position, path))
    return found


def locate_youtube(root, segments):
    """Finds clips of YouTube videos, anywhere below a folder.

    Names by the common download tools are understood, for `_1s5pGDzYt8` from
    30 s: the id alone, `Y_1s5pGDzYt8`, `_1s5pGDzYt8_30`, `_1s5pGDzYt8_30.000`,
    `_1s5pGDzYt8_000030`, `_1s5pGDzYt8_000030_000040`,
    `_1s5pGDzYt8_30.0-40.0`, and milliseconds, `_1s5pGDzYt8_30000_40000`. A
    start in the name must be the segment's.

    Args:
        root: path, or the `FolderContents` of one.
        segments: iterable of `(id, start)`, the start in seconds.

    Returns:
        list with the path of each clip, or `None` if it is missing.
    """

    def key(_, base):
        match = YOUTUBE.fullmatch(base)
        if match:
            video, start = match.groups()
            return video if start is None else f"{video}_{float(start)}"

    contents = root if isinstance(root, FolderContents) else walk_folder(root)
    found = index_audio(contents.audio, key)
    return [
        found.get(f"{video}_{float(start)}")
        or found.get(f"{video}_{float(round(1000 * start))}")
        or found.get(video)
        for video, start in segments
    ]
