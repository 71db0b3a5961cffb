"""Synthetic data sets that separate fine timing from spectrum.

Coarse-to-fine training takes for granted that neighbouring frames say nearly
the same. `timing` is where they do not: its classes differ in when things
happen, within 10 to 80 ms, and in nothing else. In `timbre` the same recordings
happen at times that say nothing, and the classes differ in their spectrum.

A clip is eight short bursts, four of one carrier and four of another, in
groups with long pauses between, over steady noise. Number, length and loudness
of the bursts do not depend on the class, nor does the power spectrum of a
whole clip.
"""

import numpy as np

from keras_c2f.data.clips import Clips
from keras_c2f.datasets.bursts import TIMINGS, bursts
from keras_c2f.datasets.keywords import place_in_noise

# What it sounds like: noise or a tone, in half an octave about this frequency.
BANDS_HZ = (400, 600, 900, 1350, 2000, 3000, 4500, 6500)
TIMBRES = tuple(f"{hz} Hz" for hz in BANDS_HZ)

# The carriers of `timing`, noise or a tone: an octave about a frequency here.
LOW_HZ, HIGH_HZ = (300, 900), (2000, 5500)

SIGNAL_TO_NOISE_DB = (0, 25)  # RMS of a whole clip, bursts and pauses


def synthesize_timing(
    clips_per_class: int = 100,
    validation_clips_per_class: int = 40,
    sample_rate: int = 16000,
    clip_seconds: float = 1.0,
    seed: int = 0,
) -> tuple[Clips, Clips]:
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
    clips_per_class: int = 100,
    validation_clips_per_class: int = 40,
    sample_rate: int = 16000,
    clip_seconds: float = 1.0,
    seed: int = 0,
) -> tuple[Clips, Clips]:
    """Bursts whose spectrum is their class, at times that say nothing.

    The counterpart of `synthesize_timing`, made of the same kind of bursts.
    Eight classes: the band that the bursts are in, noise or tones. Timing is
    that of any of its classes, so a network that sees no timing loses little.

    Arguments, results and errors are those of `synthesize_timing`.

    Example:
        >>> synthesize_timbre(2, 1)[0]
        <16 clips of 8 classes>
    """

    def draw(index, rng):
        carriers = [_carrier(BANDS_HZ[index], 0.5, rng) for _ in range(2)]
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
    splits = []
    for split, count in enumerate(counts):
        labels = np.repeat(np.arange(len(names)), count)
        recordings = []
        for position, label in enumerate(labels):
            # A generator per clip, so that a clip does not depend on others.
            rng = np.random.default_rng((seed, split, position))
            timing, carriers = draw(label, rng)
            audio = bursts(timing, carriers, sample_rate, clip_seconds, rng)
            clip = place_in_noise(
                audio, len(audio), sample_rate, rng, SIGNAL_TO_NOISE_DB
            )
            recordings.append(clip.astype("float32"))
        splits.append(Clips(recordings, labels, names))
    return tuple(splits)


def _any_carriers(rng):
    """A low and a high one."""
    return [
        _carrier(low * (high / low) ** rng.random(), 1, rng)
        for low, high in (LOW_HZ, HIGH_HZ)
    ]


def _carrier(centre, octaves, rng):
    """`(lowest Hz, highest Hz)` of noise; of a tone they are the same."""
    if rng.choice(["noise", "tone"]) == "tone":
        centre *= 2 ** (octaves * rng.uniform(-0.5, 0.5))
        return centre, centre
    return centre / 2 ** (octaves / 2), centre * 2 ** (octaves / 2)
