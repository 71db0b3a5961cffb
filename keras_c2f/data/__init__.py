"""From sound files to batches: decoding, pipelines, augmentation, readers."""

from keras_c2f.data.clips import Clips

__all__ = ["Clips"]
