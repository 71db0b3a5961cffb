"""What commands share that take files and folders of audio."""

import os
import sys


def find_recordings(paths):
    """list of str: the audio files that are named, and those in folders.

    What folders hold is said on standard error.

    Raises:
        ValueError: if there is no such file.
    """
    from keras_c2f.audio.walk import look_into

    for path in paths:
        if not os.path.exists(path) and "://" not in path:
            raise ValueError(f"There is no file {path!r}. Check the path.")
    found = [look_into(path) for path in paths]
    for contents in found:
        if contents.audio != [contents.root]:
            print(contents, file=sys.stderr)
    return [path for contents in found for path in contents.audio]


class Recordings:
    """Reads files one after the other, as far as they can be read.

    Args:
        paths: list of str.
        verb: str, what is done up to where a file is bad: `"classified"`.

    Attributes:
        num_problems: int, files that could not be read to their end.
    """

    def __init__(self, paths, verb):
        self.paths = paths
        self.verb = verb
        self.num_problems = 0

    def read(self, windows_of, show=False):
        """Yields each path, and the windows of it.

        Files without any are left out, with a line on standard error for each
        that cannot be read.

        Args:
            windows_of: function from a path to its windows.
            show: bool, whether a bar says how far it is, on a terminal.

        Raises:
            AudioError: if there is one file, and nothing of it can be read.
        """
        from keras_c2f.audio.decode import AudioError
        from keras_c2f.utils.optional import tqdm

        paths = self.paths
        if show:
            paths = tqdm.tqdm(paths, self.verb, unit="file", disable=None)
        for path in paths:
            windows = []
            try:
                for window in windows_of(path):
                    windows.append(window)
            except AudioError as error:
                if not windows and len(self.paths) == 1:
                    raise
                self._say(windows, error, tqdm.tqdm.write if show else print)
            if windows:
                yield path, windows

    def _say(self, windows, error, write):
        from keras_c2f.inference.output import clock

        how_far = "skipped"
        if windows:
            how_far = f"{self.verb} to {clock(windows[-1].end)}, then"
        write(f"{how_far} {error}", file=sys.stderr)
        self.num_problems += 1
