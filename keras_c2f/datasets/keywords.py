"""The built-in data set: ten spoken words, synthesised where it is needed."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_c2f.data.clips import Clips
from keras_c2f.datasets.espeak import Utterance, speak
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.files import atomic_write, own_prefix
from keras_c2f.utils.optional import soxr, tqdm

WORDS = "yes no up down left right on off stop go".split()

# Validation has no voice of training. The variants are those of espeak-ng
# that sound like a person; each of the two lists spans low to high voices.
ACCENTS = (
    "en en-us en-us-nyc en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd "
    "en-gb-scotland en-029"
).split()
TRAIN_VARIANTS = (
    "f1 f3 f4 m1 m2 m4 m5 m6 m8 Alex Andrea Denis Gene Lee Michael adam "
    "aunty boris caleb edward grandma ian linda max norbert quincy shelby "
    "travis"
).split()
VALIDATION_VARIANTS = (
    "f2 f5 m3 m7 Annie Reed belinda david grandpa john rob victor"
).split()

# Ranges that draws are uniform in.
WORDS_PER_MINUTE = (125, 240)
PITCH = (15, 85)
PITCH_RANGE = (15, 85)
LEVEL_DB = (-26, -20)  # speech RMS, relative to full scale
SIGNAL_TO_NOISE_DB = (20, 40)  # speech RMS over noise RMS
NOISE_TILT = (0, 1)  # amplitude ~ 1 / frequency ** tilt: white to brown

RECIPE = 2  # part of the cache's key: raise it when the recordings change


def synthesize_keywords(
    words: Sequence[str] = WORDS,
    clips_per_word: int = 300,
    validation_clips_per_word: int = 60,
    sample_rate: int = 16000,
    clip_seconds: float = 1.0,
    seed: int = 0,
    cache_dir: PathLike | None = None,
    verbose: bool = True,
) -> tuple[Clips, Clips]:
    """Spoken keywords in noise, made by espeak-ng: data without a download.

    Each clip is one word in a random voice, speed, pitch and level, somewhere
    in the clip, over steady noise 20 to 40 dB below the speech. The voices of
    validation do not occur in training. Synthetic speech:
    right for trying things out, not for claims about real voices.

    The same arguments give the same samples. Takes about a second per 500
    clips; the default is 3,000 + 600 clips, 220 MiB in memory.

    Args:
        words: sequence of different str, English; they become the classes.
        clips_per_word: int, for training.
        validation_clips_per_word: int, for validation.
        sample_rate: int, Hz.
        clip_seconds: float, length of every clip.
        seed: int.
        cache_dir: folder to keep the recordings in (as 16 bit `.npz`, half the
            size in memory), or `None`. Made if it is not there.
        verbose: bool, shows a progress bar if it takes over two seconds.

    Returns:
        `(train, validation)`, two `Clips` of float32 `(samples,)` arrays,
        ordered by word.

    Raises:
        ImportError: if the extra `demo` is not installed.
        ValueError: if a word repeats, is not speech, or is too long.

    Example:
        >>> train, validation = synthesize_keywords(["yes", "no"], 3, 1)
        >>> train.audio[0].shape, train.labels.tolist(), len(validation)
        ((16000,), [0, 0, 0, 1, 1, 1], 2)
    """
    words = list(words)
    if len(set(words)) < len(words):
        raise ValueError(
            f"Each word is one class, so name it once. Received: words={words}."
        )
    settings = {
        "recipe": RECIPE,
        "words": words,
        "clips_per_word": [clips_per_word, validation_clips_per_word],
        "sample_rate": sample_rate,
        "clip_seconds": clip_seconds,
        "seed": seed,
    }

    def make():
        plan = _plan(words, settings["clips_per_word"], seed)
        return _record(plan, sample_rate, clip_seconds, seed, verbose)

    recordings = (
        make() if cache_dir is None else _cached(cache_dir, settings, make)
    )
    recordings = recordings.astype("float32") / 32768
    labels = [
        np.repeat(np.arange(len(words)), count)
        for count in settings["clips_per_word"]
    ]
    boundary = len(labels[0])
    return (
        Clips(recordings[:boundary], labels[0], words),
        Clips(recordings[boundary:], labels[1], words),
    )


def _plan(words, counts, seed):
    """`Utterance` of every clip: training by word, then validation."""
    rng = np.random.default_rng(seed)
    voices = (
        (ACCENTS, TRAIN_VARIANTS),
        (ACCENTS, VALIDATION_VARIANTS),
    )
    return [
        Utterance(
            word,
            f"{rng.choice(accents)}+{rng.choice(variants)}",
            *(
                int(rng.integers(low, high + 1))
                for low, high in (WORDS_PER_MINUTE, PITCH, PITCH_RANGE)
            ),
        )
        for count, (accents, variants) in zip(counts, voices, strict=True)
        for word in words
        for _ in range(count)
    ]


def _record(plan, sample_rate, clip_seconds, seed, verbose):
    """int16 `(clips, samples)`: each utterance of the plan, as a clip."""
    num_samples = round(clip_seconds * sample_rate)
    clips = np.empty((len(plan), num_samples), "int16")
    spoken = tqdm.tqdm(
        zip(plan, speak(plan), strict=True),
        desc="Speaking keywords",
        unit=" clips",
        total=len(plan),
        delay=2,  # seconds
        disable=None if verbose else True,  # `None`: in a file
    )
    for index, (utterance, (speech, spoken_rate)) in enumerate(spoken):
        speech = _trim(soxr.resample(speech, spoken_rate, sample_rate))
        if not 0 < len(speech) <= num_samples:
            raise ValueError(
                f"{utterance.text!r} takes {len(speech) / sample_rate:.2f} s "
                f"to say, and a clip lasts {clip_seconds} s: give a word that "
                "can be spoken, or raise `clip_seconds`."
            )
        # A generator per clip, so that a clip's noise is its own.
        rng = np.random.default_rng((seed, index))
        clip = place_in_noise(speech, num_samples, sample_rate, rng)
        clips[index] = np.rint(clip * 32767)
    return clips


def _trim(speech):
    """Without the silence around it, 40 dB below the loudest sample."""
    loudest = np.abs(speech).max(initial=0)
    loud = np.flatnonzero(np.abs(speech) > 0.01 * loudest)
    return speech[loud[0] : loud[-1] + 1] if len(loud) else speech[:0]


def place_in_noise(
    speech, num_samples, sample_rate, rng, signal_to_noise_db=None
):
    """A clip with `speech` somewhere in noise of a random loudness and tilt.

    Args:
        speech: float `(samples,)`, at most `num_samples` long, not silent.
        num_samples: int, length of the clip.
        sample_rate: int, Hz.
        rng: `numpy.random.Generator`.
        signal_to_noise_db: pair of float, the range to draw from; default:
            `SIGNAL_TO_NOISE_DB`.

    Returns:
        float64 `(num_samples,)` in [-1, 1].
    """
    frequency = np.fft.rfftfreq(num_samples, 1 / sample_rate)
    noise = np.fft.rfft(rng.standard_normal(num_samples))
    noise /= np.maximum(frequency, 50) ** rng.uniform(*NOISE_TILT)
    noise[0] = 0  # no constant offset
    noise = np.fft.irfft(noise, num_samples)

    level = 10 ** (rng.uniform(*LEVEL_DB) / 20)
    ratio = rng.uniform(*(signal_to_noise_db or SIGNAL_TO_NOISE_DB))
    noise_level = level / 10 ** (ratio / 20)
    clip = noise * noise_level / _rms(noise)
    start = rng.integers(0, num_samples - len(speech) + 1)
    clip[start : start + len(speech)] += speech * level / _rms(speech)
    return clip / max(1, np.abs(clip).max())  # a loud peak is not clipped


def _rms(audio):
    return np.sqrt(np.mean(np.square(audio, dtype="float64")))


def _cached(folder, settings, make):
    """The array of `make()`, kept in `folder` under a name per `settings`."""
    text = json.dumps(settings, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = Path(folder) / f"keywords-{key}.npz"
    if path.exists():
        with np.load(path) as file:
            return file["audio"]
    recordings = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, lambda p: np.savez(p, audio=recordings), own_prefix())
    return recordings
