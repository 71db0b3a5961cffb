"""Features of files as NumPy, CSV or Parquet."""

import csv
import io
import os

import numpy as np

from keras_c2f.inference.output import mean_scores
from keras_c2f.utils.files import atomic_write, write_text
from keras_c2f.utils.optional import LazyModule

pyarrow = LazyModule("pyarrow")
parquet = LazyModule("pyarrow.parquet")


class FeatureTable:
    """Rows of features, one for each file or each window.

    Args:
        by_window: bool; else a file's row is the mean over its windows.
    """

    def __init__(self, by_window=False):
        self.by_window = by_window
        self._paths, self._times, self._features = [], [], []

    def __len__(self):
        return len(self._paths)

    def add(self, path, windows):
        """Adds a recording.

        Args:
            path: str.
            windows: list of `Window` with features as `scores`, at least one.
        """
        if self.by_window:
            rows = [(w.start, w.end, w.scores) for w in windows]
        else:
            mean = mean_scores(windows)
            rows = [(windows[0].start, windows[-1].end, mean)]
        for start, end, features in rows:
            self._paths.append(path)
            self._times.append((start, end))
            self._features.append(features)

    def write(self, path):
        """Writes a file; its ending, a key of `WRITERS`, says how."""
        WRITERS[os.path.splitext(path)[1]](path, self._columns())

    def _columns(self):
        """dict of arrays as long as the table."""
        times = np.array(self._times, "float64").reshape(-1, 2).round(3)
        return {
            "path": np.array(self._paths, dtype=str),
            "start": times[:, 0],
            "end": times[:, 1],
            "features": np.array(self._features, "float32"),
        }


def _write_numpy(path, columns):
    atomic_write(path, lambda to: np.savez(to, **columns))


def _write_csv(path, columns):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    flat = _flat(columns)
    writer.writerow(flat)
    # as text, float32 has the fewest digits that give it back
    texts = [column.astype(str).tolist() for column in flat.values()]
    writer.writerows(zip(*texts, strict=True))
    write_text(path, text.getvalue())


def _write_parquet(path, columns):
    flat = _flat(columns)
    flat["path"] = [  # what is not UTF-8 as escapes
        name.encode("utf-8", "backslashreplace").decode()
        for name in flat["path"]
    ]
    table = pyarrow.table(flat)
    atomic_write(path, lambda to: parquet.write_table(table, to))


def _flat(columns):
    """The columns, a column for each feature: f0 and so on."""
    *others, features = columns.items()
    return {
        **dict(others),
        **{f"f{index}": column for index, column in enumerate(features[1].T)},
    }


WRITERS = {
    ".npz": _write_numpy,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
