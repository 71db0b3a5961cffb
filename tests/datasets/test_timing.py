"""Synthetic data sets, checked by spectrograms and reference classifiers."""

import numpy as np
import pytest
from frontend_oracles import kaldi_log_mel
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_c2f.datasets import bursts, synthesize_timbre, synthesize_timing
from keras_c2f.layers.log_mel import Frontend

pytestmark = pytest.mark.once
SMALL = Frontend(num_mel_bins=40)
MAKERS = {"timing": synthesize_timing, "timbre": synthesize_timbre}


@pytest.fixture(scope="module", params=MAKERS)
def made(request):
    """A data set's name, and `(log_mel, labels)` of both of its parts."""
    parts = [
        (np.stack([kaldi_log_mel(s, SMALL) for s in part.audio]), part.labels)
        for part in MAKERS[request.param](60, 20)
    ]
    return request.param, parts


def accuracy(parts, summarise):
    """Of a logistic regression, on validation clips."""
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)
    )
    (train, labels), (validation, answers) = parts
    classifier.fit(summarise(train), labels)
    return classifier.score(summarise(validation), answers)


def spectrum(log_mel):
    return log_mel.mean(axis=1)


def loudness_over_time(log_mel):
    """Modulation spectrum of the mean band: what no spectrum is in."""
    loudness = log_mel.mean(axis=2)
    loudness = loudness - loudness.mean(axis=1, keepdims=True)
    loudness /= loudness.std(axis=1, keepdims=True)
    return np.abs(np.fft.rfft(loudness))


def order_of_bands(log_mel):
    """Covariance of bands now with bands up to 120 ms later."""
    bands = log_mel.reshape(*log_mel.shape[:2], 8, -1).mean(axis=3)
    bands -= bands.mean(axis=1, keepdims=True)
    length = bands.shape[1]
    pairs = [
        np.einsum("nta,ntb->nab", bands[:, lag:], bands[:, : length - lag])
        for lag in range(13)
    ]
    return np.stack(pairs, axis=1).reshape(len(bands), -1)


def test_who_can_tell_the_classes(made):
    name, parts = made
    chance = 1 / len(np.unique(parts[0][1]))
    by_spectrum = accuracy(parts, spectrum)
    by_time = accuracy(parts, loudness_over_time)
    # 160 to 180 clips: a standard error of 0.025 at chance
    if name == "timing":
        assert by_spectrum < chance + 0.075 < 0.7 < by_time
        assert accuracy(parts, order_of_bands) > 0.9
    else:
        assert by_time < chance + 0.1 < 0.9 < by_spectrum


def test_power_spectra_are_alike():
    """Energy in and between the bursts, whatever the timing."""
    rng = np.random.default_rng(0)
    energies = {}
    for name in bursts.TIMINGS:
        carriers = [(600, 600), (3000, 4000)]
        clips = [
            bursts.bursts(name, carriers, 16000, 1.0, rng) for _ in range(300)
        ]
        energies[name] = np.mean([np.sum(clip**2) for clip in clips])
    mean = np.mean(list(energies.values()))
    for energy in energies.values():
        # levels of +-6 dB have a deviation of 0.6 of the mean; 300 clips
        assert energy == pytest.approx(mean, rel=0.15)


@pytest.mark.parametrize(
    "name, rests_ms",
    [
        ("gap 10 ms", [10] * 4),
        ("gap 80 ms", [80] * 4),
        ("50 Hz", [10] * 6),
        ("12.5 Hz", [70] * 6),
    ],
)
def test_rests_are_as_long_as_named(monkeypatch, name, rests_ms):
    monkeypatch.setattr(bursts, "BURST_MS", (10, 10))
    monkeypatch.setattr(bursts, "RAMP", 1e-4)  # to see where bursts end
    carriers = [(1000, 1000), (3000, 3000)]
    rng = np.random.default_rng(0)
    audio = bursts.bursts(name, carriers, 16000, 1.0, rng)
    loud = np.flatnonzero(np.abs(audio) > 1e-3) / 16
    rests = np.diff(loud)
    rests = rests[rests > 5]
    assert len(rests) == 8 - 1  # eight bursts, none lost or cut off
    within = rests[rests < 100]  # groups are 120 ms apart
    np.testing.assert_allclose(within, rests_ms, atol=0.5)  # ends are quiet


def test_orders_are_as_named():
    low, high = (500, 500), (4000, 4000)
    for name, sign in (("low high", 1), ("high low", -1)):
        rng = np.random.default_rng(0)
        audio = bursts.bursts(name, [low, high], 16000, 1.0, rng)
        spectrum = np.fft.rfft(audio.reshape(-1, 80))  # 5 ms
        power = np.abs(spectrum) ** 2
        first, last = power[:, :8].sum(axis=1), power[:, 12:].sum(axis=1)
        lags = np.correlate(last, first, "full")
        lag = np.argmax(lags) - len(first) + 1
        assert 1 <= sign * lag <= 4  # 5 to 20 ms


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_clips(make):
    train, validation = make(2, 1, clip_seconds=1.5, sample_rate=22050)
    classes = train.num_classes
    assert train.labels.tolist() == np.repeat(np.arange(classes), 2).tolist()
    assert validation.labels.tolist() == list(range(classes))
    for audio in (*train.audio, *validation.audio):
        assert (audio.shape, audio.dtype) == ((33075,), "float32")
        assert 0.01 < np.abs(audio).max() <= 1
    assert len({audio.tobytes() for audio in train.audio}) == len(train)
    for options in ({"clip_seconds": 0.9}, {"sample_rate": 8000}):
        with pytest.raises(ValueError, match="at least 1 and .* Received: "):
            make(1, 1, **options)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_same_seed_same_recordings(make):
    first, again, other = (make(1, 1, seed=seed) for seed in (3, 3, 4))
    for part in range(2):
        recordings = np.stack(first[part].audio)
        np.testing.assert_array_equal(recordings, np.stack(again[part].audio))
        assert not (recordings == np.stack(other[part].audio)).all(axis=1).any()
