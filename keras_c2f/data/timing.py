"""Made data sets that tell fine timing from spectrum.

Coarse-to-fine training takes for granted that neighbouring frames say nearly
the same. `timing` is where they do not: its classes differ in when things
happen, within 10 to 80 ms, and in nothing else. In `timbre` the same sounds
happen at times that say nothing, and the classes differ in their spectrum.

A clip is eight short bursts, four of one carrier and four of another, in
groups with long pauses between, over steady noise. Number, length and loudness
of the bursts do not depend on the class, nor does the power spectrum of a
whole clip.
"""

import numpy as np

from keras_c2f.data.clips import Clips
from keras_c2f.data.keywords import place_in_noise

# What happens: pairs of bursts of one carrier with this gap, in ms; pairs of
# the low and the high carrier in this order; trains of four of one carrier.
GAPS_MS = {"gap 10 ms": 10, "gap 20 ms": 20, "gap 40 ms": 40, "gap 80 ms": 80}
ORDERS = {"low high": (0, 1), "high low": (1, 0)}
RATES_HZ = {"12.5 Hz": 12.5, "25 Hz": 25, "50 Hz": 50}
TIMINGS = (*GAPS_MS, *ORDERS, *RATES_HZ)

# What it sounds like: noise an octave wide, or a tone within that octave.
BANDS_HZ = (600, 1200, 2400, 4800)
TIMBRES = tuple(
    f"{kind} {hz} Hz" for kind in ("noise", "tone") for hz in BANDS_HZ
)

# Ranges that draws are uniform in.
BURST_MS = (7, 12)
ORDER_GAP_MS = (0, 8)  # from the end of one burst to the other
LOW_HZ, HIGH_HZ = (300, 900), (2000, 5500)  # carriers of `timing`, in octaves
CARRIER_DB = (-6, 6)  # one carrier over what it would be
SIGNAL_TO_NOISE_DB = (0, 25)  # RMS of a whole clip, bursts and pauses

PAUSE = 0.12  # seconds between groups at least, more than the widest gap
RAMP = 0.002  # seconds in which a burst rises and falls


def synthesize_timing(
    clips_per_class=100,
    validation_clips_per_class=40,
    sample_rate=16000,
    clip_seconds=1.0,
    seed=0,
):
    """Bursts whose timing is their class: gaps, orders, rates.

    Nine classes: pairs of bursts with a gap of 10, 20, 40 or 80 ms; a low and
    a high burst in one order or the other; trains at 12.5, 25 or 50 Hz. Pitch,
    noisiness, loudness, place in the clip and the noise behind it are drawn
    alike for all. A network that cannot see fine timing is left with chance.

    The same arguments give the same samples. Takes seconds for 1,000 clips.

    Args:
        clips_per_class: int, for training.
        validation_clips_per_class: int.
        sample_rate: int, Hz, at least 16000.
        clip_seconds: float, length of every clip, at least 1.
        seed: int.

    Returns:
        `(train, validation)`, two `Clips` of float32 `(samples,)` arrays,
        ordered by class.

    Raises:
        ValueError: if `sample_rate` or `clip_seconds` is below that.

    Example:
        >>> train, validation = synthesize_timing(2, 1)
        >>> train, len(validation), train.class_names[:2]
        (<18 clips of 9 classes>, 9, ('gap 10 ms', 'gap 20 ms'))
    """

    def draw(index, rng):
        return TIMINGS[index], _any_carriers(rng)

    counts = (clips_per_class, validation_clips_per_class)
    return _synthesize(TIMINGS, draw, counts, sample_rate, clip_seconds, seed)


def synthesize_timbre(
    clips_per_class=100,
    validation_clips_per_class=40,
    sample_rate=16000,
    clip_seconds=1.0,
    seed=0,
):
    """Bursts whose spectrum is their class, at times that say nothing.

    The counterpart of `synthesize_timing`, made of the same kind of bursts.
    Eight classes: noise or a tone, in one of four octaves. Timing is that of
    any of its classes, so a network that sees no timing loses nothing.

    Arguments, results and errors are those of `synthesize_timing`.

    Example:
        >>> synthesize_timbre(2, 1)[0]
        <16 clips of 8 classes>
    """

    def draw(index, rng):
        kind, octave, _ = TIMBRES[index].split()
        carriers = [_carrier(kind, float(octave), rng) for _ in range(2)]
        return rng.choice(TIMINGS), carriers

    counts = (clips_per_class, validation_clips_per_class)
    return _synthesize(TIMBRES, draw, counts, sample_rate, clip_seconds, seed)


def _synthesize(names, draw, counts, sample_rate, clip_seconds, seed):
    if sample_rate < 16000 or clip_seconds < 1:
        raise ValueError(
            "The bursts take up to a second and reach up to 8 kHz: give a "
            "`clip_seconds` of at least 1 and a `sample_rate` of at least "
            f"16000. Received: clip_seconds={clip_seconds}, "
            f"sample_rate={sample_rate}."
        )
    parts = []
    for part, count in enumerate(counts):
        labels = np.repeat(np.arange(len(names)), count)
        sounds = []
        for place, label in enumerate(labels):
            # A generator per clip, so that a clip does not depend on others.
            rng = np.random.default_rng((seed, part, place))
            timing, carriers = draw(label, rng)
            bursts = _bursts(timing, carriers, sample_rate, clip_seconds, rng)
            clip = place_in_noise(
                bursts, len(bursts), sample_rate, rng, SIGNAL_TO_NOISE_DB
            )
            sounds.append(clip.astype("float32"))
        parts.append(Clips(sounds, labels, names))
    return tuple(parts)


def _any_carriers(rng):
    """A low and a high one: pairs of the edges of an octave or a tone."""
    carriers = []
    for low, high in (LOW_HZ, HIGH_HZ):
        octave = low * (high / low) ** rng.random()
        carriers.append(_carrier(rng.choice(["noise", "tone"]), octave, rng))
    return carriers


def _carrier(kind, octave, rng):
    """`(lowest Hz, highest Hz)`, the same for a tone, about `octave`."""
    if kind == "tone":
        octave *= 2 ** rng.uniform(-0.5, 0.5)
        return octave, octave
    return octave / 2**0.5, octave * 2**0.5


def _bursts(timing, carriers, sample_rate, clip_seconds, rng):
    """float64 `(samples,)`: a clip without the noise."""
    burst = rng.uniform(*BURST_MS) / 1000
    groups = _groups(timing, burst, rng)
    groups = [groups[index] for index in rng.permutation(len(groups))]
    lengths = [group[-1][0] + burst for group in groups]
    free = clip_seconds - sum(lengths) - PAUSE * (len(groups) - 1)
    pauses = np.diff(np.sort(rng.uniform(0, free, len(groups))), prepend=0)
    levels = 10 ** (rng.uniform(*CARRIER_DB, 2) / 20)

    sound = np.zeros(round(clip_seconds * sample_rate))
    start = 0
    for group, length, pause in zip(groups, lengths, pauses, strict=True):
        start += pause
        for offset, which in group:
            at = int((start + offset) * sample_rate)
            piece = _burst(carriers[which], burst, sample_rate, rng)
            sound[at : at + len(piece)] += levels[which] * piece
        start += length + PAUSE
    return sound


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
    sound = np.sin(angles).sum(axis=0) * np.sin(np.pi / 2 * np.clip(edge, 0, 1))
    return sound / np.sqrt(np.mean(sound**2))
