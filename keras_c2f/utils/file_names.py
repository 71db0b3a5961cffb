"""File names made of paths and settings, which every file system takes."""

import hashlib
import re
import unicodedata

LONGEST = 128  # bytes; eCryptfs takes 143, and a name being written is longer
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
RESERVED = {
    *("CON", "PRN", "AUX", "NUL"),
    *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10)),
}


def file_name(text, ending, distinct=""):
    """A name for a file, short enough and free of what systems reserve.

    Args:
        text: str, what to call it; a long one loses its middle.
        ending: str, with the dot.
        distinct: str that differs between files of the same `text`; a digest
            of it becomes part of the name.

    Returns:
        str, of at most `LONGEST` bytes.

    Example:
        >>> file_name("a/b: c?", ".png")
        'a-b- c-.png'
        >>> file_name("con", ".png"), file_name("a", ".png", "b/a")
        ('_con.png', 'a-bc8a2f07.png')
    """
    stem = FORBIDDEN.sub("-", text)
    if stem.partition(".")[0].strip().upper() in RESERVED:
        stem = f"_{stem}"
    mark = f"-{_digest(distinct)}" if distinct else ""
    if len(f"{stem}{mark}{ending}".encode()) > LONGEST:
        mark = f"-{_digest(text + distinct)}-"
        half = (LONGEST - len(f"{mark}{ending}".encode())) // 2
        head, tail = stem.encode()[:half], stem.encode()[-half:]
        mark += tail.decode(errors="ignore")
        stem = head.decode(errors="ignore")
    return f"{stem}{mark}{ending}"


class FileNames:
    """Names of files in one folder, none like another.

    Names that differ in case or Unicode normalisation alone are alike: some
    file systems keep one of them.
    """

    def __init__(self):
        self._sources = {}

    def of(self, text, ending, source):
        """The `file_name` for what was made of `source`, a str."""
        name = file_name(text, ending)
        if self._sources.setdefault(_key(name), source) != source:
            name = file_name(text, ending, source)
            self._sources[_key(name)] = source
        return name


def _key(name):
    return unicodedata.normalize("NFC", name.casefold())


def _digest(text):
    data = text.encode(errors="surrogatepass")
    return hashlib.sha256(data).hexdigest()[:8]
