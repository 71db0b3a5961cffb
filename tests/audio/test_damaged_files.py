"""300 files made from good ones by rule: each is read, or refused in words."""

import itertools
import tracemalloc

import numpy as np
import pytest

from keras_c2f.audio import load_audio
from keras_c2f.audio.decode import AudioError, audio_seconds, load_crop
from keras_c2f.data import AudioPipeline, Clips
from keras_c2f.layers.log_mel import Frontend

pytest.importorskip("tensorflow")
soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytestmark = pytest.mark.once
RATE, SECONDS = 16000, 0.5
FORMATS = ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64")
LOSSY_FRAMES = 4 * 1152  # a codec's delay, and what its last frames hold


def put(content, position, data):
    return content[:position] + data + content[position + len(data) :]


def flipped(content, first, last, count, seed):
    content, rng = bytearray(content), np.random.default_rng(seed)
    for position in rng.integers(first, min(last, len(content)), count):
        content[position] ^= 1 << rng.integers(8)
    return bytes(content)


def variants(contents):
    """Yields `(name, suffix, bytes)` of damaged files."""
    others = itertools.cycle(contents.items())
    next(others)
    for (suffix, good), (other, foreign) in zip(
        contents.items(), others, strict=False
    ):
        size = len(good)
        made = {f"cut {part}": good[: size * part // 9] for part in range(1, 9)}
        for position in range(4, 48, 4):  # sizes, rates, channels
            for value in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
                made[f"{value!r} at {position}"] = put(good, position, value)
        for seed in range(3):
            made[f"head {seed}"] = flipped(good, 0, 80, 3, seed)
            made[f"body {seed}"] = flipped(good, 80, size, 9, seed)
        made |= {
            "twice": good + good,
            "another behind": good + foreign,
            "noise behind": good + np.random.default_rng(0).bytes(3000),
            "zeros behind": good + bytes(3000),
            "noise ahead": np.random.default_rng(0).bytes(3000) + good,
            "tag ahead": b"ID3\3\0\0\0\0\0\x10" + bytes(16) + good,
            "hole": good[: size // 3] + good[size // 2 :],
        }
        yield from ((name, suffix, data) for name, data in made.items())
        yield "of another suffix", other, good
    for number, data in enumerate((b"", b"no audio\n" * 99, bytes(2000))):
        yield f"nothing {number}", "wav", data


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """`{path: name of the damage}`."""
    folder, rng = tmp_path_factory.mktemp("damaged"), np.random.default_rng(0)
    samples = rng.normal(0, 0.1, (int(RATE * SECONDS), 2))
    contents = {}
    for suffix in FORMATS:
        path = folder / f"good.{suffix}"
        soundfile.write(path, samples, RATE)
        contents[suffix] = path.read_bytes()
    paths = {}
    for number, (name, suffix, data) in enumerate(variants(contents)):
        path = folder / f"{number}.{suffix}"
        path.write_bytes(data)
        paths[str(path)] = name
    assert len(paths) >= 300
    return paths


def plainly_decoded(path):
    """Frames and rate that soundfile alone reads without an error."""
    count = 0
    try:
        with soundfile.SoundFile(path) as file:
            while len(block := file.read(2**16 // file.channels)):
                count += len(block)
            return count, file.samplerate
    except soundfile.SoundFileError:
        return 0, RATE


def test_each_is_read_or_refused(damaged):
    tracemalloc.start()
    refused = {}
    for path, name in damaged.items():
        try:
            samples = load_audio(path, RATE)
        except AudioError as error:
            refused[path] = error.reason
            assert error.path == path and "\n" not in error.reason
            continue
        assert samples.dtype == "float32" and samples.ndim == 1, name
        assert np.isfinite(samples).all() and len(samples), name
        # no less than the decoder by itself, and what the length promises
        count, rate = plainly_decoded(path)
        slack = LOSSY_FRAMES * RATE / min(rate, RATE)
        assert len(samples) >= count * RATE / rate - slack, name
        promised = audio_seconds(path, RATE) * RATE
        assert abs(len(samples) - promised) <= slack, (name, path)
        for position in (0.0, 0.999):
            crop, _ = load_crop(path, RATE, "soundfile", 1000, position)
            assert len(crop), name
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert len(refused) < len(damaged) / 2  # a word is the second best
    pipeline = AudioPipeline(
        *(Frontend(sample_rate=RATE, num_mel_bins=16), 40, 16),
        on_error="skip",
    )
    clips = Clips(list(damaged), np.arange(len(damaged)) % 2, "ab")
    batches = list(pipeline.dataset(clips))
    assert all(np.isfinite(features).all() for features, _ in batches)
    assert dict(pipeline.skipped) == refused


@pytest.mark.parametrize(
    "name, times, suffixes",
    [
        ("twice", 2, "wav flac ogg mp3"),
        ("tag ahead", 1, "wav flac mp3"),
        ("zeros behind", 1, "wav flac ogg mp3 aiff caf w64"),
        ("of another suffix", 1, " ".join(FORMATS)),
    ],
)
def test_what_is_there_is_read(damaged, name, times, suffixes):
    """Damage that loses nothing costs nothing."""
    wanted, seen = int(RATE * SECONDS) * times, 0
    for path, damage in damaged.items():
        if damage == name and path.rpartition(".")[2] in suffixes.split():
            # lossy codecs may add frames at the end
            assert 0 <= len(load_audio(path, RATE)) - wanted <= LOSSY_FRAMES
            seen += 1
    assert seen == len(suffixes.split())


@pytest.mark.parametrize("suffix", ["wav", "aiff", "au", "w64"])
def test_as_much_is_read_as_was_left(damaged, suffix):
    length, seen = int(RATE * SECONDS), 0
    for path, damage in damaged.items():
        if damage.startswith("cut ") and path.endswith(f".{suffix}"):
            share = int(damage.split()[1]) / 9
            assert abs(len(load_audio(path, RATE)) / length - share) < 0.02
            seen += 1
    assert seen == 8
