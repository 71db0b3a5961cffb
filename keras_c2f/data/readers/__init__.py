"""One small reader per data set. NumPy and the standard library only.

`read_prepared` alone needs TensorFlow, which reads its files.
"""

from keras_c2f.lazy_names import lazy_names

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
        ".kinetics_sounds": ["read_kinetics_sounds"],
        ".prepared": ["read_prepared"],
        ".sounds": ["read_sounds"],
        ".specification": ["open_dataset"],
        ".speech_commands": ["read_speech_commands"],
        ".table": ["read_csv"],
        ".vggsound": ["read_vggsound"],
        ".voxceleb": ["read_voxceleb"],
    },
)
