from keras_c2f.datasets.ast_json import read_ast_json as read_ast_json
from keras_c2f.datasets.audioset import read_audioset as read_audioset
from keras_c2f.datasets.digits import read_digits as read_digits
from keras_c2f.datasets.esc50 import read_esc50 as read_esc50
from keras_c2f.datasets.folder import read_folder as read_folder
from keras_c2f.datasets.fsd50k import read_fsd50k as read_fsd50k
from keras_c2f.datasets.json_lines import read_jsonl as read_jsonl
from keras_c2f.datasets.keywords import (
    synthesize_keywords as synthesize_keywords,
)
from keras_c2f.datasets.kinetics_sounds import (
    read_kinetics_sounds as read_kinetics_sounds,
)
from keras_c2f.datasets.registry import open_dataset as open_dataset
from keras_c2f.datasets.speech_commands import (
    read_speech_commands as read_speech_commands,
)
from keras_c2f.datasets.table import read_csv as read_csv
from keras_c2f.datasets.timing import synthesize_timbre as synthesize_timbre
from keras_c2f.datasets.timing import synthesize_timing as synthesize_timing
from keras_c2f.datasets.unlabelled import read_unlabelled as read_unlabelled
from keras_c2f.datasets.vggsound import read_vggsound as read_vggsound
from keras_c2f.datasets.voxceleb import read_voxceleb as read_voxceleb
