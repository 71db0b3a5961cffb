"""Resizing of position grids and patch kernels, as NumPy matrices.

Done once per phase boundary, outside the graph, or in an elastic phase in each
step with the same matrices: `ops.image.resize` differs between backends
(bicubic on PyTorch) and cannot resize to an unknown length on TensorFlow.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from keras import ops

KERNEL_METHODS = ("pi", "bilinear")


def interpolation_matrix(old: int, new: int) -> np.ndarray:
    """Linear interpolation from `old` to `new` points, as a matrix.

    Half-pixel centres, no antialiasing, edges held: what PyTorch calls
    `interpolate(mode="bilinear", align_corners=False)`.

    Args:
        old, new: int, number of points before and after.

    Returns:
        float64 `(new, old)`; rows sum to 1. `old == new` is the identity.
    """
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    centres = np.clip(centres, 0, old - 1)
    left = np.minimum(centres.astype(int), max(old - 2, 0))
    right = np.minimum(left + 1, old - 1)
    weight = centres - left
    matrix = np.zeros((new, old))
    np.add.at(matrix, (np.arange(new), left), 1 - weight)
    np.add.at(matrix, (np.arange(new), right), weight)
    return matrix


def nearest_matrix(old: int, new: int) -> np.ndarray:
    """The nearest of `old` points for each of `new` points, as a matrix.

    Half-pixel centres; of two points as near the later one: what PyTorch
    calls `interpolate(mode="nearest-exact")`.

    Args:
        old, new: int, number of points before and after.

    Returns:
        float64 `(new, old)`, a 1 in each row. `old == new` is the identity.
    """
    positions = (2 * np.arange(new) + 1) * old // (2 * new)
    return np.eye(old)[positions]


def cubic_matrix(old: int, new: int, align_corners: bool = True) -> np.ndarray:
    """Cubic interpolation from `old` to `new` points, as a matrix.

    Edges are held, no antialiasing: what PyTorch calls
    `interpolate(mode="bicubic", align_corners=align_corners)` along one axis.

    Args:
        old, new: int, number of points before and after; `new` at least 2
            with `align_corners`.
        align_corners: bool. First and last points stay where they are; or
            else the outer edges of their pixels do (half-pixel centres).

    Returns:
        float64 `(new, old)`; rows sum to 1. `old == new` is the identity.

    Reference:
        Keys, "Cubic convolution interpolation", 1981, equation 4, with
        a = -3/4 rather than his -1/2.
    """
    a = -0.75
    if align_corners:
        positions = np.arange(new) * (old - 1) / (new - 1)
    else:
        positions = (np.arange(new) + 0.5) * old / new - 0.5
    left = np.floor(positions).astype(int)
    matrix = np.zeros((new, old))
    for offset in (-1, 0, 1, 2):
        x = np.abs(positions - left - offset)
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        far = a * (x**3 - 5 * x**2 + 8 * x - 4)
        column = np.clip(left + offset, 0, old - 1)
        np.add.at(matrix, (np.arange(new), column), np.where(x <= 1, near, far))
    return matrix


GRID_METHODS = {
    "bilinear": interpolation_matrix,
    "bicubic": partial(cubic_matrix, align_corners=False),
    "nearest": nearest_matrix,
}


def kernel_matrix(old: int, new: int, method: str) -> np.ndarray:
    """One axis of a patch kernel from `old` to `new` points, as a matrix.

    Args:
        old, new: int, patch length before and after.
        method: `"pi"` (pseudo-inverse, FlexiViT section 3.3: a patch resized
            from `old` to `new` points keeps its token; exact when `new >=
            old`, a least-squares fit when smaller) or `"bilinear"` (the
            kernel is interpolated like an image; tokens change scale).

    Returns:
        float64 `(new, old)`.

    Raises:
        ValueError: if `method` is unknown.
    """
    if method == "bilinear":
        return interpolation_matrix(old, new)
    if method == "pi":
        return np.linalg.pinv(interpolation_matrix(old, new).T)
    raise ValueError(
        f"`method` is one of {KERNEL_METHODS}. Received: method={method!r}."
    )


def resize_axes(
    array: np.ndarray,
    new_size: tuple[int, int],
    matrix: Callable[[int, int], np.ndarray] = interpolation_matrix,
) -> np.ndarray:
    """Resizes the first two axes `(time, freq)` of an array.

    Args:
        array: `(time, freq, ...)`, or a tensor in a graph.
        new_size: pair `(time, freq)`.
        matrix: function `(old, new)` -> `(new, old)` matrix.

    Returns:
        `(*new_size, ...)` in the dtype of `array`; an array is computed in
        float64, a tensor in its own dtype.
    """
    if tuple(array.shape[:2]) == tuple(new_size):
        return array
    time = matrix(array.shape[0], new_size[0])
    freq = matrix(array.shape[1], new_size[1])
    if not isinstance(array, np.ndarray):
        time, freq = (ops.cast(m, array.dtype) for m in (time, freq))
        resized = ops.einsum("ij,jk...->ik...", time, array)
        return ops.einsum("kl,il...->ik...", freq, resized)
    resized = np.einsum("ij,jk...->ik...", time, array.astype("float64"))
    resized = np.einsum("kl,il...->ik...", freq, resized)
    return resized.astype(array.dtype)


def resize_kernel(
    kernel: np.ndarray,
    new_size: tuple[int, int],
    method: str,
    positive: bool = False,
) -> np.ndarray:
    """Resizes a kernel that is laid upon patches, or the slot of one.

    Args:
        kernel: `(time, freq, ...)`.
        new_size: shape wanted; its first two entries are looked at.
        method: as in `kernel_matrix`.
        positive: bool, keep non-negative values so (second moments): these
            are interpolated whatever the method.

    Returns:
        `(*new_size[:2], ...)` in the dtype of `kernel`.
    """
    if positive:
        method = "bilinear"
    return resize_axes(
        kernel, new_size[:2], lambda old, new: kernel_matrix(old, new, method)
    )
