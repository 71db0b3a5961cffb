"""Optional packages, imported where they are first used.

`import keras_c2f` loads no TensorFlow, and one that is missing is reported
with the line that installs it.
"""

from keras_c2f.utils import packages


class LazyModule:
    """Stands for a module until one of its names is used.

    Args:
        name: str, the module: a key of `packages.EXTRAS`, or inside one.

    Raises:
        ImportError: at first use, if the module cannot be imported; see
            `packages.load`.
    """

    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        if attribute.startswith("_"):  # doctest and inspect look for these
            raise AttributeError(attribute)
        return getattr(packages.load(self._name), attribute)


tf = LazyModule("tensorflow")
tfio = LazyModule("tensorflow_io")
soundfile = LazyModule("soundfile")
soxr = LazyModule("soxr")
tqdm = LazyModule("tqdm")
scipy_stats = LazyModule("scipy.stats")
