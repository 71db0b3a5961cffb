"""Eight short bursts with a timing: what `timing` and `timbre` are made of."""

import numpy as np

# What happens: pairs of bursts of one carrier with this gap, in ms; pairs of
# the low and the high carrier in this order; trains of four of one carrier.
GAPS_MS = {"gap 10 ms": 10, "gap 20 ms": 20, "gap 40 ms": 40, "gap 80 ms": 80}
ORDERS = {"low high": (0, 1), "high low": (1, 0)}
RATES_HZ = {"12.5 Hz": 12.5, "25 Hz": 25, "50 Hz": 50}
TIMINGS = (*GAPS_MS, *ORDERS, *RATES_HZ)

# Ranges that draws are uniform in.
BURST_MS = (7, 12)
ORDER_GAP_MS = (0, 8)  # from the end of one burst to the other
CARRIER_DB = (-6, 6)  # one carrier over what it would be

PAUSE = 0.12  # seconds between groups at least, more than the widest gap
RAMP = 0.002  # seconds in which a burst rises and falls


def bursts(timing, carriers, sample_rate, clip_seconds, rng):
    """A clip of four bursts of each of two carriers, and no noise.

    Groups of bursts come in any order, with random pauses between.

    Args:
        timing: str, of `TIMINGS`.
        carriers: two pairs `(lowest Hz, highest Hz)` of noise; of a tone, both
            are the same.
        sample_rate: int, Hz.
        clip_seconds: float, at least 1.
        rng: `numpy.random.Generator`.

    Returns:
        float64 `(samples,)`; the RMS of a burst is 1, give or take
        `CARRIER_DB`.
    """
    burst = rng.uniform(*BURST_MS) / 1000
    groups = _groups(timing, burst, rng)
    groups = [groups[index] for index in rng.permutation(len(groups))]
    lengths = [group[-1][0] + burst for group in groups]
    free = clip_seconds - sum(lengths) - PAUSE * (len(groups) - 1)
    pauses = np.diff(np.sort(rng.uniform(0, free, len(groups))), prepend=0)
    levels = 10 ** (rng.uniform(*CARRIER_DB, 2) / 20)

    audio = np.zeros(round(clip_seconds * sample_rate))
    start = 0
    for group, length, pause in zip(groups, lengths, pauses, strict=True):
        start += pause
        for offset, which in group:
            at = int((start + offset) * sample_rate)
            piece = _burst(carriers[which], burst, sample_rate, rng)
            audio[at : at + len(piece)] += levels[which] * piece
        start += length + PAUSE
    return audio


def _groups(timing, burst, rng):
    """Lists of `(seconds from its start, carrier)`: eight bursts in all."""
    if timing in GAPS_MS:
        step = burst + GAPS_MS[timing] / 1000
        return [[(0, which), (step, which)] for which in (0, 0, 1, 1)]
    if timing in RATES_HZ:
        times = np.arange(4) / RATES_HZ[timing]
        return [[(time, which) for time in times] for which in (0, 1)]
    first, second = ORDERS[timing]
    gaps = rng.uniform(*ORDER_GAP_MS, 4) / 1000
    return [[(0, first), (burst + gap, second)] for gap in gaps]


def _burst(carrier, seconds, sample_rate, rng):
    """One burst of noise or tone with an RMS of 1."""
    low, high = carrier
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    # Enough sines for any noise so short; one for a tone.
    frequencies = rng.uniform(low, high, 1 if low == high else 40)
    phases = rng.uniform(0, 2 * np.pi, len(frequencies))
    angles = 2 * np.pi * np.outer(frequencies, time) + phases[:, None]
    edge = np.minimum(time, time[::-1]) / RAMP
    audio = np.sin(angles).sum(axis=0) * np.sin(np.pi / 2 * np.clip(edge, 0, 1))
    return audio / np.sqrt(np.mean(audio**2))
