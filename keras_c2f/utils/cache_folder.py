"""Where what can be had again is kept: downloads, features of clips."""

import os
from pathlib import Path


def cache_folder():
    """`Path`: `~/.cache/keras_c2f`, or what `KERAS_C2F_CACHE` names."""
    default = Path.home() / ".cache" / "keras_c2f"
    return Path(os.environ.get("KERAS_C2F_CACHE", default))
