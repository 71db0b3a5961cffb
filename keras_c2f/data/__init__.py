"""From sound files to batches: decoding, pipelines, augmentation, readers."""

from keras_c2f.data.augment import Augment
from keras_c2f.data.clips import Clips
from keras_c2f.data.corruption import Corruption
from keras_c2f.data.decode import SoundError, load_sound
from keras_c2f.data.keywords import synthesize_keywords
from keras_c2f.data.labels import LabelSets
from keras_c2f.data.moments import feature_moments
from keras_c2f.data.pipeline import AudioPipeline
from keras_c2f.data.prepare import prepare
from keras_c2f.data.readers import (
    open_dataset,
    read_ast_json,
    read_audioset,
    read_csv,
    read_digits,
    read_esc50,
    read_folder,
    read_fsd50k,
    read_jsonl,
    read_kinetics_sounds,
    read_prepared,
    read_sounds,
    read_speech_commands,
    read_vggsound,
    read_voxceleb,
)
from keras_c2f.data.timing import synthesize_timbre, synthesize_timing

__all__ = [
    "Augment",
    "AudioPipeline",
    "Clips",
    "Corruption",
    "LabelSets",
    "SoundError",
    "feature_moments",
    "load_sound",
    "open_dataset",
    "read_ast_json",
    "read_audioset",
    "prepare",
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
    "synthesize_keywords",
    "synthesize_timbre",
    "synthesize_timing",
]
