"""Optional packages and Keras' backend: what is there, what is missing."""

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
# Modules, and the extra of `pyproject.toml` that installs each.
EXTRAS = {
    **{name: name for name in BACKENDS},
    "tensorflow_io": "tensorflow-io",
    **dict.fromkeys(("soundfile", "soxr", "tqdm"), "audio"),
    "safetensors": "convert",
    "huggingface_hub": "hub",
    **dict.fromkeys(("matplotlib", "jinja2"), "report"),
    "espeakng_loader": "demo",
    "scipy": "study",
    "pyarrow": "parquet",
    **dict.fromkeys(
        (
            "ai_edge_litert",
            "ai_edge_quantizer",
            "tf2onnx",
            "onnx",
            "onnxruntime",
        ),
        "export",
    ),
}


def is_there(name):
    """bool, whether a package is installed; it is not imported."""
    if name in sys.modules:
        return sys.modules[name] is not None
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:  # a finder that refuses
        return False


def require(*names):
    """Refuses to go on where packages are missing, all in one sentence.

    Args:
        *names: str, keys of `EXTRAS`.

    Raises:
        ImportError: if some are not installed, with the line that does it.
    """
    missing = [n for n in dict.fromkeys(names) if not is_there(n)]
    if missing:
        *first, last = missing
        words = f"{', '.join(first)} and {last}" if first else last
        verb = "are" if first else "is"
        raise ImportError(
            f"This needs {words}, which {verb} not installed. "
            + install_line(missing)
        )


def load(name):
    """Imports an optional module.

    Args:
        name: str, a key of `EXTRAS`, or a module inside one.

    Raises:
        ImportError: if it is missing or does not load, with the line that
            installs it.
    """
    package = name.partition(".")[0]
    require(package)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{package} is installed, but does not load: {error}. "
            + install_line([package])
        ) from error


def install_line(names):
    """The sentence that says how to install packages of `EXTRAS`."""
    extras = ",".join(dict.fromkeys(EXTRAS[name] for name in names))
    return (
        "In a copy of the repository of keras_c2f: "
        f'pip install -e ".[{extras}]"'
    )


def choose_backend():
    """Lets Keras use a backend that is installed, before it is imported.

    The environment variable `KERAS_BACKEND` decides, or Keras' configuration
    file. Where neither names one that is installed, the first of `BACKENDS`
    that is.

    Returns:
        str, a sentence if another is used than Keras' configuration says;
        else `""`.

    Raises:
        ImportError: if none is installed, or not the one that
            `KERAS_BACKEND` names.
        ValueError: if `KERAS_BACKEND` names none of `BACKENDS`.
    """
    if "keras" in sys.modules:
        return ""
    there = [name for name in BACKENDS if is_there(name)]
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted:
        _check_wanted(wanted, there)
        return ""
    if not there:
        raise ImportError(
            "Keras needs TensorFlow, JAX or PyTorch, and none is installed. "
            + install_line(["tensorflow"])
        )
    configured = _configured()
    if configured in there:
        return ""
    os.environ["KERAS_BACKEND"] = there[0]
    return (
        f"{configured} is not installed, so Keras uses {there[0]}. To choose, "
        f"set KERAS_BACKEND to one of: {', '.join(there)}."
    )


def _check_wanted(wanted, there):
    if wanted not in BACKENDS:
        raise ValueError(
            f"KERAS_BACKEND is one of {', '.join(BACKENDS)}. Received: "
            f"{wanted!r}. Set it anew, or unset it."
        )
    if wanted not in there:
        others = f", or set it to one of: {', '.join(there)}" if there else ""
        raise ImportError(
            f"KERAS_BACKEND is {wanted}, which is not installed. "
            f"{install_line([wanted])}{others}"
        )


def _configured():
    """The backend of Keras' configuration file, or its default."""
    home = os.environ.get("KERAS_HOME")
    if not home:
        writable = os.access(Path.home(), os.W_OK)
        home = (Path.home() if writable else Path("/tmp")) / ".keras"
    try:
        config = json.loads((Path(home) / "keras.json").read_text())
        return config.get("backend", BACKENDS[0])
    except (OSError, ValueError, AttributeError):
        return BACKENDS[0]
