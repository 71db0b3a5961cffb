"""Windows over recordings that come in parts, and over hours of audio."""

import tracemalloc

import numpy as np
import pytest
from inference.fake import Recorder, make_classifier

from keras_c2f.audio.decode import AudioError

pytestmark = pytest.mark.once


def audio(length):
    return np.random.default_rng(0).uniform(size=length).astype("float32")


def fed(stream, samples, parts):
    windows = []
    for part in np.array_split(samples, parts):
        windows += stream.feed(part)
    return windows + stream.finish()


@pytest.mark.parametrize("overlap, hop", [(0, 50), (0.5, 25), (0.98, 1)])
@pytest.mark.parametrize("length", [50, 75, 137, 300])
@pytest.mark.parametrize("parts", [1, 7, 60])
def test_windows_are_slices_of_the_audio(overlap, hop, length, parts):
    run, samples = Recorder(), audio(length)
    stream = make_classifier(run).stream(overlap)
    windows = fed(stream, samples, parts)
    starts = [*range(0, length - 49, hop)]
    if starts[-1] + 50 < length:
        starts.append(length - 50)  # the last ends with the recording
    assert len(windows) == len(starts)
    for start, window, given in zip(starts, windows, run.windows, strict=True):
        np.testing.assert_array_equal(given, samples[start : start + 50])
        assert (window.start, window.end) == (start / 100, (start + 50) / 100)
        np.testing.assert_allclose(window.scores[1], given.mean(), rtol=1e-5)


def test_a_short_audio_is_padded_and_counted():
    run, samples = Recorder(), audio(20)
    (window,) = fed(make_classifier(run).stream(), samples, 3)
    np.testing.assert_array_equal(run.windows[0], samples)
    assert (window.start, window.end) == (0, 0.2)


def test_no_audio_has_no_window():
    stream = make_classifier().stream()
    assert stream.feed(np.zeros(0, "float32")) == []
    assert stream.finish() == []


def test_a_stream_takes_no_more_memory_the_longer_it_lasts():
    stream = make_classifier(num_samples=1000).stream(0.5)
    block = np.zeros(100, "float32")

    def feed(times):
        for _ in range(times):
            stream.feed(block)

    tracemalloc.start()
    feed(500)
    before = tracemalloc.get_traced_memory()[0]
    feed(5000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 100_000  # the 5,000 blocks have 2,000,000 bytes


@pytest.mark.parametrize(
    "samples, sentence",
    [
        (np.zeros(4, "int16"), "divide 16-bit integers by 32768"),
        (np.zeros((4, 2), "float32"), "of one channel"),
        (np.array([0, np.nan]), "NaN"),
        (np.array([0, 32767.0]), "16-bit integers by 32768"),
    ],
)
def test_samples_of_another_kind_are_refused(samples, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_classifier().stream().feed(samples)


@pytest.mark.parametrize("overlap", [-0.1, 1, 1.5])
def test_overlap_has_a_range(overlap):
    with pytest.raises(ValueError, match="below 1"):
        make_classifier().stream(overlap)


def test_scores_of_any_number_where_the_batch_is_fixed():
    plain, fixed = make_classifier(), make_classifier(batch_size=4)
    for batch in (1, 4, 6):
        rows = audio(batch * 50).reshape(batch, 50)
        counts = np.arange(1, batch + 1)
        np.testing.assert_array_equal(
            fixed.scores(rows, counts), plain.scores(rows, counts)
        )
    with pytest.raises(ValueError, match="A window has 50 samples"):
        plain.scores(audio(51)[None])


@pytest.mark.parametrize("rate", [100, 8000])
def test_a_file_is_classified_as_its_samples_are(tmp_path, rate):
    soundfile = pytest.importorskip("soundfile")
    soxr = pytest.importorskip("soxr")
    samples = audio(3 * rate) - 0.5
    soundfile.write(tmp_path / "a.wav", samples, rate, "FLOAT")
    classifier = make_classifier(Recorder(), sample_rate=4000, num_samples=1000)
    windows = list(classifier.predict(tmp_path / "a.wav", 0.25))
    expected = list(
        classifier.predict(soxr.resample(samples, rate, 4000), 0.25)
    )
    assert len(windows) == len(expected) == 16
    for window, other in zip(windows, expected, strict=True):
        assert (window.start, window.end) == (other.start, other.end)
        # the resampler in parts and at once
        np.testing.assert_allclose(window.scores, other.scores, atol=1e-4)


def test_hours_take_little_memory(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    hours, rate = 3, 8000
    with soundfile.SoundFile(
        tmp_path / "a.flac", "w", samplerate=rate, channels=1
    ) as file:
        for _ in range(hours * 6):
            file.write(np.zeros(600 * rate, "float32"))
    classifier = make_classifier(sample_rate=4000, num_samples=20000)
    tracemalloc.start()
    count = sum(1 for _ in classifier.predict(tmp_path / "a.flac"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == hours * 720
    assert peak < 40e6  # the whole recording has 345e6


@pytest.mark.parametrize(
    "content", [None, b"", b"RIFF, not really", b"fLaC" + bytes(400)]
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path, content):
    pytest.importorskip("soundfile")
    path = tmp_path / "a.flac"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match="a.flac: "):
        list(make_classifier().predict(path))


def test_a_file_cut_short_is_classified_as_far_as_it_goes(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "a.wav"
    soundfile.write(path, audio(1000), 100, "PCM_16")
    path.write_bytes(path.read_bytes()[:-1000])
    windows = list(make_classifier().predict(path))
    assert windows[-1].end == 5
