"""Coarse-to-fine training of audio spectrogram transformers in Keras 3."""

from keras_c2f.frontend import Frontend, LogMel
from keras_c2f.models import (
    AST,
    HTSAT,
    AudioClassifier,
    MaskedPatchLoss,
    MaskedPatchModel,
    masked_patch_metrics,
)
from keras_c2f.phases import (
    Phase,
    PhasedModel,
    PhaseSchedule,
    PhaseScheduler,
    transplant,
)
from keras_c2f.resolution import FrameShift, Patch, Pool, Resolution
from keras_c2f.version import __version__

__all__ = [
    "AST",
    "HTSAT",
    "AudioClassifier",
    "FrameShift",
    "Frontend",
    "LogMel",
    "MaskedPatchLoss",
    "MaskedPatchModel",
    "Patch",
    "Phase",
    "PhaseSchedule",
    "PhaseScheduler",
    "PhasedModel",
    "Pool",
    "Resolution",
    "__version__",
    "masked_patch_metrics",
    "transplant",
]
