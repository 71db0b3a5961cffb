"""Classes of this package are registered with Keras whenever that is imported.

`keras.models.load_model` finds the classes of a saved model by the names under
which they were registered. `import keras_c2f` alone imports no framework, so it
registers them once `keras` is there: at once, or after its import.
"""

import importlib
import importlib.util
import sys

MODULES = (
    "keras_c2f.frontend",
    "keras_c2f.models",
    "keras_c2f.phases",
)


def register_with_keras():
    """Imports what registers classes, now or right after Keras."""
    if "keras" in sys.modules:
        _import_all()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _import_all():
    for name in MODULES:
        module = importlib.import_module(name)
        for each in getattr(module, "__all__", ()):
            getattr(module, each)  # may be imported at first use


class _AfterKeras:
    """A finder that waits for `keras`: PEP 451."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("keras")
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                _import_all()

            spec.loader.exec_module = exec_module
        return spec
