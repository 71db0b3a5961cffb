"""Packages whose names are imported when the first of them is used.

A framework takes seconds to import, and the command line has its options, its
help and most of its errors without one. So a package that is also a way to
light modules, such as `keras_c2f.phases` to `keras_c2f.phases.schedule`, does
not import the others by itself: PEP 562. What it exports is listed in its
`__init__.pyi`, which editors and type checkers read as well.
"""

import ast
import importlib
import pkgutil
import sys
import types

from keras_c2f.utils.registration import register_with_keras


def lazy_names(package):
    """Lets a package import what it exports at the first use of any of it.

    All at once, as an ordinary package does: whoever has one name has
    registered every class that Keras may find in a saved model. Modules inside
    the package are imported one by one.

    Args:
        package: str, its `__name__`. Its `__init__.pyi` has a line
            `from module import name as name` for each exported name.

    Returns:
        `__getattr__`, `__dir__` and `__all__` of the package.
    """
    module = sys.modules[package]
    homes = _homes(package)
    names = sorted(homes)
    module.__class__ = _Package
    module.__dict__["_exported"] = frozenset(
        name for name, home in homes.items() if home != package
    )

    def get(name):
        if name not in homes:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}"
            )
        if homes[name] == package:
            return importlib.import_module(f"{package}.{name}")
        for each, home in homes.items():
            if home != package:
                source = importlib.import_module(home)
                module.__dict__[each] = getattr(source, each)
        if "keras" in sys.modules:
            register_with_keras()
        return module.__dict__[name]

    return get, lambda: sorted({*module.__dict__, *names}), names


def _homes(package):
    """dict from each name in `__init__.pyi` to the module it is imported of."""
    stub = ast.parse(pkgutil.get_data(package, "__init__.pyi"))
    return {
        alias.name: statement.module
        for statement in stub.body
        for alias in statement.names
    }


class _Package(types.ModuleType):
    """Does not let a module inside take the place of an exported name.

    `import` sets `package.transplant` to the module `transplant.py`, in which
    the function is that the package exports under this name.
    """

    def __setattr__(self, name, value):
        is_module = isinstance(value, types.ModuleType)
        if not (is_module and name in self._exported):
            super().__setattr__(name, value)
