"""What a classifier can be exported as, as data."""

import dataclasses
import importlib.util

VARIANTS = ("float32", "float16", "dynamic", "int8")


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        ending: str, of its name; of a SavedModel the folder of its version,
            which TensorFlow Serving looks for.
        packages: tuple of str, modules that write and run it.
        variants: tuple of str, numbers that its weights can be kept in.
        use_fft: bool or `None`, how its front end takes spectra: see
            `LogMel`. LiteRT and ONNX Runtime spread a matrix product over
            cores, and a Fourier transform not, if they have one.
        batch_size: int, windows at once by default, 0 for any number. LiteRT
            has accelerators that want to know it.
    """

    ending: str
    packages: tuple = ()
    variants: tuple = VARIANTS[:1]
    use_fft: bool | None = None
    batch_size: int = 0


FORMATS = {
    "keras": Format(".keras"),
    "savedmodel": Format("/1", ("tensorflow",)),
    "litert": Format(
        ".tflite",
        ("tensorflow", "ai_edge_litert", "ai_edge_quantizer"),
        VARIANTS,
        use_fft=False,
        batch_size=1,
    ),
    "onnx": Format(
        ".onnx",
        ("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
        VARIANTS,
        use_fft=False,
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
    for package in format.packages:
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"{name} needs {package}: pip install keras_c2f[export]"
            )
    return format, list(variants or format.variants)
