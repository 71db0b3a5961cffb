"""Trained classifiers at work: files, folders and streams of sound."""

from keras_c2f.data.readers.sound_files import find_sounds
from keras_c2f.inference.classifier import Classifier, load_classifier
from keras_c2f.inference.stream import Stream, Window

__all__ = ["Classifier", "Stream", "Window", "find_sounds", "load_classifier"]
