"""Rules of the house: who may import what, and what every name owes."""

import ast
import builtins
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import pytest

import keras_c2f
from keras_c2f import cost, resolution
from keras_c2f.evaluation import metrics
from keras_c2f.layers import mel_bank, resizing

ROOT = Path(keras_c2f.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
BACKEND = keras.backend.backend()

TYPES_ALONE = "TYPE_CHECKING"

# What a room may import of the others.
ROOMS = {
    "resolution": set(),
    "utils": set(),
    "cost": set(),
    "layers": {"resolution", "utils"},
    "audio": {"utils"},
    "models": {"layers", "resolution", "utils"},
    "phases": {"cost", "resolution", "utils"},
    "data": {"audio", "layers", "resolution", "utils"},
    "datasets": {"audio", "data", "utils"},
    "evaluation": {"data", "utils"},
    "probe": {"evaluation", "resolution"},
    "convert": {"layers", "models", "phases", "resolution", "utils"},
    "training": {
        "audio",
        "convert",
        "cost",
        "data",
        "datasets",
        "evaluation",
        "layers",
        "models",
        "phases",
        "probe",
        "resolution",
        "utils",
    },
    "inference": {
        "audio",
        "cost",
        "evaluation",
        "models",
        "phases",
        "resolution",
        "training",
        "utils",
    },
    "export": {
        "audio",
        "data",
        "evaluation",
        "inference",
        "models",
        "phases",
        "resolution",
        "training",
        "utils",
    },
    "report": {
        "cost",
        "data",
        "evaluation",
        "export",
        "inference",
        "resolution",
        "training",
        "utils",
    },
    "callbacks": {"phases"},
}
# Beside `cli` and `training`, with the reason.
MAY_IMPORT_CONVERT = {
    "models/phase_network.py": "inside `from_preset` and what writes one",
}
# Packages that a room may import, beside the standard library; others are
# imported through `utils/optional.py` where they are first used.
NUMPY = {"numpy"}
KERAS = {"keras", "numpy"}
BACKENDS = {"tensorflow", "jax", "torch"}
PACKAGES = {
    "resolution": set(),
    "callbacks": set(),
    "utils": {"keras", *BACKENDS},  # of `environment.py`, for versions
    "audio": NUMPY,
    "datasets": NUMPY,
    "probe": NUMPY,
    "report": NUMPY,
    "layers": {"keras", "numpy", "tensorflow", "torch"},  # of `fused.py`
    "phases": {"h5py", *KERAS, *BACKENDS},
    "training": {*KERAS, "jax", "tensorflow"},  # of `devices.py`
}
# Beside `data`, with the reason.
MAY_IMPORT_TENSORFLOW = {
    "utils/environment.py": "asks the TensorFlow backend for its cards",
    "training/devices.py": "asks for its devices",
    "phases/tensorflow_graph.py": "inside functions of the TensorFlow backend",
    "layers/fused.py": "inside functions of the TensorFlow backend",
}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def is_for_types_alone(node):
    """Whether it is `if TYPE_CHECKING:`, whose imports never run."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == TYPES_ALONE


def imports(path):
    """Every module that a file imports, wherever in the file it does."""
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not is_for_types_alone(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def annotations_of(node):
    """Annotations of an argument, a function or a variable, as text."""
    for field in ("annotation", "returns"):
        found = getattr(node, field, None)
        if found is not None:
            yield ast.unparse(found)


def within(module, allowed):
    return any(module == a or module.startswith(f"{a}.") for a in allowed)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_what_is_below_them(room):
    files = [path for path in FILES if room_of(path) == room]
    assert files
    rooms = {f"keras_c2f.{name}" for name in (room, *ROOMS[room])}
    allowed = rooms | sys.stdlib_module_names | PACKAGES.get(room, KERAS)
    for path in files:
        for module in imports(path):
            # `from keras_c2f.x import y` also yields `keras_c2f.x.y`
            is_ok = within(module, allowed) or module == "keras_c2f"
            if name_of(path) in MAY_IMPORT_CONVERT:
                is_ok |= within(module, {"keras_c2f.convert"})
            assert is_ok, f"{name_of(path)}: {module}"


def test_nobody_imports_the_command_line():
    for path in FILES:
        if room_of(path) not in ("cli", "__main__"):
            assert not any(
                within(module, {"keras_c2f.cli"}) for module in imports(path)
            ), name_of(path)


def test_only_what_starts_from_checkpoints_imports_convert():
    for path in FILES:
        if (
            room_of(path) not in ("cli", "training", "convert")
            and name_of(path) not in MAY_IMPORT_CONVERT
        ):
            assert not any(
                within(module, {"keras_c2f.convert"})
                for module in imports(path)
            ), name_of(path)


def test_only_data_imports_tensorflow():
    for path in FILES:
        if room_of(path) != "data" and name_of(path) not in (
            MAY_IMPORT_TENSORFLOW
        ):
            assert not any(
                within(module, {"tensorflow", "tf"}) for module in imports(path)
            ), name_of(path)


def run(program):
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@pytest.mark.skipif(BACKEND == "tensorflow", reason="needs TensorFlow")
def test_import_loads_no_tensorflow():
    run(
        "import sys, keras_c2f, keras_c2f.data\n"
        "assert 'tensorflow' not in sys.modules"
    )


@pytest.mark.skipif(BACKEND == "tensorflow", reason="needs TensorFlow")
def test_trains_from_arrays_without_tensorflow():
    run(
        """
import sys

sys.modules["tensorflow"] = None  # as if it were not installed

import numpy as np
import keras_c2f as c2f

backbone = c2f.AST(24, 12, (4, 4), width=12, depth=1, num_heads=3)
model = c2f.PhasedModel(
    c2f.AudioClassifier(backbone, 2, input_kind="log_mel")
)
model.compile("adam", "mse")
clips, targets = np.ones((4, 24, 12), "float32"), np.ones((4, 2), "float32")
schedule = c2f.PhaseSchedule([c2f.Phase("pool:2", 1), c2f.Phase("full", 1)])
model.fit(
    clips,
    targets,
    epochs=2,
    validation_data=(clips, targets),
    callbacks=[c2f.PhaseScheduler(schedule)],
    verbose=0,
)
assert model.predict(clips, verbose=0).shape == (4, 2)
assert model.resolution.factor == 1
assert sys.modules["tensorflow"] is None
"""
    )


def packages():
    yield keras_c2f
    for info in pkgutil.walk_packages([str(ROOT)], "keras_c2f."):
        if info.ispkg:
            yield importlib.import_module(info.name)


def public_objects():
    """`(name, object)` of what packages export, and of its own members."""
    exported = {
        name: getattr(package, name)
        for package in packages()
        for name in getattr(package, "__all__", [])
    }
    for module in (
        cost,
        mel_bank,
        metrics,
        resizing,
        resolution,
    ):  # no package, yet public
        exported |= {
            name: value
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
            and not name.startswith("_")
        }
    for name, value in exported.items():
        if inspect.isclass(value) or inspect.isfunction(value):
            yield name, value
        if inspect.isclass(value):
            own = [m for m in vars(value) if not m.startswith("_")]
            for member in own:
                inner = getattr(value, member)
                if callable(inner) or isinstance(inner, property):
                    yield f"{name}.{member}", inner


def is_inside(function):
    """Whether its source is a file of this package."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and Path(code.co_filename).is_relative_to(ROOT)


def public_functions():
    """`(name, function)` of what is public: constructors and getters too."""
    for name, value in public_objects():
        if isinstance(value, property):
            yield name, value.fget
        elif inspect.isclass(value):
            for method in ("__init__", "__call__"):
                yield f"{name}.{method}", getattr(value, method)
        else:
            yield name, value


def test_api_reference_has_every_exported_name():
    page = (ROOT.parent / "docs" / "api.md").read_text()
    listed = set(re.findall(r"^::: (\S+)$", page, re.MULTILINE))
    exported = {
        f"{value.__module__}.{value.__name__}"
        for package in packages()
        for name in getattr(package, "__all__", [])
        for value in [getattr(package, name)]
        if inspect.isclass(value) or inspect.isfunction(value)
    }
    assert len(exported) > 100  # the check sees them
    assert exported <= listed, exported - listed


def without_types(function):
    """Parameters, and `return`, that have no annotation."""
    signature = inspect.signature(function)
    return [
        name
        for name, parameter in signature.parameters.items()
        if parameter.annotation is parameter.empty
        and name not in ("self", "cls")
    ] + ["return"] * (
        signature.return_annotation is signature.empty
        and function.__name__ != "__init__"
    )


def test_every_public_name_is_annotated():
    missing = {
        name: without_types(function)
        for name, function in public_functions()
        if is_inside(function)
    }
    assert len(missing) > 250  # the check sees them
    assert {name: found for name, found in missing.items() if found} == {}


def test_annotations_name_what_exists():
    """They are text at run time, so nothing else would find a typing error."""
    for path in FILES:
        tree = ast.parse(path.read_text())
        blocks = [node for node in tree.body if is_for_types_alone(node)]
        names = {
            **vars(builtins),
            **vars(importlib.import_module(module_of(path))),
        }
        for block in blocks:
            exec(compile(ast.Module(block.body, []), path, "exec"), names)
        for node in ast.walk(tree):
            for text in annotations_of(node):
                eval(text, names)


def test_types_are_shipped():
    """`py.typed`, and the lists of exported names that editors read."""
    settings = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["keras_c2f"]
    assert {"py.typed", "**/*.pyi"} <= set(patterns)
    assert (ROOT / "py.typed").is_file()


def of_keras(name):
    """Whether a method such as `Layer.build` is described by Keras."""
    member = name.split(".")[-1]
    bases = (keras.Model, keras.callbacks.Callback)
    return any(hasattr(base, member) for base in bases)


def test_every_public_name_is_described():
    undocumented = [
        name
        for name, value in public_objects()
        # `cost.count_macs` describes the method that layers have
        if not inspect.getdoc(value)
        and not of_keras(name)
        and not name.endswith(".count_macs")
    ]
    assert undocumented == []


def test_exported_names_exist():
    for package in packages():
        names = getattr(package, "__all__", [])
        assert len(names) == len(set(names))
        for name in names:
            assert hasattr(package, name), f"{package.__name__}.{name}"


def test_no_file_is_named_after_a_standard_module():
    """`ast.py` breaks `import numpy` for scripts started beside it."""
    for path in FILES:
        if not path.stem.startswith("__"):
            assert path.stem not in sys.stdlib_module_names, name_of(path)


PRIVATE = re.compile(r"(?<!\bself)(?<!\bcls)\._[a-z]\w*")


def test_private_state_of_keras_is_touched_in_one_file():
    for path in FILES:
        if name_of(path) == "phases/keras_private.py":
            assert PRIVATE.search(path.read_text())  # the check sees them
            continue
        found = PRIVATE.findall(path.read_text())
        assert not found, f"{name_of(path)}: {found}"
