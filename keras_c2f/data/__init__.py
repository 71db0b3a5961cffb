"""From sound files to batches: decoding, pipelines, augmentation, readers."""

from keras_c2f.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        ".augment": ["Augment"],
        ".clips": ["Clips"],
        ".corruption": ["Corruption"],
        ".decode": ["SoundError", "load_sound"],
        ".keywords": ["synthesize_keywords"],
        ".labels": ["LabelSets"],
        ".moments": ["feature_moments"],
        ".pipeline": ["AudioPipeline"],
        ".prepare": ["prepare"],
        ".readers": [
            "open_dataset",
            "read_ast_json",
            "read_audioset",
            "read_csv",
            "read_digits",
            "read_esc50",
            "read_folder",
            "read_fsd50k",
            "read_jsonl",
            "read_kinetics_sounds",
            "read_prepared",
            "read_sounds",
            "read_speech_commands",
            "read_vggsound",
            "read_voxceleb",
        ],
        ".timing": ["synthesize_timbre", "synthesize_timing"],
    },
)
