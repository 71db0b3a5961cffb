"""Files whose header and content disagree: the content is read, all of it."""

import shutil
import struct
import subprocess

import numpy as np
import pytest

from keras_c2f.audio import containers, load_audio
from keras_c2f.audio.decode import (
    AudioError,
    audio_blocks,
    audio_seconds,
    load_crop,
)
from keras_c2f.data import AudioPipeline, Clips
from keras_c2f.layers.log_mel import Frontend

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytestmark = pytest.mark.once
RATE = 16000
UNKNOWN = b"\xff" * 4
DELAY = 1105  # samples that decoders of MP3 may cut at the start


def tone(seconds=1.0, hz=440):
    return np.sin(2 * np.pi * hz * np.arange(int(RATE * seconds)) / RATE) / 2


def content(tmp_path, suffix, samples, **options):
    """bytes of a file as soundfile writes it."""
    path = tmp_path / f"good.{suffix}"
    soundfile.write(path, samples, RATE, **options)
    return path.read_bytes()


def put(data, position, value):
    return data[:position] + value + data[position + len(value) :]


def ffmpeg(*arguments, **options):
    if not shutil.which("ffmpeg"):
        pytest.skip("needs ffmpeg")
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True, **options)


def decoded(path):
    """float32, what ffmpeg makes of a file."""
    raw = ("-f", "f32le", "-ac", "1", "-ar", RATE, "-")
    return np.frombuffer(ffmpeg("-i", path, *raw).stdout, "float32")


def same_everywhere(path, samples):
    """All ways to read a file agree on what it holds."""
    parts = np.concatenate(list(audio_blocks(path, RATE)))
    for got in (load_audio(path, RATE), parts):
        # decoders of MP3 and Vorbis round as the processor allows
        np.testing.assert_allclose(got, samples, rtol=0, atol=1e-6)
    assert round(audio_seconds(path, RATE) * RATE) == len(samples)


# WAV and its relatives


def wav_without_size(data, position):
    return put(put(data, position, bytes(4)), 4, bytes(4))


def wav_streamed(data, position):
    return put(put(data, position, UNKNOWN), 4, UNKNOWN)


def wav_too_large(data, position):
    return put(data, position, struct.pack("<I", len(data) + 10**6))


def wav_too_small(data, position):
    return put(data, position, struct.pack("<I", 1000))


def wav_checkpoint(data, position):
    """As a recorder leaves it that puts its header right now and then."""
    sizes = struct.pack("<I", 1000), struct.pack("<I", position + 1000 - 4)
    return put(put(data, position, sizes[0]), 4, sizes[1])


@pytest.mark.parametrize(
    "damage",
    [
        wav_without_size,
        wav_streamed,
        wav_too_large,
        wav_too_small,
        wav_checkpoint,
        lambda data, position: put(data, 4, bytes(4)),
        lambda data, position: put(data, position, bytes(4)),
        lambda data, position: data + b"TAG" + bytes(125),
        lambda data, position: data + b"LIST\x04\0\0\0INFO",
        lambda data, position: data + bytes(500),
    ],
)
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_wav_sizes(tmp_path, damage, subtype):
    samples = tone()
    data = content(tmp_path, "wav", samples, subtype=subtype)
    expected = soundfile.read(tmp_path / "good.wav", dtype="float32")[0]
    path = tmp_path / "bad.wav"
    path.write_bytes(damage(data, data.index(b"data") + 4))
    same_everywhere(path, expected)


def test_wav_without_samples_stays_so(tmp_path):
    data = content(tmp_path, "wav", np.zeros(0))
    path = tmp_path / "bad.wav"
    for behind in (b"", b"LIST\x04\0\0\0INFO"):
        path.write_bytes(data + behind)
        with pytest.raises(AudioError, match="has no samples"):
            load_audio(path, RATE)


def as_bw64(data):
    return put(data, 0, b"BW64")


def rf64_without_size(data):
    return put(data, data.index(b"ds64") + 8, bytes(24))


@pytest.mark.parametrize(
    "damage",
    [as_bw64, rf64_without_size, lambda d: rf64_without_size(d)[:9999]],
)
def test_rf64_and_bw64(tmp_path, damage):
    samples = tone()
    data = content(tmp_path, "wav", samples, format="RF64")
    expected = soundfile.read(tmp_path / "good.wav", dtype="float32")[0]
    path = tmp_path / "bad.wav"
    path.write_bytes(damage(data))
    if len(damage(data)) == 9999:
        position = data.index(b"data") + 8
        expected = expected[: (9999 - position) // 2]
    same_everywhere(path, expected)


def test_wav_of_more_than_4_gb(tmp_path):
    """ffmpeg, writing to a pipe, leaves its size unknown."""
    data = content(tmp_path, "wav", tone(0.1))
    path = tmp_path / "long.wav"
    with open(path, "wb") as file:
        file.write(wav_streamed(data, data.index(b"data") + 4))
        file.truncate(5 * 2**30)
        file.seek(-2, 2)
        file.write(b"\0\x40")
    assert audio_seconds(path, RATE) > 5 * 2**30 / 2 / RATE - 1
    last, _ = load_crop(path, RATE, "soundfile", 1000, 1.0)
    assert last[-1] == 0.5 and not last[:-1].any()


@pytest.mark.parametrize(
    "suffix, marker, values",
    [
        ("caf", b"data", [bytes(8), b"\xff" * 8, struct.pack(">q", 10**7)]),
        ("au", b"", [bytes(4), UNKNOWN, struct.pack(">I", 1000)]),
        ("aiff", b"SSND", [bytes(4), UNKNOWN, struct.pack(">I", 1000)]),
    ],
)
def test_sizes_of_caf_au_and_aiff(tmp_path, suffix, marker, values):
    data = content(tmp_path, suffix, tone())
    position = data.index(marker) + 4 if marker else 8
    expected = soundfile.read(tmp_path / f"good.{suffix}", dtype="float32")[0]
    for value in values:
        path = tmp_path / f"bad.{suffix}"
        path.write_bytes(put(data, position, value))
        same_everywhere(path, expected)


# Several in one file, and half of one


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "caf"])
@pytest.mark.parametrize("kinds", [1, 2])
def test_files_that_were_appended(tmp_path, suffix, kinds):
    """Also of one length, and a file to itself."""
    parts, expected = [], []
    for number in range(3):
        samples = tone(1.0, 300 + 200 * (number % kinds))
        parts.append(content(tmp_path, suffix, samples))
        good = tmp_path / f"good.{suffix}"
        expected.append(soundfile.read(good, dtype="float32")[0])
    path = tmp_path / f"three.{suffix}"
    path.write_bytes(b"".join(parts))
    same_everywhere(path, np.concatenate(expected))


@pytest.mark.parametrize("suffix", ["wav", "ogg", "mp3"])
@pytest.mark.parametrize("times", [1, 2])
def test_files_of_a_remote_store(tmp_path, suffix, times):
    pytest.importorskip("tensorflow")
    data = content(tmp_path, suffix, tone())
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data * times)
    samples = load_audio(f"file://{path}", RATE)
    np.testing.assert_array_equal(samples, load_audio(path, RATE))


def test_appended_files_of_two_rates_are_said(tmp_path):
    first = content(tmp_path, "wav", tone())
    soundfile.write(tmp_path / "b.wav", tone(), 8000)
    path = tmp_path / "two.wav"
    path.write_bytes(first + (tmp_path / "b.wav").read_bytes())
    with pytest.raises(AudioError, match="of 8000 and 16000 Hz"):
        load_audio(path, RATE)


def test_crops_of_appended_files(tmp_path):
    """A part is read where it lies, also across the seam."""
    halves = [tone(20.0, hz) for hz in (300, 500)]
    path = tmp_path / "two.flac"
    data = [content(tmp_path, "flac", half) for half in halves]
    path.write_bytes(b"".join(data))
    whole = load_audio(path, RATE)
    assert len(whole) == 40 * RATE
    for position in (0.0, 0.5, 1.0):
        crop, is_whole = load_crop(path, RATE, "soundfile", RATE, position)
        start = int(position * (len(whole) - RATE))
        assert not is_whole
        np.testing.assert_allclose(crop, whole[start:][:RATE], atol=1e-6)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.99, 1.0])
def test_flac_that_was_cut_or_streamed(tmp_path, known, share):
    samples = np.random.default_rng(0).normal(0, 0.1, 50_001)
    data = content(tmp_path, "flac", samples)
    good = soundfile.read(tmp_path / "good.flac", dtype="float32")[0]
    if not known:
        data = put(data, 21, bytes([data[21] & 0xF0, 0, 0, 0, 0]))
    path = tmp_path / "bad.flac"
    path.write_bytes(data[: int(len(data) * share)])
    got = load_audio(path, RATE)
    assert abs(len(got) - share * len(good)) <= 4096 + 500  # a frame
    assert share < 1 or len(got) == len(good)
    same_everywhere(path, good[: len(got)])
    if shutil.which("ffmpeg"):
        assert len(got) == len(decoded(path))


# MP3


@pytest.fixture(scope="module")
def loud_then_quiet(tmp_path_factory):
    """WAV whose first seconds need more bits than the rest."""
    path = tmp_path_factory.mktemp("mp3") / "whole.wav"
    noise = np.random.default_rng(0).normal(0, 0.3, 5 * RATE)
    soundfile.write(path, np.concatenate([noise, tone(60) / 9]), RATE)
    return path


@pytest.mark.parametrize("ahead", [b"", bytes(3000), b"ID3\3\0\0\0\0\0\1\0"])
def test_mp3_without_a_xing_header(tmp_path, loud_then_quiet, ahead):
    path = tmp_path / "a.mp3"
    ffmpeg("-i", loud_then_quiet, "-q:a", 4, "-write_xing", 0, path)
    path.write_bytes(ahead + path.read_bytes())
    expected = decoded(path)
    samples = load_audio(path, RATE)
    assert len(expected) - len(samples) <= DELAY
    lag = len(expected) - len(samples)
    np.testing.assert_allclose(samples, expected[lag:], atol=1e-3)
    same_everywhere(path, samples)
    crops = [load_crop(path, RATE, "soundfile", RATE, p)[0] for p in (0.5, 1)]
    assert [len(crop) for crop in crops] == [RATE, RATE]
    assert abs(np.abs(crops[1]).max() - 0.5 / 9) < 0.01


def test_every_crop_of_a_cut_mp3(tmp_path, loud_then_quiet):
    """Four whole files and four that end after 26 of 65 s, three epochs."""
    pytest.importorskip("tensorflow")
    whole = tmp_path / "whole.mp3"
    ffmpeg("-i", loud_then_quiet, "-b:a", "64k", whole)
    data = whole.read_bytes()
    paths = []
    for number in range(8):
        paths.append(tmp_path / f"{number}.mp3")
        end = len(data) * 4 // 10 if number % 2 else len(data)
        paths[-1].write_bytes(data[:end])
    cut = decoded(paths[1])
    assert abs(audio_seconds(paths[1], RATE) * RATE - len(cut)) <= 1152
    frontend = Frontend(sample_rate=RATE, num_mel_bins=16)
    pipeline = AudioPipeline(frontend, 100, 4, on_error="skip")
    clips = Clips(paths, np.arange(8) % 2, "ab")
    dataset = pipeline.dataset(clips, training=True)
    assert [sum(len(x) for x, _ in dataset) for _ in range(3)] == [8] * 3
    assert not pipeline.skipped


@pytest.mark.parametrize("rate", ["32k", "64k"])
def test_mp3_of_appended_streams_without_headers(tmp_path, rate):
    """As a radio stream that was saved: nothing says where one ends."""
    path, data = tmp_path / "a.mp3", b""
    soundfile.write(tmp_path / "a.wav", tone(3.0), RATE)
    for bits in ("32k", rate, "48k"):
        wav = tmp_path / "a.wav"
        ffmpeg("-i", wav, "-b:a", bits, "-write_xing", 0, path)
        data += path.read_bytes()
    path.write_bytes(data)
    expected, samples = decoded(path), load_audio(path, RATE)
    # ffmpeg leaves out frames where one stream ends
    assert abs(len(expected) - len(samples)) <= 4 * 576
    same_everywhere(path, samples)


# What audio cannot be


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("scale", [32768, 2**31, 128, 100, 12])
def test_samples_on_a_scale_that_audio_cannot_have(tmp_path, scale, channels):
    path = tmp_path / "a.wav"
    samples = np.tile(0.9 * scale * 2 * tone()[:, None], channels)
    soundfile.write(path, samples, RATE, "FLOAT")
    with pytest.raises(AudioError, match="not of .-1, 1.: divide them by"):
        load_audio(path, RATE)


@pytest.mark.parametrize("channels", [1, 2])
def test_integers_that_were_not_scaled(tmp_path, channels):
    """However quiet: 8 bits of a recording at -30 dB are up to 4."""
    path = tmp_path / "a.wav"
    samples = np.stack([8 * tone(), 6 * tone()][:channels], 1)
    soundfile.write(path, np.round(samples), RATE, "FLOAT")
    with pytest.raises(AudioError, match="not of .-1, 1.: divide them by"):
        load_audio(path, RATE)


@pytest.mark.parametrize("peak", [1.0, 1.42, 4.0, 9.0])
def test_too_loud_is_no_fault(tmp_path, peak):
    """Recorders of 32 bits float and decoders of Vorbis go beyond 1."""
    path = tmp_path / "a.wav"
    soundfile.write(path, 2 * peak * tone(), RATE, "FLOAT")
    expected = soundfile.read(path, dtype="float32")[0]
    np.testing.assert_array_equal(load_audio(path, RATE), expected)
    clipped = np.clip(9 * tone(), -1, 1)  # integers, for the most part
    soundfile.write(path, np.round(clipped), RATE, "FLOAT")
    np.testing.assert_array_equal(load_audio(path, RATE), np.round(clipped))


def test_channels_that_cancel_are_said(tmp_path):
    path, noise = tmp_path / "a.wav", np.random.default_rng(0).normal(size=RATE)
    left = tone() + 0.01 * noise
    soundfile.write(path, np.stack([left, -left], 1), RATE)
    with pytest.raises(AudioError, match="channels that cancel each other"):
        load_audio(path, RATE)
    with pytest.raises(AudioError, match="channels that cancel each other"):
        list(audio_blocks(path, RATE))
    for others in (np.zeros(RATE), left, noise / 9, -left / 2):
        soundfile.write(path, np.stack([left, others], 1), RATE)
        expected = soundfile.read(path, dtype="float32")[0].mean(1)
        np.testing.assert_allclose(load_audio(path, RATE), expected, atol=1e-6)
    soundfile.write(path, np.zeros((RATE, 2)), RATE)  # silence is no fault
    assert not load_audio(path, RATE).any()
    many = np.random.default_rng(0).normal(0, 0.1, (RATE, 500))
    soundfile.write(path, many, RATE)  # unrelated, so nearly nothing is left
    assert len(load_audio(path, RATE)) == RATE


@pytest.mark.parametrize("rate", [1, 2**31 - 1])
def test_rates_that_audio_cannot_have(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(), rate)
    with pytest.raises(AudioError, match=f"sample rate is {rate} Hz"):
        load_audio(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize(
    "content, name",
    [
        (b"\0\0\0\x20ftypM4A ", "MP4, M4A or 3GP"),
        (b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
        (b"#!AMR\n", "AMR"),
    ],
)
def test_formats_that_cannot_be_decoded_are_named(tmp_path, content, name):
    path = tmp_path / "a.mp3"
    path.write_bytes(content + bytes(500))
    with pytest.raises(AudioError, match=f"is {name}, .* ffmpeg -i IN OUT.wav"):
        load_audio(path, RATE)


def test_good_files_are_looked_at_once(tmp_path, monkeypatch):
    path, looks = tmp_path / "a.flac", []
    soundfile.write(path, tone(), RATE)
    find = containers.FORMATS[b"fLaC"]
    monkeypatch.setitem(
        containers.FORMATS,
        b"fLaC",
        lambda *args: looks.append(args) or find(*args),
    )
    for _ in range(3):
        load_audio(path, RATE)
    assert len(looks) == 1
    soundfile.write(path, tone(2.0), RATE)  # another file by that name
    assert len(load_audio(path, RATE)) == 2 * RATE and len(looks) == 2
