"""One small reader per data set. NumPy and the standard library only."""

from keras_c2f.data.readers.digits import read_digits
from keras_c2f.data.readers.esc50 import read_esc50
from keras_c2f.data.readers.folder import read_folder
from keras_c2f.data.readers.sounds import read_sounds
from keras_c2f.data.readers.specification import open_dataset
from keras_c2f.data.readers.table import read_csv

__all__ = [
    "open_dataset",
    "read_csv",
    "read_digits",
    "read_esc50",
    "read_folder",
    "read_sounds",
]
