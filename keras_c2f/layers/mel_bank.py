"""Mel filter banks of Kaldi, librosa and torchaudio, as NumPy matrices.

They differ in the mel scale, in what is a triangle on which axis, and in how
high it is. Both read off triangles at the frequencies of the bins, so that
narrow ones may miss every bin: with AST's settings mel bin 3 is always empty.
"""

import numpy as np


def kaldi_mel_bank(
    hz: np.ndarray, num_mel_bins: int, low_hz: float, high_hz: float
) -> np.ndarray:
    """Triangles on the mel axis, 1 high, neither normalised nor rounded.

    Args:
        hz: `(bins,)`, frequencies of a spectrum, the last one Nyquist's.
        num_mel_bins: int.
        low_hz, high_hz: float, edges of the bank.

    Returns:
        float64 `(bins, num_mel_bins)`. The Nyquist row is zero, as Kaldi
        leaves that bin out.
    """
    edges = _htk_edges(num_mel_bins, low_hz, high_hz)
    matrix = _triangles(_hz_to_htk(hz), edges)
    matrix[-1] = 0.0
    return matrix


def htk_mel_bank(
    hz: np.ndarray, num_mel_bins: int, low_hz: float, high_hz: float
) -> np.ndarray:
    """Triangles on the frequency axis, 1 high: torchaudio's default.

    Args:
        hz, num_mel_bins, low_hz, high_hz: as for `kaldi_mel_bank`.

    Returns:
        float64 `(bins, num_mel_bins)`.
    """
    edges = _htk_edges(num_mel_bins, low_hz, high_hz)
    return _triangles(hz, 700.0 * np.expm1(edges / 1127.0))


def slaney_mel_bank(
    hz: np.ndarray, num_mel_bins: int, low_hz: float, high_hz: float
) -> np.ndarray:
    """Triangles on the frequency axis, of equal area: librosa's default.

    The scale is linear up to 1000 Hz = 15 mel, then logarithmic; 27 mel are a
    factor of 6.4. Each triangle has the area 1 Hz.

    Args:
        hz, num_mel_bins, low_hz, high_hz: as for `kaldi_mel_bank`.

    Returns:
        float64 `(bins, num_mel_bins)`.

    Reference:
        Slaney, "Auditory Toolbox", 1998.
    """
    per_mel = np.log(6.4) / 27

    def hz_to_mel(hz):
        if hz < 1000:
            return hz * 3 / 200
        return 15 + np.log(hz / 1000) / per_mel

    mel = np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), num_mel_bins + 2)
    linear, logarithmic = mel * 200 / 3, 1000 * np.exp((mel - 15) * per_mel)
    edges = np.where(mel < 15, linear, logarithmic)
    return _triangles(hz, edges) * 2 / (edges[2:] - edges[:-2])


def _hz_to_htk(hz):
    """HTK's mel scale, by the natural logarithm."""
    return 1127.0 * np.log1p(np.asarray(hz) / 700.0)


def _htk_edges(num_mel_bins, low_hz, high_hz):
    """Edges of `num_mel_bins` triangles, equally far apart in mel."""
    return np.linspace(
        _hz_to_htk(low_hz), _hz_to_htk(high_hz), num_mel_bins + 2
    )


def _triangles(positions, edges):
    """`(bins, mel)`: between `edges[i]` and `edges[i + 2]`, 1 in between."""
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (positions[:, None] - left) / (centre - left)
    falling = (right - positions[:, None]) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling))
