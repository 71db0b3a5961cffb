"""Coarse-to-fine training of audio spectrogram transformers in Keras 3."""

from keras_c2f.utils.lazy_names import lazy_names
from keras_c2f.utils.registration import register_with_keras
from keras_c2f.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_names(__name__)

register_with_keras()
