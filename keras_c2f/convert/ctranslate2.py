"""Weights as CTranslate2 keeps them, in a `model.bin` of its own form."""

import struct

import numpy as np

VERSIONS = range(1, 7)
# bfloat16 is read as whole numbers: NumPy has none
TYPES = ("float32", "int8", "int16", "int32", "float16", "uint16")
BFLOAT16 = 5


def is_ctranslate2(path):
    """bool, whether a file begins as CTranslate2's do, with a version."""
    with open(path, "rb") as file:
        start = file.read(4)
    return len(start) == 4 and int.from_bytes(start, "little") in VERSIONS


def read_ctranslate2(path):
    """Variables of a model, by PyTorch's kind of names.

    Args:
        path: file.

    Returns:
        dict of key -> array: `a/b/gamma` is called `a.b.weight` and
        `a/b/beta` `a.b.bias`. Weights in 8 or 16 bits are multiplied out.

    Raises:
        struct.error, ValueError, IndexError: if the file is cut short.
    """
    with open(path, "rb") as file:
        reader = _Reader(file.read())
    (version,) = reader.numbers("I")
    if version > 1:  # name and revision of what the model is
        reader.text(), reader.numbers("I")
    found = {}
    for _ in range(reader.numbers("I")[0]):
        name = reader.text()
        shape = reader.numbers("I" * reader.numbers("B")[0])
        if version < 4:  # bytes of a number, and how many there are
            size, count = reader.numbers("BI")
            kind = {4: 0, 1: 1, 2: 2}[size]
            size *= count
        else:
            kind, size = reader.numbers("BI")
        found[name] = reader.array(kind, size).reshape(shape)
    return {
        _dotted(name): _multiplied_out(name, array, found)
        for name, array in found.items()
        if not name.endswith("_scale")
    }


class _Reader:
    """Numbers, texts and arrays, one after the other."""

    def __init__(self, data):
        self._data = data
        self._place = 0

    def numbers(self, form):
        values = struct.unpack_from(f"<{form}", self._data, self._place)
        self._place += struct.calcsize(f"<{form}")
        return values

    def text(self):
        (length,) = self.numbers("H")  # with a zero at the end
        return self._next(length)[:-1].decode()

    def array(self, kind, size):
        array = np.frombuffer(self._next(size), TYPES[kind])
        if kind == BFLOAT16:  # the upper half of a float32
            array = (array.astype("uint32") << 16).view("float32")
        return array

    def _next(self, size):
        part = self._data[self._place : self._place + size]
        if len(part) < size:
            raise ValueError(f"{size - len(part)} bytes are missing at its end")
        self._place += size
        return part


def _multiplied_out(name, array, found):
    """A quantized weight as float32: a scale each row, or one for all."""
    scale = found.get(f"{name}_scale")
    if scale is None:
        return array
    scale = np.reshape(scale, (-1, *[1] * (array.ndim - 1)))
    return array.astype("float32") / scale


def _dotted(name):
    path, _, last = name.rpartition("/")
    last = {"gamma": "weight", "beta": "bias"}.get(last, last)
    return f"{path}/{last}".strip("/").replace("/", ".")
