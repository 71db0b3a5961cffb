"""Spectrogram transformers, their classifier, and presets as data."""

from keras_c2f.models.ast_model import AST
from keras_c2f.models.classifier import AudioClassifier
from keras_c2f.models.hts_at import HTSAT

__all__ = ["AST", "HTSAT", "AudioClassifier"]
