"""What follows the samples of a file is read if it is audio, and only then."""

import struct

import numpy as np
import pytest
from test_containers import (
    RATE,
    content,
    decoded,
    ffmpeg,
    put,
    same_everywhere,
    tone,
)

from keras_c2f.audio import excerpt, load_audio, trailing
from keras_c2f.audio.decode import AudioError, audio_seconds, load_crop

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytestmark = pytest.mark.once
SUFFIXES = ("wav", "aiff", "au", "caf", "w64", "flac", "ogg", "mp3")
RNG = np.random.default_rng(0)
APE = b"APETAGEX" + struct.pack("<4I", 2000, 60, 1, 0xA0000000) + bytes(68)
ID3 = b"ID3\3\0\0\0\0\0\x10" + bytes(16)
JUNK = {
    "random": RNG.bytes(5000),
    "a few bytes": b"\x01\x02\x03\x07\x09\x11",
    "text": b"made with a recorder; channel 1\r\n" * 99,
    "one byte": b"\x7f" * 5000,
    "zeros": bytes(5000),
    "an APE tag": APE,
    "an ID3 tag": ID3,
    "an ID3v1 tag": b"TAG" + b"title".ljust(125, b"\0"),
    "all tags": APE + ID3 + b"TAG" + b"title".ljust(125, b"\0"),
}


def noisy(seconds=1.0, hz=440):
    samples = tone(seconds, hz)
    return samples + np.random.default_rng(1).normal(0, 0.01, len(samples))


def plain(tmp_path, suffix):
    """float32, what soundfile reads of the file that `content` has written."""
    return soundfile.read(tmp_path / f"good.{suffix}", dtype="float32")[0]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_audio_is_not_read(tmp_path, suffix, junk):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content(tmp_path, suffix, noisy()) + JUNK[junk])
    same_everywhere(path, plain(tmp_path, suffix))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
@pytest.mark.parametrize("level", [0.02, 2])
@pytest.mark.parametrize("suffix", ["wav", "aiff", "au", "caf"])
def test_more_samples_than_counted_are_read(tmp_path, suffix, level, subtype):
    """A recorder that lost power; it got louder, or quieter, by then."""
    samples = np.concatenate([noisy(), level * noisy()]) / 2
    data = content(tmp_path, suffix, samples, subtype=subtype)
    expected, name = plain(tmp_path, suffix), {"aiff": b"SSND", "au": b".snd"}
    position = data.index(name.get(suffix, b"data")) + 4
    size = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4, "ULAW": 1}[subtype] * RATE
    number = {
        "wav": struct.pack("<I", size),
        "aiff": struct.pack(">I", size + 8),
        "au": b"",
        "caf": struct.pack(">q", size + 4),
    }[suffix]
    if suffix == "au":
        position, number = 8, struct.pack(">I", size)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(put(data, position, number))
    same_everywhere(path, expected)


@pytest.mark.parametrize("behind", ["wav", "aiff", "au", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("between", [b"", APE])
def test_two_formats_in_one_file(tmp_path, suffix, behind, between):
    if suffix == behind:
        pytest.skip("two of one format: see test_containers")
    parts, path = [], tmp_path / f"a.{suffix}"
    data = content(tmp_path, suffix, noisy())
    parts.append(plain(tmp_path, suffix))
    data += between + content(tmp_path, behind, noisy(2.0, 700))
    parts.append(plain(tmp_path, behind))
    path.write_bytes(data)
    same_everywhere(path, np.concatenate(parts))


def test_three_formats_in_one_file(tmp_path):
    data, parts = b"", []
    for suffix in ("caf", "flac", "wav", "wav", "ogg"):
        data += content(tmp_path, suffix, noisy())
        parts.append(plain(tmp_path, suffix))
    path = tmp_path / "a.caf"
    path.write_bytes(data)
    same_everywhere(path, np.concatenate(parts))


def test_a_file_inside_the_metadata_of_flac_is_none(tmp_path):
    """As `flac --keep-foreign-metadata` stores the header of a WAV file."""
    data, wav = (
        content(tmp_path, suffix, noisy()) for suffix in ("flac", "wav")
    )
    block = b"riff" + wav[:44]
    # behind STREAMINFO, which is then not the last
    head = b"fLaC" + bytes([data[4] & 0x7F]) + data[5:42]
    head += bytes([2]) + len(block).to_bytes(3, "big") + block
    path = tmp_path / "a.flac"
    rest = data[42:] if not data[4] & 0x80 else b""
    path.write_bytes(head + rest)
    assert rest
    same_everywhere(path, plain(tmp_path, "flac"))


def test_wave64_says_where_its_samples_end(tmp_path):
    data, path = content(tmp_path, "w64", noisy()), tmp_path / "a.w64"
    path.write_bytes(data * 2)
    same_everywhere(path, np.tile(plain(tmp_path, "w64"), 2))
    position = data.index(b"data") + 16
    for size in (0, 2**40, 2**63 - 1, 2**64 - 1):  # of a stream
        path.write_bytes(put(data, position, struct.pack("<Q", size)))
        same_everywhere(path, plain(tmp_path, "w64"))
    guid = b"levl" + data[position - 12 : position]
    chunk = guid + struct.pack("<Q", 24 + 5000) + RNG.bytes(5000)
    path.write_bytes(data + chunk)
    same_everywhere(path, plain(tmp_path, "w64"))


@pytest.mark.parametrize("number", [2, 9, 150, 5000])
@pytest.mark.parametrize("bits", [("-q:a", 4), ("-b:a", "64k")])
def test_xing_header_with_a_wrong_number_of_frames(tmp_path, number, bits):
    """The number of bytes is right; ffmpeg reads as before."""
    soundfile.write(tmp_path / "a.wav", noisy(3.0), RATE)
    path = tmp_path / "a.mp3"
    ffmpeg("-i", tmp_path / "a.wav", *bits, path)
    expected, data = load_audio(path, RATE), path.read_bytes()
    assert len(expected) == 3 * RATE
    name = b"Xing" if b"Xing" in data else b"Info"
    position = data.index(name) + 8
    path.write_bytes(put(data, position, struct.pack(">I", number)))
    same_everywhere(path, expected)


def ogg_check_sum(page):
    """RFC 3533, bit by bit."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x104C11DB7 if value >> 31 else 0)
    return struct.pack("<I", value)


@pytest.mark.parametrize("number", [-1, -2, 0, 1000, 10**9])
@pytest.mark.parametrize("subtype, rate", [("VORBIS", RATE), ("OPUS", 48000)])
def test_last_page_of_ogg_that_does_not_say_its_place(
    tmp_path, monkeypatch, number, subtype, rate
):
    """As a program leaves it that was ended before it ended the stream."""
    monkeypatch.setattr(excerpt, "WHOLE_SECONDS", 1)
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.tile(noisy(3.0), rate // RATE), rate, subtype)
    expected, data = load_audio(path, rate), path.read_bytes()
    page = data.rindex(b"OggS")
    last = put(data[page:], 6, struct.pack("<q", number))
    last = put(last, 22, bytes(4))
    last = put(last, 22, ogg_check_sum(last))
    for times in (1, 2):
        path.write_bytes((data[:page] + last) * times)
        samples = load_audio(path, rate)
        # what the place cuts of the last packet
        assert 0 <= len(samples) - len(expected) < 1000
        np.testing.assert_allclose(
            samples[: len(expected)], expected, atol=1e-3
        )
        if times == 1 and subtype == "VORBIS":
            assert len(samples) == len(decoded(path))
        assert audio_seconds(path, rate) * rate == len(samples)
        crop, _ = load_crop(path, rate, "soundfile", 1000, 1.0)
        np.testing.assert_allclose(crop, samples[-1000:], atol=1e-3)
        expected = np.concatenate([samples, expected])


@pytest.mark.parametrize("suffix", ["wav", "w64", "caf", "aiff", "ogg", "flac"])
@pytest.mark.parametrize("value", [bytes(4), b"\xff" * 4, b"\x7f\1\2\3"])
def test_every_number_of_a_header_may_be_wrong(tmp_path, suffix, value):
    data, path = content(tmp_path, suffix, noisy()), tmp_path / f"a.{suffix}"
    for position in range(4, 72, 2):
        path.write_bytes(put(data, position, value))
        try:
            samples = load_audio(path, RATE)
        except AudioError as error:
            assert "\n" not in error.reason
        else:
            assert np.isfinite(samples).all()


def test_random_samples_are_no_junk(tmp_path):
    """White noise at full scale, that is: as random as what follows."""
    samples = np.random.default_rng(0).uniform(-1, 1, 2 * RATE)
    data, path = content(tmp_path, "wav", samples), tmp_path / "a.wav"
    position = data.index(b"data") + 4
    path.write_bytes(put(data, position, struct.pack("<I", 2 * RATE)))
    same_everywhere(path, plain(tmp_path, "wav"))


def test_bytes_that_look_like_one_frame_are_no_mp3():
    frame = b"\xff\xfb\x90\x00" + bytes(413)  # 128 kbit/s, 44.1 kHz
    assert trailing.find_file(frame * 3 + bytes(99), 0) is None
    assert trailing.find_file(bytes(9) + frame * 4, 0) == 9


def test_recordings_of_two_rates_and_formats_are_said(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(tmp_path / "b.flac", noisy(), 8000)
    data = content(tmp_path, "wav", noisy())
    path.write_bytes(data + (tmp_path / "b.flac").read_bytes())
    with pytest.raises(AudioError, match="of 8000 and 16000 Hz"):
        load_audio(path, RATE)
