"""What `Corruption` does to a recording, one function for each way.

All take float64 `(samples,)` of at least one sample, the rate in Hz, the value
behind the colon and a NumPy generator, and return float64 `(samples,)`.
"""

import io

import numpy as np

from keras_c2f.utils.optional import soundfile, soxr

LOWEST_HZ = 20  # of pink noise: below, noise would be inaudible
PHONE_BAND_HZ = (300, 3400)
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# Level 1 of MP3 is refused by libsndfile; its constant rate keeps the lead-in.
MP3 = {"format": "MP3", "compression_level": 0.999, "bitrate_mode": "AVERAGE"}
OGG = {"format": "OGG", "subtype": "VORBIS", "compression_level": 1}
MULAW = {"format": "WAV", "subtype": "ULAW"}
CODERS = {
    "mp3": (MP3_RATES, MP3),
    "ogg": (None, OGG),
    "mulaw": ((8000,), MULAW),
}
BLOCK = 4096  # samples written at once: Vorbis puts them all on the stack


def add_noise(samples, sample_rate, ratio_db, rng):
    """Adds pink noise; silence throughout stays silent."""
    audible = samples[samples != 0]
    if not len(audible):
        return samples
    hertz = np.fft.rfftfreq(len(samples), 1 / sample_rate)
    spectrum = np.fft.rfft(rng.normal(size=len(samples)))
    spectrum /= np.sqrt(np.maximum(hertz, LOWEST_HZ))  # power falls as 1/f
    noise = np.fft.irfft(spectrum, len(samples))
    wanted = _power(audible) / 10 ** (ratio_db / 10)
    return samples + noise * np.sqrt(wanted / _power(noise))


def add_room(samples, sample_rate, rt60, rng):
    """Convolves with a direct path and as much energy of decaying noise.

    Noise that decays exponentially is how rooms answer: Moorer, "About This
    Reverberation Business", Computer Music Journal 3(2), 1979.
    """
    seconds = np.arange(1, int(rt60 * sample_rate)) / sample_rate
    tail = rng.normal(size=len(seconds)) * 10 ** (-3 * seconds / rt60)  # -60 dB
    response = np.concatenate([[1.0], tail / np.linalg.norm(tail)])
    length = len(samples) + len(response) - 1
    spectrum = np.fft.rfft(samples, length) * np.fft.rfft(response, length)
    reverberant = np.fft.irfft(spectrum, length)[: len(samples)]
    power = _power(reverberant)
    return reverberant * np.sqrt(_power(samples) / power) if power else samples


def code(samples, sample_rate, coder, rng):
    """Codes and decodes, at the nearest rate that the coder has."""
    rates, options = CODERS[coder]
    rate = min(rates or [sample_rate], key=lambda r: abs(r - sample_rate))
    coded = np.clip(_resample(samples, sample_rate, rate), -1, 1)
    if coder == "mulaw":
        hertz = np.fft.rfftfreq(len(coded), 1 / rate)
        low, high = PHONE_BAND_HZ
        band = (low <= hertz) & (hertz <= high)
        coded = np.fft.irfft(np.fft.rfft(coded) * band, len(coded))
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, **options) as writer:
        for start in range(0, len(coded), BLOCK):
            writer.write(coded[start : start + BLOCK])
    file.seek(0)
    decoded = _resample(soundfile.read(file)[0], rate, sample_rate)
    decoded = decoded[: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))


def play_at_speed(samples, sample_rate, factor, rng):
    """Plays faster, and so higher, if `factor` is above 1."""
    return _resample(samples, factor * sample_rate, sample_rate)


def amplify(samples, sample_rate, gain_db, rng):
    """Makes louder, by decibels."""
    return samples * 10 ** (gain_db / 20)


def _resample(samples, old_rate, new_rate):
    """As it is at equal rates; never empty."""
    if old_rate == new_rate:
        return samples
    resampled = soxr.resample(samples, old_rate, new_rate)
    return resampled if len(resampled) else samples[:1]


def _power(samples):
    return np.mean(samples**2)
