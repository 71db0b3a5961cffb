"""Optional packages, imported where they are first used.

`import keras_c2f` loads no TensorFlow, and one that is missing is reported
with the line that installs it.
"""

import importlib


class LazyModule:
    """Stands for a module until one of its names is used.

    Args:
        name: str, the module.
        extra: str, the extra of `keras_c2f` that installs it.

    Raises:
        ImportError: at first use, if the module cannot be imported.

    Example:
        >>> LazyModule("math", "sound").sqrt(4)
        2.0
        >>> LazyModule("no_such_module", "sound").sqrt
        Traceback (most recent call last):
        ImportError: This needs no_such_module: pip install keras_c2f[sound]
    """

    def __init__(self, name, extra):
        self._name = name
        self._extra = extra

    def __getattr__(self, attribute):
        if attribute.startswith("_"):  # doctest and inspect look for these
            raise AttributeError(attribute)
        try:
            module = importlib.import_module(self._name)
        except ImportError as error:
            raise ImportError(
                f"This needs {self._name}: pip install keras_c2f[{self._extra}]"
            ) from error
        return getattr(module, attribute)


tf = LazyModule("tensorflow", "tensorflow")
tfio = LazyModule("tensorflow_io", "tensorflow-io")
soundfile = LazyModule("soundfile", "sound")
soxr = LazyModule("soxr", "sound")
tqdm = LazyModule("tqdm", "sound")
scipy_stats = LazyModule("scipy.stats", "study")
