import os
import subprocess
import sys

import numpy as np
import pytest

from keras_c2f.audio.decode import AudioError, load_audio
from keras_c2f.utils.optional import LazyModule

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytestmark = pytest.mark.once
RATE = 16000


def tone(rate, seconds=0.5, hz=440):
    return np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate) / 2


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_formats(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, tone(RATE), RATE)
    samples = load_audio(path, RATE)
    assert samples.dtype == "float32"
    assert samples.ndim == 1
    # lossy codecs add up to a few frames and small errors
    assert 0 <= len(samples) - RATE // 2 < 3000
    lossless = ending in ("wav", "flac")
    if lossless:  # 16 bits
        np.testing.assert_allclose(samples, tone(RATE), atol=2**-15)
    else:
        assert abs(np.abs(samples).max() - 0.5) < 0.1


def test_stereo_is_averaged(tmp_path):
    left, right = tone(RATE), 0.2 * np.ones(RATE // 2)
    soundfile.write(
        tmp_path / "a.wav", np.stack([left, right], 1), RATE, "FLOAT"
    )
    samples = load_audio(str(tmp_path / "a.wav"), RATE)
    np.testing.assert_allclose(samples, (left + right) / 2, atol=1e-6)


def test_other_rates_are_converted(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(44100), 44100, "FLOAT")
    samples = load_audio(tmp_path / "a.wav", RATE)
    assert len(samples) == RATE // 2
    middle = slice(1000, -1000)  # the filter rings at the ends
    np.testing.assert_allclose(samples[middle], tone(RATE)[middle], atol=1e-3)


@pytest.mark.parametrize(
    "content, reason",
    [
        (None, "is not a file"),
        (b"", "is empty"),
        (b"no audio at all" * 100, "cannot be decoded"),
        (np.zeros(0), "has no samples"),
        (np.array([0, np.nan, 0]), "NaN or infinite"),
        (np.array([0, np.inf, 0]), "NaN or infinite"),
    ],
    ids=["missing", "empty", "text", "no samples", "nan", "inf"],
)
@pytest.mark.parametrize("rate", [RATE, 22050])
def test_bad_files_are_named_with_the_reason(tmp_path, content, reason, rate):
    path = tmp_path / "bad.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        soundfile.write(path, content, rate, "FLOAT")
    with pytest.raises(AudioError) as caught:
        load_audio(path, RATE)
    assert caught.value.path == str(path)
    assert reason in caught.value.reason
    assert str(caught.value).count(str(path)) == 1
    assert "\n" not in str(caught.value)


def test_the_reason_is_without_the_path(tmp_path):
    path = tmp_path / "bär.wav"
    path.write_bytes(b"no audio at all")
    with pytest.raises(AudioError) as caught:
        load_audio(path, RATE)
    assert caught.value.reason == "cannot be decoded (Format not recognised)"


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_not_utf8(tmp_path):
    """As an old ZIP file leaves them."""
    good, bad = tmp_path / "b\udce4r.wav", tmp_path / "kaputt\udce4.wav"
    try:
        bad.write_bytes(b"no audio")
    except OSError:
        pytest.skip("the file system takes no such name")
    with open(good, "wb") as file:
        soundfile.write(file, tone(RATE), RATE, format="WAV")
    assert len(load_audio(good, RATE)) == len(tone(RATE))
    with pytest.raises(AudioError, match=r"kaputt\\udce4.wav: cannot be dec"):
        load_audio(bad, RATE)


def test_headerless_file_is_refused(tmp_path):
    path = tmp_path / "bad.raw"
    path.write_bytes(bytes(100))
    with pytest.raises(AudioError, match="bad.raw: cannot be decoded"):
        load_audio(path, RATE)


def test_arrays_are_checked():
    samples = load_audio(tone(RATE), RATE)
    assert samples.dtype == "float32"
    with pytest.raises(AudioError, match="not mono"):
        load_audio(np.zeros((2, 5)), RATE)
    with pytest.raises(AudioError, match="no samples"):
        load_audio(np.zeros(0), RATE)


@pytest.mark.parametrize("rate", [0, -1, 1, 1e9, np.nan, None, "16000"])
def test_rates_that_nothing_can_be_resampled_to(tmp_path, rate):
    """Not a number took forever."""
    soundfile.write(tmp_path / "a.wav", tone(RATE), RATE)
    for audio in (tmp_path / "a.wav", tone(RATE)):
        with pytest.raises(ValueError, match="`sample_rate` is a number from"):
            load_audio(audio, rate)


def test_unknown_decoder_is_refused():
    with pytest.raises(ValueError, match="`decoder` is one of"):
        load_audio("a.wav", RATE, decoder="ffmpeg")


def test_missing_package_names_its_extra():
    with pytest.raises(ImportError, match=r'-e "\.\[audio\]"'):
        _ = LazyModule("soundfile.no_such_module").read


def test_tensorflow_io_reads_the_same(tmp_path):
    pytest.importorskip("tensorflow_io")
    soundfile.write(tmp_path / "a.flac", tone(RATE), RATE)
    try:
        samples = load_audio(tmp_path / "a.flac", RATE, "tensorflow-io")
    except ImportError as error:
        assert "up to 2.17" in str(error)
    else:
        np.testing.assert_allclose(samples, tone(RATE), atol=2**-14)


@pytest.mark.parametrize("module", ["keras_c2f", "keras_c2f.data"])
def test_import_loads_no_tensorflow(module):
    code = (
        "import os; os.environ['KERAS_BACKEND'] = 'torch'\n"
        f"import sys, {module}\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
