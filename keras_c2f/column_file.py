"""A table larger than memory: written by rows, read by columns."""

import tempfile

import numpy as np


class ColumnFile:
    """Takes rows as they come, and gives back one column at a time.

    Rows are gathered in memory until a block is full; the block is then
    written transposed, so that each column lies in it in one piece and that
    reading every column reads the file once. The file has no name and is gone
    after `close`; it lies in the system's temporary folder, which the
    environment variable `TMPDIR` moves elsewhere.

    Args:
        num_columns: int.
        dtype: of all values.
        block_rows: int, rows in memory: `block_rows * num_columns` values.

    Example:
        >>> table = ColumnFile(2, "float32", block_rows=2)
        >>> table.append([[1, 2], [3, 4], [5, 6]])
        >>> len(table), table.column(1).tolist()
        (3, [2.0, 4.0, 6.0])
        >>> table.close()
    """

    def __init__(self, num_columns, dtype, block_rows=8192):
        self._block = np.empty((num_columns, block_rows), dtype)
        self._num_blocks = 0  # in the file
        self._filled = 0  # rows in the block
        self._file = tempfile.TemporaryFile()

    def __len__(self):
        return self._num_blocks * self._block.shape[1] + self._filled

    def append(self, rows):
        """Adds `rows`, `(n, num_columns)`."""
        rows = np.asarray(rows, self._block.dtype)
        while len(rows):
            part = rows[: self._block.shape[1] - self._filled]
            end = self._filled + len(part)
            self._block[:, self._filled : end] = part.T
            self._filled = end
            rows = rows[len(part) :]
            if end == self._block.shape[1]:
                self._file.seek(self._num_blocks * self._block.nbytes)
                self._file.write(self._block)
                self._num_blocks += 1
                self._filled = 0

    def column(self, index):
        """Column `index` of all rows so far, `(len(self),)`."""
        values = np.empty(len(self), self._block.dtype)
        piece = self._block[index]
        for block in range(self._num_blocks):
            place = block * self._block.nbytes + index * piece.nbytes
            self._file.seek(place)
            start = block * piece.size
            self._file.readinto(values[start : start + piece.size])
        values[len(self) - self._filled :] = piece[: self._filled]
        return values

    def close(self):
        """Frees the disk; the table cannot be used any more."""
        self._file.close()
