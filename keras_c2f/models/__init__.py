"""Spectrogram transformers, what is put on them, and presets as data."""

from keras_c2f.models.ast_model import AST
from keras_c2f.models.backbones import (
    backbone_from_preset,
    preset_frontend,
    preset_patch,
)
from keras_c2f.models.classifier import AudioClassifier
from keras_c2f.models.hts_at import HTSAT
from keras_c2f.models.kwt_model import KWT
from keras_c2f.models.masked_patch_loss import (
    MaskedPatchLoss,
    masked_patch_metrics,
)
from keras_c2f.models.masked_patches import MaskedPatchModel
from keras_c2f.models.sound_classifier import sound_classifier

__all__ = [
    "AST",
    "HTSAT",
    "KWT",
    "AudioClassifier",
    "MaskedPatchLoss",
    "MaskedPatchModel",
    "backbone_from_preset",
    "masked_patch_metrics",
    "preset_frontend",
    "preset_patch",
    "sound_classifier",
]
