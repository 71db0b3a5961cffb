"""Checkpoints of other projects as Keras models."""

from keras_c2f.convert.conversion import load_checkpoint
from keras_c2f.convert.preset import from_preset
from keras_c2f.convert.pretrained import CARD, Pretrained, load_folder
from keras_c2f.convert.published import PUBLISHED
from keras_c2f.convert.sources import SOURCES

__all__ = [
    "CARD",
    "PUBLISHED",
    "SOURCES",
    "Pretrained",
    "from_preset",
    "load_checkpoint",
    "load_folder",
]
