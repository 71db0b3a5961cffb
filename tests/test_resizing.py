import numpy as np
import pytest
import torch

from keras_c2f.layers.resizing import (
    GRID_METHODS,
    cubic_matrix,
    interpolation_matrix,
    kernel_matrix,
    resize_axes,
)

pytestmark = pytest.mark.once

SIZES = [1, 2, 3, 5, 8, 12, 32, 51, 101]
GRIDS = [
    ((12, 101), (12, 50)),
    ((101, 12), (50, 12)),
    ((24, 24), (101, 12)),
    ((25, 8), (101, 12)),
    ((3, 7), (7, 3)),
    ((1, 4), (5, 4)),
    ((6, 5), (1, 1)),
]
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("old", SIZES)
def test_interpolation_equals_torch(old):
    for new in SIZES:
        values = torch.tensor(RNG.normal(size=(2, 4, old)))
        theirs = torch.nn.functional.interpolate(
            values, size=new, mode="linear", align_corners=False
        )
        mine = values.numpy() @ interpolation_matrix(old, new).T
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-12)


@pytest.mark.parametrize("old", SIZES)
def test_cubic_interpolation_equals_torch(old):
    for new in SIZES[1:]:
        values = torch.tensor(RNG.normal(size=(2, 4, old)))
        theirs = torch.nn.functional.interpolate(
            values[:, :, None], (1, new), mode="bicubic", align_corners=True
        )[:, :, 0]
        mine = values.numpy() @ cubic_matrix(old, new).T
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-12)
        if old == new:
            np.testing.assert_array_equal(mine, values.numpy())


@pytest.mark.parametrize(
    "method, options",
    [
        ("bilinear", {"mode": "bilinear", "align_corners": False}),
        ("bicubic", {"mode": "bicubic", "align_corners": False}),
        ("nearest", {"mode": "nearest-exact"}),
    ],
)
@pytest.mark.parametrize("old, new", GRIDS)
def test_grids_equal_torch(old, new, method, options):
    """The resize of a position grid, as PyTorch code of AST does it."""
    grid = RNG.normal(size=(*old, 6))  # in float32 torch is off by 2e-5
    theirs = torch.nn.functional.interpolate(
        torch.tensor(grid).permute(2, 0, 1)[None], size=new, **options
    )[0].permute(1, 2, 0)
    matrix = GRID_METHODS[method]
    np.testing.assert_allclose(
        resize_axes(grid, new, matrix), theirs.numpy(), atol=1e-10
    )
    single = resize_axes(grid.astype("float32"), new, matrix)
    assert single.dtype == "float32"
    np.testing.assert_allclose(single, theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize("method", ["bilinear", "pi"])
def test_same_size_changes_nothing(method):
    for size in SIZES:
        np.testing.assert_allclose(
            kernel_matrix(size, size, method), np.eye(size), atol=1e-12
        )
    kernel = RNG.normal(size=(16, 16, 1, 3)).astype("float32")
    same = resize_axes(
        kernel, (16, 16), lambda old, new: kernel_matrix(old, new, method)
    )
    np.testing.assert_array_equal(same, kernel)


@pytest.mark.parametrize("matrix", GRID_METHODS.values(), ids=GRID_METHODS)
def test_interpolation_to_the_same_size_is_the_exact_identity(matrix):
    for size in SIZES:
        np.testing.assert_array_equal(matrix(size, size), np.eye(size))


def test_a_constant_stays_constant():
    for old in SIZES:
        for new in SIZES:
            rows = interpolation_matrix(old, new).sum(axis=1)
            np.testing.assert_allclose(rows, 1, atol=1e-12)
            assert (interpolation_matrix(old, new) >= 0).all()
    for old, new in GRIDS:
        np.testing.assert_allclose(
            resize_axes(np.full((*old, 2), 3.5), new), 3.5, atol=1e-12
        )


def test_axes_are_resized_one_by_one():
    """A slope in time stays a slope in time, and frequency is untouched."""
    grid = np.arange(8.0)[:, None, None] * np.array([1.0, 2, 3])[:, None]
    out = resize_axes(grid, (16, 3))
    assert out.shape == (16, 3, 1)
    centres = (np.arange(16) + 0.5) / 2 - 0.5  # half-pixel, edges held
    expected = np.clip(centres, 0, 7)[:, None] * np.array([1, 2, 3])
    np.testing.assert_allclose(out[..., 0], expected)


@pytest.mark.parametrize("new", [(32, 16), (16, 24), (48, 20), (17, 16)])
def test_pseudo_inverse_keeps_tokens_when_patches_grow(new):
    """FlexiViT, section 3.3: resized patch . resized kernel = old token."""
    patches = RNG.normal(size=(16, 16, 7))
    kernel = RNG.normal(size=(16, 16, 5))
    token = np.einsum("tfp,tfd->pd", patches, kernel)
    grown = resize_axes(kernel, new, lambda a, b: kernel_matrix(a, b, "pi"))
    resized = resize_axes(patches, new)
    np.testing.assert_allclose(
        np.einsum("tfp,tfd->pd", resized, grown), token, atol=1e-10
    )
    bilinear = resize_axes(kernel, new)  # the other method does not keep them
    other = np.einsum("tfp,tfd->pd", resized, bilinear)
    assert np.abs(other - token).max() > 1


@pytest.mark.parametrize("old, new", [(16, 8), (16, 5), (48, 16), (7, 6)])
def test_pseudo_inverse_is_least_squares_when_patches_shrink(old, new):
    """No kernel keeps all tokens; this one is nearest over white patches."""
    kernel = RNG.normal(size=(old, 5))
    shrink = interpolation_matrix(old, new)  # token: (shrink x) . new kernel
    nearest = np.linalg.lstsq(shrink.T, kernel, rcond=None)[0]
    np.testing.assert_allclose(
        kernel_matrix(old, new, "pi") @ kernel, nearest, atol=1e-10
    )


def test_shrinking_a_random_kernel_loses_two_thirds_of_it():
    """Why coarse to fine with `patch` is not free: it shrinks kernels."""
    kernel = np.random.default_rng(0).normal(size=(16, 1000))
    there = kernel_matrix(16, 8, "pi") @ kernel
    back = kernel_matrix(8, 16, "pi") @ there
    lost = np.linalg.norm(back - kernel) / np.linalg.norm(kernel)
    assert 0.6 < lost < 0.8


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="Received: method='cubic'"):
        kernel_matrix(4, 8, "cubic")
