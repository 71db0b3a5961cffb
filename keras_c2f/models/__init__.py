"""Spectrogram transformers, what is put on them, and presets as data."""

from keras_c2f.utils.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        ".ast_model": ["AST"],
        ".backbones": [
            "backbone_from_size",
            "preset_frontend",
            "preset_patch",
        ],
        ".classifier": ["AudioClassifier"],
        ".hts_at": ["HTSAT"],
        ".kwt_model": ["KWT"],
        ".masked_patch_loss": ["MaskedPatchLoss", "masked_patch_metrics"],
        ".masked_patches": ["MaskedPatchModel"],
        ".waveform_classifier": ["of_compressed", "waveform_classifier"],
        ".whisper_model": ["WhisperEncoder"],
    },
)
