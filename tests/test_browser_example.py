"""The page in `examples/browser`, driven in a headless Chromium."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_c2f import AST, AudioClassifier, Frontend
from keras_c2f.evaluation import Calibration
from keras_c2f.export import export_classifier
from keras_c2f.inference import Cascade, load_classifier
from keras_c2f.inference.classifier import classifier_of
from keras_c2f.models.metadata import ClassifierInfo

pytestmark = [pytest.mark.once, pytest.mark.slow]
PAGE = Path(__file__).parents[1] / "examples" / "browser"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
NAMES = tuple(f"class {index}" for index in range(10))
CLIPS = "1-17367-A-10.ogg", "4-163264-A-10.ogg", "5-177957-D-40.ogg"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A copy of the page, what it needs installed."""
    if not PAGE.exists():
        pytest.skip("needs the repository")
    if not CHROMIUM or not shutil.which("npm"):
        pytest.skip("needs Chromium and npm")
    for module in ("tf2onnx", "onnxruntime", "soundfile"):
        pytest.importorskip(module, reason="needs the extra `export`")
    folder = tmp_path_factory.mktemp("browser") / "page"
    shutil.copytree(PAGE, folder, ignore=shutil.ignore_patterns("node_modules"))
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=folder, check=True, capture_output=True)
    return folder


def make_network():
    """Random weights, large enough to tell recordings apart."""
    keras.utils.set_random_seed(0)
    backbone = AST.from_size("micro", num_frames=512)
    network = AudioClassifier(backbone, 10)
    weights = network.get_weights()
    network.set_weights([*weights[:-2], 20 * weights[-2], weights[-1]])
    return network


def export(network, path, **options):
    """Path of an ONNX file."""
    paths = export_classifier(
        *(network, Frontend(), NAMES, str(path), 80000),
        format="onnx",
        **options,
    )
    return paths["float32"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return export(make_network(), tmp_path_factory.mktemp("model") / "a")


def drive(page, model, *arguments):
    """What the page says of recordings, a dict each."""
    done = subprocess.run(
        ["npm", "test", "--silent", "--", model, *map(str, arguments)],
        cwd=page,
        env={**os.environ, "CHROMIUM": CHROMIUM},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_scores_are_those_of_python(page, model, shared_data, tmp_path):
    import soundfile

    audio = shared_data / "esc50" / "audio"
    recordings = [
        soundfile.read(audio / name, dtype="float32") for name in CLIPS
    ]
    paths = [tmp_path / f"{index}.wav" for index in range(len(CLIPS))]
    for path, (samples, rate) in zip(paths, recordings, strict=True):
        soundfile.write(path, samples, rate)
    picture = tmp_path / "page.png"
    found = drive(page, model, *paths, "--screenshot", picture)
    assert picture.stat().st_size > 10_000
    classifier = load_classifier(model)
    expected = []
    for path, row in zip(paths, found, strict=True):
        (window,) = classifier.predict(path)
        np.testing.assert_allclose(row["scores"], window.scores, atol=1e-3)
        assert row["top"] == f"class {window.scores.argmax()}"
        assert row["windows"] == 1
        expected.append(window.scores)
    assert np.ptp(expected, axis=0).max() > 0.05  # the clips differ


def test_a_cascade_says_which_windows_it_looked_at_again(page, tmp_path):
    import soundfile

    network, texts = make_network(), ("pool:4", "full")
    info = ClassifierInfo(NAMES, 16000, 80000)
    alone = classifier_of(network, Frontend(), info)
    rng = np.random.default_rng(0)
    loudness = np.repeat(rng.uniform(0, 0.5, 12), 40000)
    tones = np.sin(np.cumsum(np.repeat(rng.uniform(0.05, 1, 12), 40000)))
    soundfile.write(tmp_path / "a.wav", loudness * tones, 16000, "FLOAT")

    def cascade(threshold):
        options = (0.005, "accuracy", (0.25, 1.0))
        known = Calibration(texts, (1.5, 0.8), threshold, *options)
        found = Cascade(alone, texts, known)
        return found, list(found.predict(tmp_path / "a.wav", 0.5))

    sure = [window.scores.max() for window in cascade(0.0)[1]]
    ordered = np.sort(sure)[2:-2]
    widest = np.diff(ordered).argmax()
    threshold = float(ordered[widest : widest + 2].mean())
    python, windows = cascade(threshold)
    calibration = python.calibration
    model = export(network, tmp_path / "both", cascade=calibration)
    (row,) = drive(page, model, tmp_path / "a.wav")
    assert row["ended"] == [int(value < threshold) for value in sure]
    assert list(python.num_ended) == np.bincount(row["ended"]).tolist()
    expected = np.mean([window.scores for window in windows], axis=0)
    np.testing.assert_allclose(row["scores"], expected, atol=1e-3)


def test_it_classifies_a_microphone(page, model, tmp_path):
    import soundfile

    samples = np.random.default_rng(0).normal(0, 0.1, 16000 * 10)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    (row,) = drive(page, model, "--mic", tmp_path / "a.wav")
    assert len(row["scores"]) == 10


@pytest.mark.parametrize("rate", [16000, 44100])
def test_windows_are_those_of_predict(page, model, tmp_path, rate):
    """Shorter than a window, one window, one sample more, and stereo."""
    import soundfile

    seconds = 5
    lengths = [seconds * rate // 2, seconds * rate, seconds * rate + 1]
    paths = []
    for length in [*lengths, 13 * rate]:
        rng = np.random.default_rng(length)
        audio = rng.normal(0, 0.1, (length, 2)) + 0.1 * np.sin(
            np.arange(length)[:, None] ** 1.3 / rate
        )
        paths.append(tmp_path / f"{length}.wav")
        soundfile.write(paths[-1], audio, rate, "FLOAT")
    found = drive(page, model, *paths)
    classifier = load_classifier(model)
    for path, row in zip(paths, found, strict=True):
        windows = list(classifier.predict(path, 0.5))
        right = np.mean([window.scores for window in windows], axis=0)
        assert row["windows"] == len(windows), path
        # another resampler
        atol = 1e-3 if rate == 16000 else 1e-2
        np.testing.assert_allclose(row["scores"], right, atol=atol)
