"""What a classifier can be exported as, as data."""

import dataclasses

VARIANTS = ("float32", "float16", "dynamic", "int8")


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        ending: str, of its name; of a SavedModel the folder of its version,
            which TensorFlow Serving looks for.
        runtime: str, what opens it.
        variants: tuple of str, numbers that its weights can be kept in.
        use_fft: bool or `None`, how its front end takes spectra: see
            `LogMel`. LiteRT's Fourier transform is as fast as the matrix on
            a large processor, needs a twentieth of the products, and spares
            the file 0.8 MB.
    """

    ending: str
    runtime: str
    variants: tuple
    use_fft: bool | None = None


FORMATS = {
    "keras": Format(".keras", "Keras with keras_c2f", ("float32",)),
    "savedmodel": Format("/1", "TensorFlow", ("float32",)),
    "litert": Format(".tflite", "LiteRT", VARIANTS, use_fft=True),
    "onnx": Format(".onnx", "ONNX Runtime", VARIANTS, use_fft=False),
}


def check_format(name, variants):
    """The `Format` of that name.

    Raises:
        ValueError: if there is none, or it has not all of `variants`.

    Example:
        >>> check_format("savedmodel", ["int8"])
        Traceback (most recent call last):
        ValueError: savedmodel is written in float32. Received:
        variant='int8'. For others choose litert or onnx.
    """
    if name not in FORMATS:
        raise ValueError(
            f"`format` is one of {', '.join(FORMATS)}. Received: {name!r}."
        )
    for variant in variants:
        if variant not in FORMATS[name].variants:
            others = [n for n, f in FORMATS.items() if variant in f.variants]
            hint = (
                f"For others choose {' or '.join(others)}."
                if others
                else f"Variants are {', '.join(VARIANTS)}."
            )
            raise ValueError(
                f"{name} is written in {', '.join(FORMATS[name].variants)}. "
                f"Received: {variant=}. {hint}"
            )
    return FORMATS[name]
