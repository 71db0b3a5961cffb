"""One file from its authors' address, whole or not at all."""

import hashlib
import re
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from keras_c2f.utils.optional import tqdm

CHUNK = 1 << 20  # bytes
TIMEOUT = 60  # seconds without an answer


def download(url, path, sha256=None):
    """Fetches a file, with a progress bar.

    What arrives is held against the length that the server announces, and
    against a SHA-256 where one is known: `sha256`, or the `X-Linked-Etag` that
    Hugging Face sends before it redirects to the file.

    Args:
        url: str.
        path: file to write; its folder is made.
        sha256: str, the sum or its first digits, as its authors publish it.

    Returns:
        str, the first digits of the sum that the file was held against, or
        `None` if its authors publish none.

    Raises:
        ImportError: if `tqdm` is not installed.
        OSError: if the file cannot be had.
        ValueError: if it arrives cut short or is another.
    """
    path = Path(path)
    bar = tqdm.tqdm(
        desc=path.name, unit="B", unit_scale=True, delay=1, disable=None
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    redirects = _Redirects()
    opener = urllib.request.build_opener(redirects)
    digest = hashlib.sha256()
    with (
        bar,
        opener.open(url, timeout=TIMEOUT) as answer,
        tempfile.TemporaryDirectory(dir=path.parent) as unfinished,
    ):
        expected = sha256 or redirects.sha256
        length = answer.headers.get("Content-Length")
        bar.total = int(length) if length else None
        part = Path(unfinished) / path.name
        with open(part, "wb") as file:
            while chunk := answer.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
                bar.update(len(chunk))
        size = part.stat().st_size
        if length and size != int(length):
            raise ValueError(
                f"{url} broke off after {size} of {length} bytes. Try again."
            )
        if expected and not digest.hexdigest().startswith(expected):
            raise ValueError(
                f"{url} is not the file that its authors published: its "
                f"SHA-256 is {digest.hexdigest()}, theirs begins {expected}."
            )
        part.replace(path)
    return expected


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and notes the sum that Hugging Face sends then."""

    sha256 = None

    def redirect_request(self, request, file, code, message, headers, url):
        tag = (headers.get("X-Linked-Etag") or "").strip('"')
        if re.fullmatch("[0-9a-f]{64}", tag):
            self.sha256 = tag
        return super().redirect_request(
            request, file, code, message, headers, url
        )
