"""Spectrogram transformers, their classifier, and presets as data."""

from keras_c2f.models.ast_model import AST
from keras_c2f.models.backbones import (
    backbone_from_preset,
    preset_frontend,
    preset_patch,
)
from keras_c2f.models.classifier import AudioClassifier
from keras_c2f.models.hts_at import HTSAT
from keras_c2f.models.kwt_model import KWT

__all__ = [
    "AST",
    "HTSAT",
    "KWT",
    "AudioClassifier",
    "backbone_from_preset",
    "preset_frontend",
    "preset_patch",
]
