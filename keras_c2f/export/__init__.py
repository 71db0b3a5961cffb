"""Trained classifiers for other programs: SavedModel, LiteRT, ONNX, Keras."""

from keras_c2f.export.classifier import at_resolution, export_classifier
from keras_c2f.export.comparison import recommended
from keras_c2f.export.formats import FORMATS, VARIANTS, Format
from keras_c2f.export.run import export_run

__all__ = [
    "FORMATS",
    "VARIANTS",
    "Format",
    "at_resolution",
    "export_classifier",
    "export_run",
    "recommended",
]
