"""Coarse-to-fine training of audio spectrogram transformers in Keras 3."""

from keras_c2f.compression import FrameShift, Patch, Pool, Resolution
from keras_c2f.version import __version__

__all__ = ["FrameShift", "Patch", "Pool", "Resolution", "__version__"]
