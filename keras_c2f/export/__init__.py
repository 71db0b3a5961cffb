"""Trained classifiers for other programs: SavedModel, LiteRT, ONNX, Keras."""

from keras_c2f.utils.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        ".classifier": ["at_resolution", "export_classifier"],
        ".comparison": ["recommended"],
        ".formats": ["FORMATS", "VARIANTS", "Format"],
        ".run": ["NotNotedError", "export_run"],
    },
)
