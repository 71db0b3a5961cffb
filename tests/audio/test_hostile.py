"""200 made files, few of them as they should be: none ends a run."""

import struct
import tracemalloc

import numpy as np
import pytest

from keras_c2f.audio import excerpt as excerpts
from keras_c2f.audio import load_audio
from keras_c2f.audio.decode import AudioError, load_crop
from keras_c2f.data import AudioPipeline, Augment, Clips
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models import preset_frontend

pytest.importorskip("tensorflow")
soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

pytestmark = pytest.mark.once
RATE = 4000
SMALL = Frontend(sample_rate=RATE, num_mel_bins=16)
THREE_HOURS = 3 * 3600


def audio(rng, rate=RATE, seconds=0.3, channels=1):
    return rng.normal(0, 0.1, (max(int(rate * seconds), 1), channels))


def write(subtype=None, ending="wav", written_as=None, rate=RATE, **options):
    """Maker of a file that can be used, however odd."""

    def make(path, rng):
        soundfile.write(
            *(path, audio(rng, rate, **options), rate, subtype),
            format=written_as or ending,
        )

    make.ending = ending
    return make


def put(make_bytes, ending="wav"):
    """Maker of a file of given bytes."""

    def make(path, rng):
        path.write_bytes(make_bytes(rng))

    make.ending = ending
    return make


def constant(value):
    """Maker of a float file with one sample of `value`."""

    def make(path, rng):
        samples = audio(rng)
        samples[len(samples) // 2] = value
        soundfile.write(path, samples, RATE, "FLOAT")

    make.ending = "wav"
    return make


def damaged(ending, damage):
    """Maker of a compressed file that is damaged by `damage(bytes, rng)`."""

    def make(path, rng):
        soundfile.write(path, audio(rng, 16000, 1.0), 16000)
        path.write_bytes(bytes(damage(bytearray(path.read_bytes()), rng)))

    make.ending = ending
    return make


def cut(content, rng):
    return content[: rng.integers(50, len(content))]


def flip(content, rng):
    for position in rng.integers(0, len(content), 20):
        content[position] ^= 1 << rng.integers(8)
    return content


def without_length(content, rng):
    """A FLAC as streaming encoders write it: 0 samples in its header."""
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return content


def sparse(rate, seconds, channels=1):
    """Maker of a long silent WAV that takes no room on the disk."""

    def make(path, rng):
        size = 2 * channels * rate * seconds
        layout = (1, channels, rate, 2 * channels * rate, 2 * channels, 16)
        chunk = struct.pack("<HHIIHH", *layout)
        header = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt "
        header += struct.pack("<I", 16) + chunk + b"data"
        with path.open("wb") as file:
            file.write(header + struct.pack("<I", size))
            file.truncate(44 + size)

    make.ending = "wav"
    return make


USABLE = {
    "8 bit": write("PCM_U8"),
    "24 bit": write("PCM_24"),
    "32 bit": write("PCM_32"),
    "float": write("FLOAT"),
    "double": write("DOUBLE"),
    "mu-law": write("ULAW"),
    "cannot seek": write("G721_32"),
    "96 kHz": write(rate=96000),
    "odd rate": write(rate=7919),
    "6 channels": write(channels=6),
    "0.01 s": write(seconds=0.01),
    "one sample": write(seconds=0),
    "FLAC named WAV": write(written_as="flac"),
    "WAV named MP3": write(ending="mp3", written_as="wav"),
    "no ending": write(ending="", written_as="ogg"),
    "AIFF": write(ending="aiff"),
    "CAF": write(ending="caf"),
    "Opus": write("OPUS", ending="ogg", rate=48000),
    "FLAC without length": damaged("flac", without_length),
    "truncated WAV": damaged("wav", cut),
    "3 h": sparse(RATE, THREE_HOURS),
}
UNUSABLE = {
    "no bytes": put(lambda rng: b""),
    "zeros": put(lambda rng: bytes(2000)),
    "noise": put(lambda rng: rng.bytes(2000)),
    "text": put(lambda rng: b"no audio at all\n" * 200),
    "text named MP3": put(lambda rng: b"no audio at all\n" * 200, "mp3"),
    "picture": put(lambda rng: b"\x89PNG\r\n\x1a\n" + rng.bytes(500), "flac"),
    "headerless": put(lambda rng: rng.bytes(2000), "raw"),
    "header alone": sparse(RATE, 0),
    "half a header": put(lambda rng: b"RIFF\x24\x08\0\0WAVEfmt "),
    "1 Hz": write(rate=1, seconds=20),
    "NaN": constant(np.nan),
    "infinite": constant(-np.inf),
    "out of proportion": constant(1e30),
    "not scaled": constant(32767.0),
}
EITHER = {  # as the decoder finds; it must be said, or finite
    f"{kind} {ending}": damaged(ending, damage)
    for ending in ("flac", "ogg", "mp3", "wav")
    for kind, damage in (("cut", cut), ("flipped", flip))
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """`Clips` of 200 files, and the kind of each path."""
    folder = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    makers = [*USABLE.items(), *UNUSABLE.items(), *EITHER.items()]
    kinds = {}
    for number in range(200):
        kind, make = makers[number % len(makers)]
        path = folder / f"{number}.{make.ending}".rstrip(".")
        make(path, rng)
        kinds[str(path)] = kind
    return Clips(list(kinds), np.arange(200) % 2, "ab"), kinds


@pytest.mark.parametrize("frontend", [SMALL, preset_frontend("hts_at_micro")])
def test_200_files(hostile, frontend):
    clips, kinds = hostile
    pipeline = AudioPipeline(
        *(frontend, 40, 16), on_error="skip", augment=Augment(mixup=0.5)
    )
    for training in (False, True):
        batches = list(pipeline.dataset(clips, training))
        assert all(np.isfinite(x).all() for x, _ in batches)
        assert sum(len(x) for x, _ in batches) == 200 - len(pipeline.skipped)
    skipped = {kinds[path] for path, _ in pipeline.skipped}
    assert skipped >= set(UNUSABLE)
    assert not skipped & set(USABLE)
    for path, reason in pipeline.skipped:
        assert reason and "\n" not in reason and path not in reason


@pytest.mark.parametrize(
    "ending, subtype, rate",
    [
        ("wav", None, 16000),
        ("wav", "PCM_24", 44100),
        ("wav", "G721_32", 16000),  # cannot seek
        ("wav", None, 7919),
        ("flac", None, 22050),
        ("ogg", None, 16000),
        ("mp3", None, 16000),
    ],
)
@pytest.mark.parametrize("position", [0.0, 0.37, 0.999])
def test_crop_of_a_long_file(
    tmp_path, monkeypatch, ending, subtype, rate, position
):
    """Read in part, it is what it would be of the whole."""
    monkeypatch.setattr(excerpts, "WHOLE_SECONDS", 1)
    path = tmp_path / f"long.{ending}"
    rng = np.random.default_rng(0)
    soundfile.write(path, audio(rng, rate, 5), rate, subtype)
    whole = load_audio(path, 16000)
    samples, is_whole = load_crop(path, 16000, "soundfile", 8000, position)
    assert not is_whole
    start = excerpts.crop_start(len(whole), 8000, position)
    # resampled in part, the filter starts elsewhere
    np.testing.assert_allclose(samples, whole[start : start + 8000], atol=1e-5)


def test_crop_of_a_short_file_leaves_it_whole(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.ones(16000) / 2, 16000)
    options = (tmp_path / "a.wav", 16000, "soundfile", 4000, 0.5)
    samples, is_whole = load_crop(*options)
    assert is_whole
    assert len(samples) == 16000


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Three hours of 44.1 kHz stereo are 3.8 GB of float32."""
    path = tmp_path / "long.wav"
    sparse(44100, THREE_HOURS, channels=2)(path, None)
    clips = Clips([path] * 4, [0, 1] * 2, "ab")
    pipeline = AudioPipeline(Frontend(), 1024, 2)
    tracemalloc.start()
    for features, _ in pipeline.dataset(clips, training=True):
        assert features.shape == (2, 1024, 128)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 11 s as stereo block, as mono, resampled, in several threads
    assert peak < 60e6


def test_memory_does_not_grow_with_the_channels(tmp_path):
    """Three seconds of 1000 channels are 190 MB of float32."""
    path = tmp_path / "wide.wav"
    sparse(16000, 3, channels=1000)(path, None)
    tracemalloc.start()
    assert len(load_audio(path, 16000)) == 3 * 16000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_only_the_part_that_is_read_is_judged(tmp_path):
    """One NaN in hours of audio spoils the crops that hold it."""
    path = tmp_path / "long.wav"
    samples = np.ones(RATE * 70) / 2
    samples[-RATE:] = np.nan
    soundfile.write(path, samples, RATE, "FLOAT")
    leading, _ = load_crop(path, RATE, "soundfile", RATE, 0.0)
    np.testing.assert_array_equal(leading, samples[:RATE])
    with pytest.raises(AudioError, match="NaN"):
        load_crop(path, RATE, "soundfile", RATE, 0.999)
