"""What a classifier can be exported as, as data."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from keras_c2f.utils.packages import require

if TYPE_CHECKING:
    from keras_c2f.layers.log_mel import Frontend

VARIANTS = ("float32", "float16", "dynamic", "int8")


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        ending: str, of its name; of a SavedModel the folder of its version,
            which TensorFlow Serving looks for.
        packages: tuple of str, modules that write and run it.
        variants: tuple of str, numbers that its weights can be kept in.
        largest_matrix: float, entries of a matrix that takes the front end's
            spectra as fast as a Fourier transform; `None`, as the backend
            does. LiteRT spreads the matrix over cores, the transform not;
            ONNX has no transform of real numbers.
        batch_size: int, windows at once by default, 0 for any number. LiteRT
            has accelerators that want to know it.
    """

    ending: str
    packages: tuple[str, ...] = ()
    variants: tuple[str, ...] = VARIANTS[:1]
    largest_matrix: float | None = None
    batch_size: int = 0

    def use_fft(self, frontend: Frontend) -> bool | None:
        """bool or `None`, how a `Frontend` takes spectra: see `LogMel`."""
        if self.largest_matrix is None:
            return None
        return frontend.folded_matrix().size > self.largest_matrix


FORMATS = {
    "keras": Format(".keras"),
    "savedmodel": Format("/1", ("tensorflow",)),
    "litert": Format(
        ".tflite",
        ("tensorflow", "ai_edge_litert", "ai_edge_quantizer"),
        VARIANTS,
        largest_matrix=2**19,  # AST's has 2e5, HTS-AT's 1e6
        batch_size=1,
    ),
    "onnx": Format(
        ".onnx",
        ("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
        VARIANTS,
        largest_matrix=math.inf,
    ),
}


def choose_format(name, variants=None):
    """The `Format` of that name, and the list of its variants that are wanted.

    Args:
        name: str, a key of `FORMATS`.
        variants: str, collection of str, or `None` for all.

    Raises:
        ImportError: if a package is missing, with the install line.
        ValueError: if there is no such format, or it has not those variants.

    Example:
        >>> choose_format("savedmodel", "int8")
        Traceback (most recent call last):
        ValueError: savedmodel is written in float32. Received:
        variant='int8'. For others choose litert or onnx.
    """
    if name not in FORMATS:
        raise ValueError(
            f"`format` is one of {', '.join(FORMATS)}. Received: {name!r}."
        )
    format = FORMATS[name]
    if isinstance(variants, str):
        variants = [variants]
    for variant in variants or ():
        if variant in format.variants:
            continue
        others = [n for n, f in FORMATS.items() if variant in f.variants]
        hint = f"Variants are {', '.join(VARIANTS)}."
        if others:
            hint = f"For others choose {' or '.join(others)}."
        raise ValueError(
            f"{name} is written in {', '.join(format.variants)}. "
            f"Received: {variant=}. {hint}"
        )
    require(*format.packages)
    return format, list(variants or format.variants)
