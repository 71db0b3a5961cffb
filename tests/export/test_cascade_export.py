"""Exported cascades against those in Keras; which weights they share."""

import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_c2f import AST, AudioClassifier, Frontend
from keras_c2f.evaluation import Calibration
from keras_c2f.export import export_classifier
from keras_c2f.export.comparison import compare, size_of
from keras_c2f.inference import (
    Cascade,
    ExportedCascade,
    load_classifier,
)
from keras_c2f.inference.classifier import classifier_of
from keras_c2f.models.metadata import ClassifierInfo

for module in ("ai_edge_quantizer", "tf2onnx", "onnxruntime", "tensorflow"):
    pytest.importorskip(module, reason="needs the extra `export`")

RATE, SIZE, NAMES = 8000, 4000, ("dog", "rain", "sea")
FRONTEND = Frontend(sample_rate=RATE, num_mel_bins=32)
TEXTS = ("pool:4", "pool:2", "full")
TEMPERATURES = (1.5, 0.5, 0.8)
CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
VARIANTS = ["float32", "float16", "dynamic", "int8"]
SIDES = ("keras", "savedmodel", "litert", "onnx")


def make_network(width=24, depth=1, heads=3, seed=5):
    """The same weights on every backend; scores that differ by window."""
    backbone = AST(48, 32, (4, 8), width=width, depth=depth, num_heads=heads)
    network = AudioClassifier(backbone, len(NAMES))
    rng = np.random.default_rng(seed)
    weights = [
        value
        if value.ndim == 1
        else rng.normal(0, np.prod(value.shape[:-1]) ** -0.5, value.shape)
        for value in network.get_weights()
    ]
    network.set_weights([*weights[:-2], 20 * weights[-2], weights[-1]])
    return network


def windows(count=12):
    rng = np.random.default_rng(0)
    tones = np.sin(np.outer(rng.uniform(0.02, 2, count), range(SIZE)))
    waveforms = rng.uniform(0, 0.3, (count, 1)) * tones
    waveforms += rng.normal(0, 0.01, waveforms.shape)
    counts = rng.integers(SIZE // 2, SIZE, count).astype("int32")
    waveforms *= np.arange(SIZE) < counts[:, None]
    return waveforms.astype("float32"), counts


def make_cascade(
    network,
    threshold,
    texts=TEXTS,
    multi_label=False,
    temperatures=TEMPERATURES,
):
    info = ClassifierInfo(NAMES, RATE, SIZE, multi_label)
    alone = classifier_of(network, FRONTEND, info)
    cascade = Cascade(alone, texts)
    calibration = Calibration(
        *(texts, temperatures[: len(texts)], threshold),
        *(0.005, "accuracy", cascade.gmacs),
    )
    return Cascade(alone, texts, calibration)


def middle_threshold(network, texts=TEXTS, multi_label=False):
    """In the widest gap of what the first look is sure of: no tie decides."""
    coarse = make_cascade(network, 0.0, texts, multi_label).scores(*windows())
    sure = coarse.max(-1)
    if multi_label:
        sure = np.maximum(coarse, 1 - coarse).mean(-1)
    sure = np.sort(sure)[3:-3]
    widest = np.diff(sure).argmax()
    return float(sure[widest : widest + 2].mean())


def export(cascade, network, path, **options):
    return export_classifier(
        *(network, FRONTEND, NAMES, str(path), SIZE),
        multi_label=cascade.info.multi_label,
        cascade=cascade.calibration,
        **options,
    )


@pytest.fixture(scope="module")
def network():
    return make_network()


@pytest.fixture(scope="module")
def cascade(network):
    """In Keras, of three looks, at each of which windows end."""
    found = make_cascade(network, middle_threshold(network))
    found.scores(*windows())
    assert (found.num_ended > 0).all()
    return found


@pytest.fixture(scope="module")
def exported(cascade, network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cascades")
    return {
        name: export(cascade, network, folder / name, format=name)["float32"]
        for name in SIDES
    }


@pytest.mark.parametrize("name", SIDES)
def test_scores_and_ends(exported, cascade, name):
    before = cascade.num_ended.copy()
    expected = cascade.scores(*windows())
    ended = cascade.num_ended - before
    found = load_classifier(exported[name])
    assert isinstance(found, Cascade if name == "keras" else ExportedCascade)
    np.testing.assert_allclose(found.scores(*windows()), expected, atol=1e-4)
    assert list(found.num_ended) == list(ended)
    assert found.calibration == cascade.calibration
    assert found.resolutions == cascade.resolutions
    spent = np.dot(ended, np.cumsum(cascade.gmacs)) / ended.sum()
    assert found.relative_cost == pytest.approx(spent / cascade.gmacs[-1])
    stream = np.concatenate(windows()[0])
    one_by_one = [window.scores for window in found.predict(stream)]
    expected = [window.scores for window in cascade.predict(stream)]
    np.testing.assert_allclose(one_by_one, expected, atol=1e-4)


@pytest.mark.once
@pytest.mark.parametrize(
    "name, batch_size", [("litert", 0), ("litert", 5), ("onnx", 5)]
)
def test_batches_of_which_some_windows_end(
    cascade, network, tmp_path, name, batch_size
):
    """Twelve windows at once, and by fives, the last of which are padded."""
    path = export(
        *(cascade, network, tmp_path / "a"), format=name, batch_size=batch_size
    )["float32"]
    before = cascade.num_ended.copy()
    expected = cascade.scores(*windows())
    ended = cascade.num_ended - before
    found = load_classifier(path)
    np.testing.assert_allclose(found.scores(*windows()), expected, atol=1e-4)
    assert list(found.num_ended) == list(ended)


@pytest.mark.once
@pytest.mark.parametrize("name", ["keras", "litert"])
def test_several_labels_and_patches_of_other_lengths(tmp_path, name):
    """A kernel and a grid of its own at the coarse look."""
    network, texts = make_network(), ("patch:2", "full")
    threshold = middle_threshold(network, texts, multi_label=True)
    cascade = make_cascade(network, threshold, texts, multi_label=True)
    path = export(cascade, network, tmp_path / "a", format=name)["float32"]
    found = load_classifier(path)
    expected = cascade.scores(*windows())
    np.testing.assert_allclose(found.scores(*windows()), expected, atol=1e-4)
    assert list(found.num_ended) == list(cascade.num_ended)
    assert (cascade.num_ended > 0).all()


@pytest.mark.once
@pytest.mark.parametrize("name", ["keras", "onnx"])
def test_a_finest_look_that_is_coarser_than_the_network(tmp_path, name):
    """Weights are resized once, from those that were trained."""
    network, texts = make_network(), ("shift:2+pool:2", "shift:2")
    cascade = make_cascade(network, middle_threshold(network, texts), texts)
    path = export(cascade, network, tmp_path / "a", format=name)["float32"]
    found = load_classifier(path)
    assert found.info.resolution == "shift:2"
    expected = cascade.scores(*windows())
    np.testing.assert_allclose(found.scores(*windows()), expected, atol=1e-4)


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """By format and variant: a classifier, its coarse one, a cascade of both.

    Weights weigh more than graphs; no window ends at the coarse look.
    """
    network, texts = make_network(width=192), ("pool:4", "full")
    folder = tmp_path_factory.mktemp("larger")
    cascade = make_cascade(network, 1.01, texts, temperatures=(1.0, 1.0))
    variants = {
        "savedmodel": ["float32"],
        "litert": VARIANTS,
        "onnx": ["float32", "int8"],
    }
    found = {}
    for name, wanted in variants.items():
        options = {
            "format": name,
            "variants": wanted,
            "calibration": windows(4),
        }
        paths = [
            export_classifier(
                *(network, FRONTEND, NAMES, str(folder / f"{name}-{text[:4]}")),
                SIZE,
                resolution=text,
                **options,
            )
            for text in texts
        ]
        both = export(cascade, network, folder / f"{name}-two", **options)
        for variant in wanted:
            alone = [path[variant] for path in paths]
            found[name, variant] = (*alone, both[variant])
    return found


@pytest.mark.once
def test_weights_are_in_a_file_once(larger):
    for what, (_, full, both) in larger.items():
        # LiteRT keeps the scale of each channel, of 192 weights, for each
        # look, which is a sixteenth in 8 bits
        bound = 1.05 if what[1] == "float32" else 1.15
        assert size_of(both) < bound * size_of(full), what


@pytest.mark.once
@pytest.mark.parametrize("variant", VARIANTS)
def test_looks_of_other_numbers(larger, variant):
    """Each computes what a file of its own does: buffers hold the same."""
    from ai_edge_litert.interpreter import Interpreter

    *alone, both = larger["litert", variant]
    coarse, full = (load_classifier(p).scores(*windows(4)) for p in alone)
    interpreter = Interpreter(both)
    first, finer = map(interpreter.get_signature_runner, ("pool_4", "full"))
    for index, (row, count) in enumerate(zip(*windows(4), strict=True)):
        found = first(waveform=row[None], num_samples=count[None])
        np.testing.assert_allclose(found["scores"][0], coarse[index], atol=1e-4)
        found = finer(log_mel=found["log_mel"])
        np.testing.assert_allclose(found["scores"][0], full[index], atol=1e-4)


@pytest.mark.once
@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_a_finer_look_of_other_numbers(larger, variant):
    _, full, both = larger["onnx", variant]
    np.testing.assert_allclose(
        load_classifier(both).scores(*windows(4)),
        load_classifier(full).scores(*windows(4)),
        atol=1e-4,
    )


@pytest.mark.once
@pytest.mark.parametrize("name", SIDES[1:])
def test_clients_say_where_windows_ended(
    exported, cascade, name, tmp_path, monkeypatch, capsys
):
    soundfile = pytest.importorskip("soundfile")
    if not CLIENTS.exists():
        pytest.skip("needs the repository")
    path = tmp_path / "a.wav"
    soundfile.write(path, np.concatenate(windows()[0]), RATE, "PCM_16")
    samples, _ = soundfile.read(path, dtype="float32")
    expected = []
    for row in samples.reshape(-1, 1, SIZE):
        before = cascade.num_ended.copy()
        scores = cascade.scores(row)[0]
        (look,) = np.flatnonzero(cascade.num_ended - before)
        expected.append((f"at {TEXTS[look]}", 100 * scores.max()))
    client = name.replace("savedmodel", "saved_model")
    script = str(CLIENTS / f"classify_{client}.py")
    monkeypatch.setitem(sys.modules, "keras_c2f", None)  # clients lack it
    monkeypatch.setattr(sys, "argv", [script, exported[name], str(path)])
    runpy.run_path(script)
    lines = capsys.readouterr().out.splitlines()[: 4 * len(expected)]
    heads, tops = lines[::4], lines[1::4]
    for index, (at, top) in enumerate(expected):
        assert heads[index] == f"{index * SIZE / RATE:.1f} s, {at}"
        # one digit is printed
        found = float(tops[index].split()[-1][:-1])
        assert found == pytest.approx(top, abs=0.06)


@pytest.mark.once
def test_signatures_of_a_litert_file(exported, cascade):
    from ai_edge_litert.interpreter import Interpreter

    found = Interpreter(exported["litert"]).get_signature_list()
    assert found == {
        "pool_4": {
            "inputs": ["num_samples", "waveform"],
            "outputs": ["confidence", "log_mel", "scores"],
        },
        **{
            name: {
                "inputs": ["log_mel"],
                "outputs": ["confidence", "scores"],
            }
            for name in ("pool_2", "full")
        },
    }


@pytest.mark.once
def test_a_saved_model_describes_its_cascade(exported, cascade):
    import tensorflow as tf

    loaded = tf.saved_model.load(exported["savedmodel"])
    found = {k: v.numpy() for k, v in loaded.signatures["describe"]().items()}
    assert [r.decode() for r in found["resolutions"]] == list(TEXTS)
    np.testing.assert_allclose(found["temperatures"], TEMPERATURES)
    threshold = cascade.calibration.threshold
    assert found["threshold"] == pytest.approx(threshold)
    np.testing.assert_allclose(found["gmacs"], cascade.gmacs)
    first = loaded.signatures["pool_4"]
    waveforms, counts = map(tf.constant, windows())
    answer = first(waveform=waveforms, num_samples=counts)
    again = loaded.signatures["full"](log_mel=answer["log_mel"])
    expected = make_cascade(make_network(), None).scores(*windows())
    # without a threshold Keras looks at full alone
    np.testing.assert_allclose(again["scores"], expected, atol=1e-4)


@pytest.mark.once
def test_a_finer_look_is_not_computed_without_need(exported):
    """Nodes that ran, by ONNX Runtime's own profile."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = exported["onnx"]
    session = onnxruntime.InferenceSession(exported["onnx"], options)
    info = load_classifier(exported["onnx"]).info
    silence = np.zeros((1, SIZE), "float32"), np.array([SIZE], "int32")
    feeds = dict(zip(("waveform", "num_samples"), silence, strict=True))
    _, (ended,) = session.run(["scores", "ended"], feeds)
    path = session.end_profiling()
    names = [event["name"] for event in json.loads(Path(path).read_text())]
    looks = [any(n.startswith(f"look_{i}/") for n in names) for i in range(3)]
    assert looks == [i <= ended for i in range(3)]
    assert info.cascade["threshold"] > 0


@pytest.mark.once
def test_measured_beside_keras(exported, cascade):
    targets = np.eye(3)[np.arange(12) % 3]
    inputs = (*windows(), targets)
    reference = cascade.scores(*windows())
    row = compare(exported["litert"], reference, inputs)
    assert row["largest_difference"] < 1e-4 and row["num_clips"] == 12


@pytest.mark.once
def test_what_cannot_be_exported(network, tmp_path):
    for threshold, options, words in (
        (None, {}, "every clip goes on to full"),
        (0.5, {"resolution": "pool:2"}, "resolutions of its own"),
    ):
        cascade = make_cascade(network, threshold)
        with pytest.raises(ValueError, match=words):
            export(cascade, network, tmp_path / "a", **options)
    assert not os.listdir(tmp_path)
