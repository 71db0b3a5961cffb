"""From sound files to batches: decoding, pipelines, augmentation, readers."""

from keras_c2f.data.augment import Augment
from keras_c2f.data.clips import Clips
from keras_c2f.data.decode import SoundError, load_sound
from keras_c2f.data.pipeline import AudioPipeline

__all__ = ["Augment", "AudioPipeline", "Clips", "SoundError", "load_sound"]
