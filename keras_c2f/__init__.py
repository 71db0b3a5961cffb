"""Coarse-to-fine training of audio spectrogram transformers in Keras 3."""

from keras_c2f.utils.lazy_names import lazy_names
from keras_c2f.utils.registration import register_with_keras
from keras_c2f.version import __version__

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        ".layers.log_mel": ["Frontend", "LogMel"],
        ".models": [
            "AST",
            "HTSAT",
            "AudioClassifier",
            "MaskedPatchLoss",
            "MaskedPatchModel",
            "WhisperEncoder",
            "masked_patch_metrics",
        ],
        ".phases": [
            "Phase",
            "PhasedModel",
            "PhaseSchedule",
            "PhaseScheduler",
            "transplant",
        ],
        ".resolution": [
            "FrameShift",
            "Patch",
            "Pool",
            "Resolution",
            "TokenPool",
        ],
    },
)
__all__ += ["__version__"]

register_with_keras()
