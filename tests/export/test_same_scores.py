"""The same recording gives the same scores, whatever program scores it.

Where windows lie is counted here; what Keras makes of these slices is what
exports, clients, server and page are compared with.
"""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from inference.fake import Recorder, make_classifier

from keras_c2f import AST, AudioClassifier, Frontend
from keras_c2f.export import export_classifier
from keras_c2f.inference import load_classifier
from keras_c2f.inference.classifier import classifier_of
from keras_c2f.models.metadata import ClassifierInfo

soundfile = pytest.importorskip("soundfile", reason="needs the extra `audio`")
pytestmark = pytest.mark.once
EXAMPLES = Path(__file__).parents[2] / "examples"
RATE, SIZE, NAMES = 8000, 4000, ("dog", "rain", "sea")
STARTS = {  # by the length of the recording
    300: [0],
    SIZE: [0],
    SIZE + 1: [0, 1],
    2 * SIZE: [0, SIZE],
    2 * SIZE + 1000: [0, SIZE, SIZE + 1000],
}
HALF = {  # with windows that overlap by half
    300: [0],
    SIZE: [0],
    SIZE + 1: [0, 1],
    2 * SIZE: [0, 2000, 4000],
    2 * SIZE + 1000: [0, 2000, 4000, 5000],
}
CLIENTS = {
    "classify_litert.py": "litert",
    "classify_onnx.py": "onnx",
    "classify_saved_model.py": "savedmodel",
}


@pytest.fixture(scope="module")
def trained():
    """A network of random weights, whose scores differ between recordings."""
    keras.utils.set_random_seed(2)
    frontend = Frontend(sample_rate=RATE, num_mel_bins=32)
    backbone = AST(48, 32, (8, 8), width=24, depth=1, num_heads=3)
    network = AudioClassifier(backbone, len(NAMES))
    weights = network.get_weights()
    network.set_weights([*weights[:-2], 20 * weights[-2], weights[-1]])
    return network, frontend


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """Paths of the classifier in each format."""
    for module in ("ai_edge_quantizer", "tf2onnx", "onnxruntime", "tensorflow"):
        pytest.importorskip(module, reason="needs the extra `export`")
    folder = tmp_path_factory.mktemp("exported")
    paths = {}
    for name in ("keras", "savedmodel", "litert", "onnx"):
        out = (NAMES, str(folder / name), SIZE)
        found = export_classifier(*trained, *out, format=name)
        paths[name] = found["float32"]
    return paths


@pytest.fixture(scope="module")
def score(trained):
    """Function from windows to what Keras makes of them."""
    info = ClassifierInfo(NAMES, RATE, SIZE)
    classifier = classifier_of(*trained, info)
    return lambda windows: np.concatenate(
        [classifier.scores(window[None]) for window in windows]
    )


@pytest.fixture(scope="module", params=STARTS)
def recording(request, tmp_path_factory):
    """Stereo WAV of some length; its samples, mixed to one channel."""
    length = request.param
    rng = np.random.default_rng(length)
    tone = np.sin(np.cumsum(np.linspace(0.1, 2, length)))
    channels = 0.3 * tone[:, None] + rng.normal(0, 0.05, (length, 2))
    path = tmp_path_factory.mktemp("audio") / f"{length}.wav"
    soundfile.write(path, channels, RATE, "PCM_16")
    samples = soundfile.read(path, dtype="float32")[0].mean(1)
    return str(path), samples


def slices(samples, starts):
    return [samples[start : start + SIZE] for start in starts[len(samples)]]


def test_each_export(exported, recording, score):
    path, samples = recording
    right = score(slices(samples, STARTS))
    for name, model in exported.items():
        windows = list(load_classifier(model).predict(path))
        starts = [round(window.start * RATE) for window in windows]
        assert starts == STARTS[len(samples)], name
        found = [window.scores for window in windows]
        np.testing.assert_allclose(found, right, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("script", CLIENTS)
def test_clients(exported, recording, score, script, monkeypatch, capsys):
    if not EXAMPLES.exists():
        pytest.skip("needs the repository")
    path, samples = recording
    monkeypatch.setitem(sys.modules, "keras_c2f", None)  # clients lack it
    monkeypatch.setattr(sys, "argv", [script, exported[CLIENTS[script]], path])
    runpy.run_path(str(EXAMPLES / "clients" / script))
    lines = capsys.readouterr().out.splitlines()
    starts = STARTS[len(samples)]
    assert lines[:: 1 + len(NAMES)] == [f"{s / RATE:.1f} s" for s in starts]
    for number, right in enumerate(score(slices(samples, STARTS))):
        rows = lines[number * 4 + 1 :][: len(NAMES)]
        found = dict(row.rsplit(maxsplit=1) for row in rows)
        for name, value in zip(NAMES, right, strict=True):
            share = {k.strip(): v for k, v in found.items()}[name]
            # one digit is printed
            assert float(share[:-1]) == pytest.approx(100 * value, abs=0.06)


@pytest.mark.parametrize("script", CLIENTS)
def test_clients_refuse_another_rate(exported, tmp_path, script, monkeypatch):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, np.zeros(100), 44100, "PCM_16")
    monkeypatch.setattr(sys, "argv", [script, exported[CLIENTS[script]], path])
    with pytest.raises(SystemExit, match=f"16-bit WAV of {RATE} Hz is wanted"):
        runpy.run_path(str(EXAMPLES / "clients" / script))


def test_server(exported, recording, score, monkeypatch):
    for module in ("starlette", "soxr"):
        pytest.importorskip(module)
    monkeypatch.syspath_prepend(str(EXAMPLES / "server"))
    inputs = pytest.importorskip("inputs", reason="needs the repository")
    import scoring

    path, samples = recording
    served = scoring.Model(exported["onnx"])
    received = inputs.read_audio(Path(path).read_bytes(), RATE)
    starts, windows = served.windows(received, 0.5)
    assert list(starts) == HALF[len(samples)]
    right = score(slices(samples, HALF))
    np.testing.assert_allclose(served.scores(windows), right, atol=1e-4)
    for name in ("inputs", "scoring"):
        sys.modules.pop(name)


def test_another_rate_is_one_recording_to_server_and_exports(
    exported, tmp_path, monkeypatch
):
    for module in ("starlette", "soxr"):
        pytest.importorskip(module)
    monkeypatch.syspath_prepend(str(EXAMPLES / "server"))
    inputs = pytest.importorskip("inputs", reason="needs the repository")
    import scoring

    path = tmp_path / "a.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (30_001, 2))
    soundfile.write(path, noise, 22050, "FLOAT")
    served = scoring.Model(exported["onnx"])
    received = inputs.read_audio(path.read_bytes(), RATE)
    starts, windows = served.windows(received, 0.5)
    found = served.scores(windows)
    for name, model in exported.items():
        right = list(load_classifier(model).predict(path, 0.5))
        assert [round(w.start * RATE) for w in right] == list(starts), name
        scores = [window.scores for window in right]
        np.testing.assert_allclose(found, scores, atol=1e-4, err_msg=name)
    for name in ("inputs", "scoring"):
        sys.modules.pop(name)


def test_page():
    """Of any length, also where half a window is no whole sample."""
    if not shutil.which("node") or not EXAMPLES.exists():
        pytest.skip("needs Node.js and the repository")
    cases = [(n, size) for size in (1, 2, 5, 50, 51) for n in range(1, 200, 7)]
    script = (
        f"import {{ windows }} from {str(EXAMPLES / 'browser/windows.js')!r};"
        f"const cases = {json.dumps(cases)};"
        "const found = cases.map(([n, size]) => windows(n, size));"
        "console.log(JSON.stringify(found));"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for (n, size), found in zip(cases, json.loads(done.stdout), strict=True):
        run = Recorder()
        classifier = make_classifier(run, num_samples=size)
        windows = list(classifier.predict(np.arange(n) / 1000, 0.5))
        positions = [[w.start, w.end] for w in windows]
        seconds = [[w["start"] / 100, w["end"] / 100] for w in found]
        assert seconds == positions, (n, size)
