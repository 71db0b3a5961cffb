import sys

import numpy as np
import pytest

from keras_c2f.datasets import keywords
from keras_c2f.datasets.espeak import Utterance, speak, variants
from keras_c2f.datasets.keywords import place_in_noise, synthesize_keywords

pytest.importorskip("espeakng_loader")

pytestmark = pytest.mark.once


def make(words=("yes", "stop"), train=6, validation=3, **options):
    return synthesize_keywords(words, train, validation, **options)


def say(text, **options):
    [(samples, sample_rate)] = speak([Utterance(text, **options)])
    return samples, sample_rate


def audio_of(pair):
    return np.concatenate([np.stack(clips.audio) for clips in pair])


@pytest.fixture
def no_noise(monkeypatch):
    monkeypatch.setattr(keywords, "SIGNAL_TO_NOISE_DB", (120, 120))


# The synthesiser


def test_same_requests_same_samples_whatever_came_before():
    # f3 has flutter and breath noise, whose state libespeak never resets
    requests = [Utterance("left", "en+f3"), Utterance("right", "en+f3")]
    first = [samples for samples, _ in speak(requests)]
    list(speak(requests[::-1] * 3))
    again = [samples for samples, _ in speak(requests)]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_rate_and_pitch_are_audible():
    slow, fast = (say("yes", words_per_minute=r)[0] for r in (100, 200))
    # twice the words a minute: about half the length
    assert 0.4 < len(fast) / len(slow) < 0.7

    def fundamental_hz(pitch):
        samples, sample_rate = say("no", pitch=pitch, words_per_minute=90)
        middle = samples[len(samples) // 3 :][:2048]
        lags = np.correlate(middle, middle, "full")[len(middle) :]
        shortest = sample_rate // 400  # the highest voice, Hz
        return sample_rate / (np.argmax(lags[shortest:600]) + shortest + 1)

    low, high = fundamental_hz(10), fundamental_hz(90)
    # Voices say `pitch 82 117` unless told otherwise: Hz at pitch 50. Each end
    # of the scale is up to a factor two away.
    assert 41 < low < 82 < 117 < high < 234


def test_words_sound_like_their_letters():
    """Energy above 4 kHz: a hiss where there is an s, at its place."""

    def hiss(text):
        samples, sample_rate = say(text, voice="en-us", words_per_minute=120)
        thirds = np.array_split(samples, 3)
        shares = []
        for part in thirds:
            power = np.abs(np.fft.rfft(part)) ** 2
            shares.append(power[len(power) * 8000 // sample_rate :].sum())
        return np.array(shares) / np.abs(samples).max() ** 2

    assert np.argmax(hiss("stop")) == 0
    assert np.argmax(hiss("yes")) == 2
    assert hiss("yes").max() > 3 * hiss("no").max()


def test_refusal_is_passed_on():
    with pytest.raises(OSError, match="has no voice 'xx'"):
        say("yes", voice="xx")


def test_stopping_early_leaves_no_process(capfd):
    requests = speak([Utterance("yes")] * 2000)
    next(requests)
    requests.close()
    assert capfd.readouterr() == ("", "")


# The data set


def test_clips_and_labels():
    train, validation = make(["yes", "stop", "go"], 2, 1)
    assert train.class_names == ("yes", "stop", "go")
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert validation.labels.tolist() == [0, 1, 2]
    for audio in train.audio:
        assert (audio.shape, audio.dtype) == ((16000,), "float32")
    train, _ = make(sample_rate=8000, clip_seconds=1.5)
    assert train.audio[0].shape == (12000,)


def test_same_seed_same_recordings():
    first = audio_of(make(seed=3))
    np.testing.assert_array_equal(first, audio_of(make(seed=3)))
    other = audio_of(make(seed=4))
    assert not (first == other).all(axis=1).any()


def test_validation_voices_are_new():
    plan = keywords._plan(["yes"], [400, 100], 0)
    sets = [
        {utterance.voice.split("+")[1] for utterance in clips}
        for clips in (plan[:400], plan[400:])
    ]
    train_variants, new_variants = sets
    assert not train_variants & new_variants
    assert len(train_variants) >= 20 and len(new_variants) >= 10


def test_every_voice_exists():
    # espeak-ng takes an unknown variant for the plain voice, silently
    known = keywords.TRAIN_VARIANTS + keywords.VALIDATION_VARIANTS
    assert set(known) <= set(variants())
    accents = keywords.ACCENTS
    spoken = [s for s, _ in speak([Utterance("on", a) for a in accents])]
    assert len({samples.tobytes() for samples in spoken}) == len(accents)


def test_no_word_is_silent_cut_off_or_clipped(no_noise):
    clips = make(keywords.WORDS, 30, 12)
    for audio in audio_of(clips):
        loud = np.abs(audio) > 0.01 * np.abs(audio).max()
        seconds = np.ptp(np.flatnonzero(loud)) / 16000
        # the slowest voice, f4, takes 0.77 s at 130 words a minute
        assert 0.1 < seconds < 0.95
        assert 0.02 < np.abs(audio).max() < 1
        flat = np.abs(audio) > 0.999 * np.abs(audio).max()
        assert flat.sum() < 4  # a clipped peak is a plateau


def test_placement_covers_the_clip(no_noise):
    starts, ends = [], []
    for audio in audio_of(make(["go", "up"], 30, 10, clip_seconds=2.0)):
        loud = np.flatnonzero(np.abs(audio) > 0.01 * np.abs(audio).max())
        starts.append(loud[0] / 16000)
        ends.append(loud[-1] / 16000)
    assert min(starts) < 0.3 and max(ends) > 1.7


def test_noise_is_as_loud_as_said(monkeypatch):
    monkeypatch.setattr(keywords, "SIGNAL_TO_NOISE_DB", (10, 10))
    monkeypatch.setattr(keywords, "LEVEL_DB", (-30, -30))
    speech = np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    rng = np.random.default_rng(0)
    clip = place_in_noise(speech, 160000, 16000, rng)
    # find the tone by its correlation, and take it away
    start = np.argmax(np.correlate(clip, speech, "valid"))
    rms = 10 ** (-30 / 20)
    tone = speech * rms * np.sqrt(2)  # a sine's peak is sqrt(2) its RMS
    clip[start : start + 8000] -= tone
    noise_db = 10 * np.log10(np.mean(clip**2))
    np.testing.assert_allclose(noise_db, -40, atol=0.01)  # -30 - 10 dB


def test_peaks_are_turned_down_and_not_clipped(monkeypatch):
    monkeypatch.setattr(keywords, "LEVEL_DB", (0, 0))
    speech = np.zeros(1000)
    speech[500] = 1  # a click: 30 dB from RMS to peak
    clip = place_in_noise(speech, 2000, 16000, np.random.default_rng(0))
    assert np.abs(clip).max() == 1


def test_cache_is_read_back(tmp_path, monkeypatch):
    folder = tmp_path / "new" / "cache"
    first = audio_of(make(cache_dir=folder))
    np.testing.assert_array_equal(first, audio_of(make()))

    def fail(*arguments):
        raise RuntimeError("spoken again")

    monkeypatch.setattr(keywords, "speak", fail)
    np.testing.assert_array_equal(first, audio_of(make(cache_dir=folder)))
    for change in (
        {"seed": 1},
        {"words": ("yes", "go")},
        {"train": 5, "validation": 4},
        {"sample_rate": 8000},
        {"clip_seconds": 1.2},
    ):
        with pytest.raises(RuntimeError, match="spoken again"):
            make(cache_dir=folder, **change)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    "words, message",
    [
        (["yes", "go", "yes"], "name it once"),
        (["yes", "incomprehensibility of the universe"], "takes [1-9].* s"),
        (["yes", " "], "' ' takes 0.00 s"),
        (["yes"], "at least two"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(ValueError, match=message):
        make(words, 1, 1)


def test_missing_synthesiser_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ImportError, match=r'-e "\.\[demo\]"'):
        make()


def test_quiet_when_quick_or_asked(capfd):
    make(verbose=True)
    assert capfd.readouterr() == ("", "")
