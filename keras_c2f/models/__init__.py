"""Spectrogram transformers, their classifier, and presets as data."""

from keras_c2f.models.ast_model import AST
from keras_c2f.models.classifier import AudioClassifier

__all__ = ["AST", "AudioClassifier"]
