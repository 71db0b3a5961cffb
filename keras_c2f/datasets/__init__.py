"""One reader per public data set, your own recordings, synthetic data."""

from keras_c2f.utils.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        ".ast_json": ["read_ast_json"],
        ".audioset": ["read_audioset"],
        ".digits": ["read_digits"],
        ".esc50": ["read_esc50"],
        ".folder": ["read_folder"],
        ".fsd50k": ["read_fsd50k"],
        ".json_lines": ["read_jsonl"],
        ".keywords": ["synthesize_keywords"],
        ".kinetics_sounds": ["read_kinetics_sounds"],
        ".registry": ["open_dataset"],
        ".speech_commands": ["read_speech_commands"],
        ".table": ["read_csv"],
        ".timing": ["synthesize_timbre", "synthesize_timing"],
        ".unlabelled": ["read_unlabelled"],
        ".vggsound": ["read_vggsound"],
        ".voxceleb": ["read_voxceleb"],
    },
)
