import itertools

import numpy as np
import pytest

from keras_c2f.resolution import (
    FrameShift,
    Patch,
    Pool,
    Resolution,
    TokenPool,
    patch_grid,
)

pytestmark = pytest.mark.once

FACTORS = (1, 2, 3, 4)
ALL = [
    Resolution(*factors, pool_type, token)
    for *factors, pool_type, token in itertools.product(
        FACTORS, FACTORS, FACTORS, ("mean", "max"), (1, 3)
    )
]


def compress_by_loops(log_mel, resolution):
    """What the words say: every shift-th frame, then windows of `pool`."""
    reduce = {"mean": sum_over_length, "max": max}[resolution.pool_type]
    clips = []
    for clip in log_mel:
        # a longer frame shift yields whole steps only
        kept = len(clip) // resolution.shift
        frames = [clip[i * resolution.shift] for i in range(kept)]
        pooled = []
        for start in range(0, kept - resolution.pool + 1, resolution.pool):
            window = frames[start : start + resolution.pool]
            pooled.append(
                [reduce(column) for column in zip(*window, strict=True)]
            )
        clips.append(pooled)
    return np.array(clips)


def sum_over_length(values):
    return sum(values) / len(values)


@pytest.mark.parametrize("frames", [16, 23, 24, 25])
def test_compression_equals_loops(frames):
    log_mel = np.random.default_rng(frames).normal(size=(2, frames, 3))
    for resolution in ALL:
        out = resolution.compress(log_mel, np)
        expected = compress_by_loops(log_mel, resolution)
        assert out.shape == expected.shape, str(resolution)
        assert out.shape[1] == resolution.num_frames(frames)
        np.testing.assert_allclose(out, expected, rtol=1e-12)


def test_full_resolution_returns_its_input():
    log_mel = np.ones((1, 5, 2))
    assert Resolution().compress(log_mel, np) is log_mel
    assert Patch(4).compress(log_mel, np) is log_mel
    assert TokenPool(4).compress(log_mel, np) is log_mel


def test_text_form_is_read_back():
    for resolution in ALL:
        assert Resolution.parse(str(resolution)) == resolution
        assert Resolution.parse(resolution) is resolution
    assert len({str(resolution) for resolution in ALL}) == len(set(ALL))


@pytest.mark.parametrize(
    "resolution, text, factor",
    [
        (Resolution(), "full", 1),
        (FrameShift(2), "shift:2", 2),
        (Pool(4), "pool:4", 4),
        (Pool(4, "max"), "pool:4:max", 4),
        (Patch(3), "patch:3", 3),
        (FrameShift(2) + Pool(12, "max"), "shift:2+pool:12:max", 24),
        (
            Pool(2, "max") + FrameShift(2) + Patch(2),
            "shift:2+pool:2:max+patch:2",
            8,
        ),
        (TokenPool(4), "token:4", 4),
        (TokenPool(2) + Pool(2, "max"), "pool:2:max+token:2", 4),
        (TokenPool(1), "full", 1),
        (Pool(1, "max"), "full", 1),
        (FrameShift(1) + Pool(2), "pool:2", 2),
    ],
)
def test_text_and_factor(resolution, text, factor):
    assert str(resolution) == text
    assert resolution.factor == factor


def test_order_and_spaces_do_not_matter():
    expected = FrameShift(2) + Pool(3, "max")
    assert Resolution.parse("pool:3:max + shift:2") == expected
    assert Pool(3, "max") + FrameShift(2) == expected
    assert Pool(1, "max") == Resolution()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pool",
        "pool:",
        "pool:x",
        "pool:-2",
        "pool:2.5",
        "pool:2:median",
        "shift:2:max",
        "token:2:max",
        "Pool:2",
        "full+pool:2",
        "pool:2+",
        None,
        4,
    ],
)
def test_unreadable_text_is_refused(text):
    with pytest.raises(ValueError, match="A resolution reads `full`"):
        Resolution.parse(text)


@pytest.mark.parametrize("name", ["shift", "pool", "patch", "token"])
@pytest.mark.parametrize("factor", [0, -1, 2.0, "2", None])
def test_impossible_factors_are_refused(name, factor):
    with pytest.raises(ValueError, match=f"`{name}` is a compression factor"):
        Resolution(**{name: factor})


def test_factor_zero_in_text_is_refused():
    with pytest.raises(ValueError, match="Received: pool=0"):
        Resolution.parse("pool:0")


def test_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="Received: pool_type='median'"):
        Pool(2, "median")


def test_a_method_given_twice_is_refused():
    with pytest.raises(ValueError, match="twice: 2 and 3. Write pool:6"):
        Pool(2) + Pool(3)
    with pytest.raises(ValueError, match="Write shift:4 for both"):
        Resolution.parse("shift:2+shift:2")


def test_no_frame_left_is_refused():
    assert (FrameShift(2) + Pool(2)).num_frames(4) == 1
    with pytest.raises(ValueError, match=r"`shift:2\+pool:2` leaves no frame"):
        (FrameShift(2) + Pool(2)).num_frames(3)
    assert Patch(8).num_frames(3) == 3  # patches are checked by patch_grid
    assert TokenPool(8).num_frames(3) == 3  # and tokens by their layer


def test_patch_grid_equals_counting():
    for frames, size, stride in itertools.product(
        range(1, 30), (1, 4, 5), (1, 3, 4, 7)
    ):
        starts = range(0, frames - size + 1, stride)
        if starts:
            grid = patch_grid(frames, 9, (size, 9), (stride, 2))
            assert grid == (len(starts), 1)
        else:
            with pytest.raises(ValueError, match="smaller than one patch"):
                patch_grid(frames, 9, (size, 9), (stride, 2))


def test_token_counts_of_the_paper():
    """AST on 10 s of AudioSet, T = 1024: 1212, 850, 657, 512 patches."""
    for stride, tokens in ((10, 1212), (12, 850), (14, 657), (16, 512)):
        time, freq = patch_grid(1024, 128, (16, 16), (stride, stride))
        assert time * freq == tokens
