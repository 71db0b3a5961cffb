"""Building blocks of spectrogram transformers, in `keras.ops`.

`fused` alone calls backends.
"""

from keras_c2f.utils.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__)
