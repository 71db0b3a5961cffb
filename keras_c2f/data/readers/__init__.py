"""One small reader per data set. NumPy and the standard library only.

`read_prepared` alone needs TensorFlow, which reads its files.
"""

from keras_c2f.data.readers.ast_json import read_ast_json
from keras_c2f.data.readers.audioset import read_audioset
from keras_c2f.data.readers.digits import read_digits
from keras_c2f.data.readers.esc50 import read_esc50
from keras_c2f.data.readers.folder import read_folder
from keras_c2f.data.readers.fsd50k import read_fsd50k
from keras_c2f.data.readers.json_lines import read_jsonl
from keras_c2f.data.readers.kinetics_sounds import read_kinetics_sounds
from keras_c2f.data.readers.prepared import read_prepared
from keras_c2f.data.readers.sounds import read_sounds
from keras_c2f.data.readers.specification import open_dataset
from keras_c2f.data.readers.speech_commands import read_speech_commands
from keras_c2f.data.readers.table import read_csv
from keras_c2f.data.readers.vggsound import read_vggsound
from keras_c2f.data.readers.voxceleb import read_voxceleb

__all__ = [
    "open_dataset",
    "read_ast_json",
    "read_audioset",
    "read_csv",
    "read_digits",
    "read_esc50",
    "read_folder",
    "read_sounds",
    "read_fsd50k",
    "read_jsonl",
    "read_kinetics_sounds",
    "read_speech_commands",
    "read_vggsound",
    "read_voxceleb",
    "read_prepared",
]
