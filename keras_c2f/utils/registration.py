"""Classes of this package are registered with Keras whenever that is imported.

`keras.models.load_model` finds the classes of a saved model by the names under
which they were registered. `import keras_c2f` alone imports no framework, so it
registers them once `keras` is there: at once, or after its import.
"""

import importlib
import importlib.util
import sys

MODULES = ("keras_c2f.layers", "keras_c2f.models", "keras_c2f.phases")
_done = []


def register_with_keras():
    """Imports what registers classes, now or right after Keras.

    Not while a module of this package is half imported, since that needs what
    it defines: `lazy_names` calls this again when it has been.
    """
    if "keras" not in sys.modules:
        sys.meta_path.insert(0, _AfterKeras())
    elif not _done and not _half_imported():
        _done.append(True)
        for name in MODULES:
            module = importlib.import_module(name)
            getattr(module, module.__all__[0])  # imports all of them


def _half_imported():
    return any(
        name.startswith("keras_c2f.")
        and getattr(module.__spec__, "_initializing", False)
        for name, module in list(sys.modules.items())
    )


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
                register_with_keras()

            spec.loader.exec_module = exec_module
        return spec
