"""Packages whose names are imported when the first of them is used.

A framework takes seconds to import, and the command line has its options, its
help and most of its errors without one. So a package that is also a way to
light modules, such as `keras_c2f.phases` to `keras_c2f.phases.schedule`, does
not import the others by itself: PEP 562.
"""

import importlib
import sys
import types

from keras_c2f.utils.registration import register_with_keras


def lazy_names(package, homes):
    """Lets a package import what it exports at the first use of any of it.

    All at once, as an ordinary package does: whoever has one name has
    registered every class that Keras may find in a saved model.

    Args:
        package: str, its `__name__`.
        homes: dict from modules, such as `".transplant"`, to lists of the
            names that the package exports of them.

    Returns:
        `__getattr__`, `__dir__` and `__all__` of the package.
    """
    module = sys.modules[package]
    names = sorted(name for exported in homes.values() for name in exported)
    module.__class__ = _Package
    module.__dict__["_exported"] = frozenset(names)

    def get(name):
        if name not in names:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}"
            )
        for home, exported in homes.items():
            source = importlib.import_module(home, package)
            for each in exported:
                module.__dict__[each] = getattr(source, each)
        if "keras" in sys.modules:
            register_with_keras()
        return module.__dict__[name]

    return get, lambda: sorted({*module.__dict__, *names}), names


class _Package(types.ModuleType):
    """Does not let a module inside take the place of an exported name.

    `import` sets `package.transplant` to the module `transplant.py`, in which
    the function is that the package exports under this name.
    """

    def __setattr__(self, name, value):
        is_module = isinstance(value, types.ModuleType)
        if not (is_module and name in self._exported):
            super().__setattr__(name, value)
