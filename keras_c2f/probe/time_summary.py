"""What a spectrogram says, in numbers that keep fine timing but no position.

For groups of mel bins: level and spread; how much they change from one frame
to another some time later; which groups go together, and which comes first;
and how fast they fluctuate, up to what the frame rate can show. A linear
classifier on these needs no training in the sense of a network, and sees of a
compressed spectrogram what is left of its timing.

Reference: spread and structure in time are those of McDermott and Simoncelli,
"Sound texture perception via statistics of the auditory periphery", Neuron
2011, section "Texture statistics", on log-mel in place of cochlear envelopes.
Lags between bands are ours: without them, low-high and high-low are alike.
"""

import numpy as np

FINE_BANDS = 64  # for level and spread
BANDS = 16  # for what one band does in time
PAIRED_BANDS = 8  # for what two bands do together
LONGEST_LAG = 0.32  # seconds
LOWEST_HZ = 2**0.5  # of the modulation spectrum, in half octaves from here on
FLOOR = 1e-3  # of a deviation; log-mel is of the order of 1


def summarise(log_mel, frame_seconds):
    """Features of clips that keep timing but not position.

    Args:
        log_mel: float `(batch, frames, mel_bins)`.
        frame_seconds: float, from one frame to the next.

    Returns:
        float64 `(batch, num_features)`. The coarser the frames, the fewer:
        lags and modulations below what they can show are not there.

    Example:
        >>> fine = np.zeros((2, 96, 64))
        >>> summarise(fine, 0.01).shape, summarise(fine[:, ::4], 0.04).shape
        ((2, 832), (2, 608))
    """
    log_mel = np.asarray(log_mel, "float64")
    fine = _grouped(log_mel, FINE_BANDS)
    bands = _grouped(log_mel, BANDS)
    bands = bands - bands.mean(axis=1, keepdims=True)
    pairs = _grouped(log_mel, PAIRED_BANDS)
    pairs = pairs - pairs.mean(axis=1, keepdims=True)
    pairs /= np.maximum(pairs.std(axis=1, keepdims=True), FLOOR)

    features = [fine.mean(axis=1), _log(fine.std(axis=1)), _together(pairs, 0)]
    num_frames = log_mel.shape[1]
    lag = 1
    while lag < num_frames and lag * frame_seconds <= LONGEST_LAG:
        features.append(_log((bands[:, lag:] - bands[:, :-lag]).std(axis=1)))
        features.append(_together(pairs, lag))
        lag *= 2
    features.append(_modulation(bands, frame_seconds))
    return np.concatenate(features, axis=1)


def _grouped(log_mel, count):
    """`(batch, frames, mel_bins)` -> means of `count` groups of mel bins."""
    groups = np.array_split(log_mel, min(count, log_mel.shape[2]), axis=2)
    return np.stack([group.mean(axis=2) for group in groups], axis=2)


def _log(deviations):
    return np.log(deviations + FLOOR)


def _together(bands, lag):
    """Correlation of each band with each one `lag` frames later."""
    num_frames = bands.shape[1] - lag
    before, after = bands[:, :num_frames], bands[:, lag:]
    found = before.transpose(0, 2, 1) @ after / num_frames
    return found.reshape(len(bands), -1)


def _modulation(bands, frame_seconds):
    """Log amplitude of each band's changes, by half octaves of their rate."""
    amplitudes = np.abs(np.fft.rfft(bands, axis=1)) / bands.shape[1]
    hz = np.fft.rfftfreq(bands.shape[1], frame_seconds)
    half_octaves = np.floor(2 * np.log2(np.maximum(hz, 1e-9) / LOWEST_HZ))
    found = [np.zeros((len(bands), 0))]
    for half_octave in np.unique(half_octaves[hz >= LOWEST_HZ]):
        inside = amplitudes[:, half_octaves == half_octave]
        found.append(_log(np.sqrt(np.sum(inside**2, axis=1))))
    return np.concatenate(found, axis=1)
