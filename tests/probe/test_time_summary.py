"""Summaries of spectrograms whose numbers are known."""

import numpy as np
import pytest

from keras_c2f.probe.time_summary import (
    BANDS,
    FINE_BANDS,
    PAIRED_BANDS,
    summarise,
)

pytestmark = pytest.mark.once
T, MELS = 96, 64
SECONDS = 0.01
LAGS = 6  # 10 to 320 ms


def parts(features):
    """Named parts of the features of full resolution, by their sizes."""
    sizes = {"level": FINE_BANDS, "spread": FINE_BANDS}
    sizes["together 0"] = PAIRED_BANDS**2
    for lag in 2 ** np.arange(LAGS):
        sizes[f"change {lag}"] = BANDS
        sizes[f"together {lag}"] = PAIRED_BANDS**2
    rest = features.shape[1] - sum(sizes.values())
    sizes["modulation"] = rest
    found = np.split(features, np.cumsum(list(sizes.values()))[:-1], axis=1)
    return dict(zip(sizes, found, strict=True))


def events(*positions):
    """Log-mel of -1 with some of `(frame, first bin, last bin)` at 2."""
    log_mel = np.full((1, T, MELS), -1.0)
    for frame, first, last in positions:
        log_mel[:, frame : frame + 2, first:last] = 2
    return log_mel


def test_a_sine_at_12_5_hz():
    time = np.arange(T) * SECONDS
    wave = 0.5 + 0.8 * np.sin(2 * np.pi * 12.5 * time)  # 12 whole periods
    log_mel = np.tile(wave[None, :, None], (1, 1, MELS))
    found = parts(summarise(log_mel, SECONDS))
    np.testing.assert_allclose(found["level"], 0.5, atol=1e-12)
    floor = 1e-3  # in every logarithm
    spread = 0.8 / 2**0.5
    np.testing.assert_allclose(found["spread"], np.log(spread + floor))
    # 40 ms later it is half a period on: twice as far from where it was
    np.testing.assert_allclose(
        np.exp(found["change 4"]), 2 * spread, rtol=0.03
    )  # not whole periods
    # and 80 ms later where it was
    np.testing.assert_allclose(found["change 8"], np.log(floor), atol=1e-3)
    np.testing.assert_allclose(found["together 8"], 1, rtol=0.05)
    np.testing.assert_allclose(found["together 4"], -1, rtol=0.05)
    # half octaves from 2 Hz (96 frames have none of 1.4 to 2): 12.5 is in
    # the sixth, from 11.3 to 16
    modulation = found["modulation"].reshape(-1, BANDS)
    expected = np.full(len(modulation), np.log(floor))
    expected[5] = np.log(0.8 / 2 + floor)
    np.testing.assert_allclose(
        modulation, np.tile(expected[:, None], BANDS), atol=1e-9
    )


def test_blind_to_place_but_not_to_gap_or_order():
    here = events((40, 0, 16), (44, 40, 64))
    there = events((50, 0, 16), (54, 40, 64))
    wider = events((50, 0, 16), (58, 40, 64))
    swapped = events((54, 0, 16), (50, 40, 64))
    here, there, wider, swapped = (
        summarise(log_mel, SECONDS) for log_mel in (here, there, wider, swapped)
    )
    np.testing.assert_allclose(here, there, atol=1e-9)
    assert np.abs(wider - there).max() > 0.5
    assert np.abs(swapped - there).max() > 0.5
    order = parts(swapped - there)  # told by what comes after what alone
    for name, change in order.items():
        if not name.startswith("together") or name.endswith(" 0"):
            np.testing.assert_allclose(change, 0, atol=1e-9)


def test_pairs_are_as_numpy_correlates_them():
    log_mel = np.random.default_rng(0).normal(size=(2, T, MELS))
    found = parts(summarise(log_mel, SECONDS))
    bands = log_mel.reshape(2, T, PAIRED_BANDS, -1).mean(axis=3)
    for clip in range(2):
        expected = np.corrcoef(bands[clip].T)
        np.testing.assert_allclose(
            found["together 0"][clip].reshape(expected.shape), expected
        )


def test_coarser_frames_show_less_and_it_is_finite():
    log_mel = np.random.default_rng(0).normal(size=(3, T, MELS))
    sizes = []
    for factor in (1, 2, 4, 8, 16, 48, 96):
        found = summarise(log_mel[:, ::factor], SECONDS * factor)
        assert np.isfinite(found).all() and len(found) == 3
        sizes.append(found.shape[1])
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[4]
    few = summarise(log_mel[:, :, :5], SECONDS)  # fewer bins than groups
    assert np.isfinite(few).all()
