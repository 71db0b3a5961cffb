"""Corrupted recording, measured: power, decay, levels and pitch."""

import numpy as np
import pytest

from keras_c2f.audio import Corruption
from keras_c2f.audio.effects import CODERS, MP3_RATES
from keras_c2f.data import AudioPipeline, Clips, prepare, read_prepared
from keras_c2f.layers.log_mel import Frontend

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("tqdm")
pytest.importorskip("tensorflow")
pytestmark = pytest.mark.once
RATE = 16000
SMALL = Frontend(sample_rate=8000, num_mel_bins=16)
EVERY = (
    *("noise:5", "reverb:0.2", "codec:mp3", "codec:ogg", "codec:mulaw"),
    *("speed:1.3", "gain:-3"),
)


def white(size, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, size)


def tone(hertz, rate=RATE, seconds=1):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(rate * seconds) / rate)


def decibels(power):
    return 10 * np.log10(power)


def peak_hertz(samples):
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return hertz[np.abs(np.fft.rfft(samples)).argmax()]


@pytest.mark.parametrize("ratio", [-5, 12.5])
def test_signal_to_noise_ratio_is_that_of_the_audio(ratio):
    audio = np.concatenate([white(8000), np.zeros(24000)])  # a padded clip
    noise = Corruption(f"noise:{ratio}")(audio, RATE, 0) - audio
    found = decibels((audio[:8000] ** 2).mean() / (noise**2).mean())
    assert found == pytest.approx(ratio, abs=1e-4)  # of float32 samples


def test_noise_is_pink():
    """As much power in each octave, less than 1.5 of them below 20 Hz."""
    audio = tone(1000, seconds=8)
    noise = Corruption("noise:0")(audio, RATE, 0) - audio
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    octaves = [
        power[(low <= hertz) & (hertz < 2 * low)].sum()
        for low in (60, 120, 240, 480, 960, 1920, 3840)
    ]
    # 480 bins in the lowest: a deviation of 4.6 %
    np.testing.assert_allclose(decibels(octaves / octaves[-1]), 0, atol=0.8)
    inaudible = power[hertz < 20].sum()
    assert decibels(inaudible / octaves[0]) == pytest.approx(
        decibels(1 / np.log(2)), abs=1.5
    )


@pytest.mark.parametrize("text", EVERY)
def test_silence_stays_silent(text):
    corrupted = Corruption(text)(np.zeros(4000), RATE, 0)
    # a lossy coder may leave something below 16 bits
    tolerance = 2**-16 if text.startswith("codec") else 0
    np.testing.assert_allclose(corrupted, 0, atol=tolerance)


@pytest.mark.parametrize("rt60", [0.3, 1.2])
def test_reverberation_time_by_backward_integration(rt60):
    """Schroeder 1965; the slope from -5 to -25 dB, as ISO 3382 has it."""
    impulse = np.zeros(2 * RATE)
    impulse[0] = 1
    response = Corruption(f"reverb:{rt60}")(impulse, RATE, 0).astype("float64")
    left = decibels(np.cumsum(response[::-1] ** 2)[::-1] + 1e-30)
    left -= left[0]
    used = (left < -5) & (left > -25)
    seconds = np.arange(len(left)) / RATE
    slope = np.polyfit(seconds[used], left[used], 1)[0]
    assert -60 / slope == pytest.approx(rt60, rel=0.05)  # one draw of noise
    assert response.argmax() == 0  # the direct path
    direct, rest = response[0] ** 2, (response[1:] ** 2).sum()
    assert direct == pytest.approx(rest, rel=1e-5)


def test_room_keeps_the_level():
    audio = white(8000)
    reverberant = Corruption("reverb:0.5")(audio, RATE, 0)
    assert len(reverberant) == len(audio)
    assert (reverberant**2).mean() == pytest.approx((audio**2).mean(), rel=1e-5)
    assert np.corrcoef(reverberant, audio)[0, 1] < 0.9


def test_mu_law_is_that_of_the_formula():
    """G.711 approximates it by chords, whose steps are up to twice as wide."""
    audio = 0.8 * tone(440, 8000) + tone(1000, 8000)  # whole periods
    coded = Corruption("codec:mulaw")(audio, 8000, 0)
    mu = 255
    companded = np.sign(audio) * np.log1p(mu * np.abs(audio)) / np.log1p(mu)
    step = np.log1p(mu) * (1 + mu * np.abs(audio)) / mu / 128
    rounded = np.round(companded * 128) / 128
    formula = np.sign(rounded) * np.expm1(np.abs(rounded) * np.log1p(mu)) / mu
    assert (np.abs(coded - formula) < 2 * step).all()
    assert len(np.unique(coded)) <= 255
    error = decibels((audio**2).mean() / ((coded - audio) ** 2).mean())
    expected = decibels((audio**2).mean() / ((formula - audio) ** 2).mean())
    assert error == pytest.approx(expected, abs=1.5)


def test_telephone_lets_through_300_to_3400_hertz():
    hertz = np.array([100, 1000, 3000, 3700, 5000])
    audio = sum(tone(h) for h in hertz) / 2
    found = np.abs(np.fft.rfft(Corruption("codec:mulaw")(audio, RATE, 0)))
    found = found[hertz] / np.abs(np.fft.rfft(audio))[hertz]
    np.testing.assert_allclose(found, [0, 1, 1, 0, 0], atol=0.02)


@pytest.mark.parametrize("coder", ["mp3", "ogg"])
@pytest.mark.parametrize("rate", [4000, 8000, RATE, 32000])
def test_coders_lose_something_and_shift_nothing(coder, rate):
    audio = white(rate)
    audio = np.convolve(audio, np.ones(16) / 16, "same")
    coded = Corruption(f"codec:{coder}")(audio, rate, 0)
    assert len(coded) == len(audio)
    both = np.fft.rfft(coded, 2 * rate) * np.fft.rfft(audio, 2 * rate).conj()
    assert np.fft.irfft(both).argmax() == 0  # the lag of the correlation
    ratio = decibels((audio**2).mean() / ((coded - audio) ** 2).mean())
    assert 3 < ratio < 30


def test_mp3_has_the_rates_that_libsndfile_writes(tmp_path):
    for rate in (4000, *MP3_RATES, 96000):
        path = tmp_path / f"{rate}.mp3"
        try:
            soundfile.write(path, white(100), rate, **CODERS["mp3"][1])
        except soundfile.LibsndfileError:
            assert rate not in MP3_RATES
        else:
            assert rate in MP3_RATES


def test_coders_cut_what_is_too_loud():
    coded = Corruption("gain:20+codec:ogg")(tone(400), RATE, 0)
    expected = np.clip(10 * tone(400), -1, 1)
    ratio = decibels((expected**2).mean() / ((coded - expected) ** 2).mean())
    assert ratio > 20


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_speed_moves_pitch_and_length(factor):
    played = Corruption(f"speed:{factor}")(tone(1000), RATE, 0)
    assert len(played) == RATE / factor
    assert peak_hertz(played) == pytest.approx(1000 * factor, abs=1)  # one bin


def test_parts_follow_one_another():
    audio = white(4000)
    room = Corruption("reverb:0.3")(audio, RATE, 4)
    both = Corruption("reverb:0.3+gain:-20")(audio, RATE, 4)
    np.testing.assert_allclose(both, room / 10, rtol=1e-6)  # float32
    noisy = Corruption("gain:20+noise:10")(audio, RATE, 4) - 10 * audio
    ratio = decibels((100 * audio**2).mean() / (noisy**2).mean())
    assert ratio == pytest.approx(10, abs=1e-4)


@pytest.mark.parametrize("text", EVERY)
def test_any_length_can_be_corrupted(text):
    for size in (1, 2, 3, 50):
        corrupted = Corruption(text)(white(size), 32000, 0)
        assert corrupted.dtype == "float32" and len(corrupted)
        assert np.isfinite(corrupted).all()


@pytest.mark.parametrize(
    "text", ["speed:1.3+noise:5", "reverb:0.2+codec:mp3+codec:ogg"]
)
def test_a_clip_alone_sounds_as_in_a_batch(text):
    sizes = (3000, 4100, 900, 5000, 2700)
    recordings = [white(size, size).astype("float32") for size in sizes]
    clips = Clips(recordings, [0, 1, 0, 1, 0], "ab")
    corruption = Corruption(text)
    by_hand = [corruption(s, 8000, index) for index, s in enumerate(recordings)]
    expected = np.stack([np.pad(s, (0, 5000))[:2680] for s in by_hand])
    for batch_size in (1, 5):  # 2680 samples: 31 x 80 + 200
        found = waveforms(clips, batch_size, corruption=corruption)
        np.testing.assert_array_equal(found, expected)
    found = waveforms(clips, 2, corruption=corruption, crops=3)
    np.testing.assert_array_equal(found[:, 0], expected)
    np.testing.assert_array_equal(found[3, -1], by_hand[3][-2680:])


def waveforms(clips, batch_size, **options):
    pipeline = AudioPipeline(SMALL, 32, batch_size, outputs="waveform")
    batches = [x.numpy() for x, _ in pipeline.dataset(clips, **options)]
    return np.concatenate(batches)


def test_cached_files_stay_clean(tmp_path):
    audio = white(2680).astype("float32")
    soundfile.write(tmp_path / "a.wav", audio, 8000, "FLOAT")
    clips = Clips([tmp_path / "a.wav", audio], [0, 1], "ab")
    pipeline = AudioPipeline(SMALL, 32, batch_size=2, outputs="waveform")

    def corrupted(text=None):
        corruption = text and Corruption(text)
        ((batch, _),) = pipeline.dataset(clips, corruption=corruption)
        return batch.numpy()

    noisy, louder, clean = (
        corrupted("noise:5"),
        corrupted("gain:20"),
        corrupted(),
    )
    np.testing.assert_array_equal(clean, [audio, audio])
    np.testing.assert_allclose(louder, 10 * clean, rtol=1e-6)  # float32
    np.testing.assert_array_equal(corrupted("noise:5"), noisy)
    # one recording under two numbers: another noise for each
    assert np.abs(noisy[0] - noisy[1]).max() > 0.1


def test_corrupted_before_the_front_end():
    """Ten times the amplitude adds ln 100 to each log-mel."""
    clips = Clips([white(2680), white(2680, 1)], [0, 1], "ab")
    pipeline = AudioPipeline(SMALL, 32, batch_size=2)
    ((clean, _),) = pipeline.dataset(clips)
    ((louder, _),) = pipeline.dataset(clips, corruption=Corruption("gain:20"))
    added = (louder - clean).numpy() * 2 * SMALL.std  # as normalised by AST
    np.testing.assert_allclose(added, np.log(100), atol=1e-3)


@pytest.mark.parametrize("text", ["noise:5", "reverb:0.2"])
def test_another_seed_is_another_draw(text):
    audio = white(2000)
    first = Corruption(text, seed=1)(audio, RATE, 0)
    again = Corruption(text, seed=1)(audio, RATE, 0)
    np.testing.assert_array_equal(first, again)
    other = Corruption(text, seed=2)(audio, RATE, 0)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.parametrize(
    "text",
    [
        *("", "noise", "noise:", "noise:loud", "noise:nan", "noise:1e1"),
        *("noise:101", "reverb:0", "speed:0", "speed:-1", "gain:1:2"),
        *("codec:flac", "noise:5+", "gain:+5", "noise: 5", "echo:1"),
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="A corruption reads noise:") as error:
        Corruption(text)
    assert str(error.value).endswith(f"Received: {text!r}.")
    assert "reverb:0.01 to 20" in str(error.value)


def test_training_and_log_mel_are_not_corrupted(tmp_path):
    clips = Clips([white(3000), white(3000)], [0, 1], "ab")
    pipeline = AudioPipeline(SMALL, num_frames=32, batch_size=2)
    corruption = Corruption("gain:1")
    with pytest.raises(ValueError, match="for evaluation.*'gain:1'"):
        pipeline.dataset(clips, training=True, corruption=corruption)
    prepare((clips, clips), str(tmp_path), SMALL, "log_mel")
    _, mels = read_prepared(str(tmp_path))
    with pytest.raises(ValueError, match="`corruption` needs waveforms"):
        pipeline.dataset(mels, corruption=corruption)
