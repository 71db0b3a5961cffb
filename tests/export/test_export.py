"""Each format against Keras, opened by its own runtime without our package."""

import json
import os
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_c2f import AST, HTSAT, AudioClassifier, Frontend
from keras_c2f.export import FORMATS, at_resolution, export_classifier
from keras_c2f.inference import load_classifier
from keras_c2f.inference.classifier import classifier_of
from keras_c2f.inference.runtimes import OPENERS
from keras_c2f.models.metadata import FILE_NAME, PROPERTY, ClassifierInfo
from keras_c2f.models.presets import HTS_AT_FRONTEND

for module in ("ai_edge_quantizer", "tf2onnx", "onnxruntime", "tensorflow"):
    pytest.importorskip(module, reason="needs the extra `export`")

NAMES = ("dog", "rain", "sea, waves", "Bär", "e")
SECONDS = 1.0
KALDI = Frontend(sample_rate=8000, num_mel_bins=32)
WIDTH = 24
# float16 rounds weights by 2**-11; LiteRT's 8 bits by 2**-8 of the largest,
# ONNX's 7 by 2**-7. With 8 bits ONNX Runtime on AVX2 was off by 0.18.
TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "dynamic": 0.05, "int8": 0.2}


def windows(num=6):
    """Tones in noise, some of them short, and silence at the end."""
    rng = np.random.default_rng(0)
    size = int(SECONDS * 8000)
    time = np.arange(size) / 8000
    hz = rng.uniform(200, 3000, (num, 1))
    waveforms = 0.3 * np.sin(2 * np.pi * hz * time)
    waveforms += rng.normal(0, 0.02, (num, size))
    counts = np.array([size, size // 2, 500, *[size] * (num - 3)], "int32")
    waveforms *= np.arange(size) < counts[:, None]
    waveforms[-1] = 0
    return waveforms.astype("float32"), counts


LONG_FRAMES = Frontend(  # its matrix is large: LiteRT takes the transform
    sample_rate=8000,
    num_mel_bins=16,
    frame_length_ms=80.0,
    preemphasis=0.0,
    style="librosa",
)


def make_network(kind="ast", **options):
    keras.utils.set_random_seed(2)
    if kind == "ast":
        backbone = AST(
            96, 32, (8, 8), width=WIDTH, depth=2, num_heads=3, **options
        )
        return AudioClassifier(backbone, 5), KALDI
    backbone = HTSAT(
        128, 16, width=8, depths=(1, 2), num_heads=(1, 2), window_size=(4, 4)
    )
    network = AudioClassifier(backbone, 5, pooling="token_semantic")
    return network, LONG_FRAMES


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An AST in every format and variant; what Keras makes of the windows."""
    network, frontend = make_network()
    folder = tmp_path_factory.mktemp("exported")
    paths = {
        (name, variant): path
        for name in FORMATS
        for variant, path in export_classifier(
            network,
            frontend,
            NAMES,
            str(folder / name),
            len(windows()[0][0]),
            format=name,
            variants=None,
            calibration=windows(),
        ).items()
    }
    info = ClassifierInfo(NAMES, 8000, len(windows()[0][0]))
    scores = classifier_of(network, frontend, info).scores(*windows())
    assert np.abs(scores[0] - scores[3]).max() > 0.05  # sounds differ
    return paths, scores


CASES = [(name, v) for name, kind in FORMATS.items() for v in kind.variants]


@pytest.mark.parametrize("name, variant", CASES)
def test_scores_and_description(exported, name, variant):
    paths, expected = exported
    classifier = load_classifier(paths[name, variant])
    scores = classifier.scores(*windows())
    np.testing.assert_allclose(scores, expected, atol=TOLERANCE[variant])
    if variant != "float32":
        assert (scores != expected).any()
    info = classifier.info
    assert info == ClassifierInfo(NAMES, 8000, 8000, False, "full", variant)


def test_smaller_numbers_make_smaller_files(exported):
    paths, _ = exported
    # ONNX's 8 bits need operations that weigh as much as weights this small
    for name, variants in (
        ("litert", ("float16", "dynamic")),
        ("onnx", ("float16",)),
    ):
        full, *others = (
            Path(paths[name, variant]).stat().st_size
            for variant in ("float32", *variants)
        )
        assert max(others) < full


@pytest.mark.once
def test_litert_description_is_a_zip_archive(exported):
    with zipfile.ZipFile(exported[0]["litert", "dynamic"]) as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(NAMES)
        assert json.loads(archive.read(FILE_NAME))["sample_rate"] == 8000


@pytest.mark.once
def test_onnx_keeps_front_end_and_head_in_float32(exported):
    import onnx

    def weights(variant):
        proto = onnx.load(exported[0]["onnx", variant])
        return {
            tuple(weight.dims): weight.data_type
            for weight in proto.graph.initializer
        }

    # of the spectrum, of the mel bank, of the head
    matrices = [(200, 258), (129, 32), (WIDTH, 5)]
    for variant in ("float16", "dynamic", "int8"):
        found = weights(variant)
        kinds = {found[size] for size in matrices}
        assert kinds == {onnx.TensorProto.FLOAT}
    assert onnx.TensorProto.FLOAT16 in weights("float16").values()


@pytest.mark.once
@pytest.mark.parametrize("variant", ["dynamic", "int8"])
def test_litert_keeps_its_head_in_float32(exported, variant):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(exported[0]["litert", variant])
    kinds = {
        tuple(tensor["shape"]): tensor["dtype"]
        for tensor in interpreter.get_tensor_details()
    }
    assert kinds[5, WIDTH] == np.float32
    assert kinds[4 * WIDTH, WIDTH] == np.int8  # of a perceptron


@pytest.mark.once
def test_long_frames_take_a_fourier_transform_where_there_is_one():
    hts_at = Frontend(**HTS_AT_FRONTEND)
    found = {
        name: (
            kind.use_fft(KALDI),
            kind.use_fft(Frontend()),
            kind.use_fft(hts_at),
        )
        for name, kind in FORMATS.items()
    }
    assert found == {
        "keras": (None, None, None),
        "savedmodel": (None, None, None),
        "litert": (False, False, True),
        "onnx": (False, False, False),
    }


@pytest.mark.once
def test_onnx_says_what_its_batch_is(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported[0]["onnx", "float32"])
    waveform, count = session.get_inputs()
    assert waveform.shape == ["batch", 8000] and count.shape == ["batch"]
    assert PROPERTY in session.get_modelmeta().custom_metadata_map


def test_saved_model_answers_the_rest_shape_of_tensorflow_serving(exported):
    """`instances` row by row and `inputs` column by column, as its docs say."""
    import tensorflow as tf

    paths, expected = exported
    loaded = tf.saved_model.load(paths["savedmodel", "float32"])
    serve = loaded.signatures["serving_default"]
    waveforms, counts = windows()
    rows = json.dumps(
        {
            "signature_name": "serving_default",
            "instances": [
                {"waveform": row.tolist(), "num_samples": int(count)}
                for row, count in zip(waveforms, counts, strict=True)
            ],
        }
    )
    columns = json.dumps(
        {
            "inputs": {
                "waveform": waveforms.tolist(),
                "num_samples": counts.tolist(),
            }
        }
    )
    instances = json.loads(rows)["instances"]
    by_column = json.loads(columns)["inputs"]
    by_row = {name: [row[name] for row in instances] for name in instances[0]}
    _, specs = serve.structured_input_signature
    for given in (by_row, by_column):
        assert given.keys() == specs.keys()
        tensors = {
            name: tf.constant(value, specs[name].dtype)
            for name, value in given.items()
        }
        answer = serve(**tensors)
        assert list(answer) == ["scores"]  # one output: no name in the answer
        np.testing.assert_allclose(answer["scores"], expected, atol=1e-4)
    described = loaded.signatures["describe"]()
    assert [n.decode() for n in described["class_names"].numpy()] == list(NAMES)
    assert described["sample_rate"].numpy() == 8000


@pytest.mark.once
@pytest.mark.parametrize(
    "resolution",
    [
        "patch:2",
        *(
            pytest.param(text, marks=pytest.mark.once)
            for text in ("full", "shift:2+pool:2:max")
        ),
    ],
)
def test_hts_at_at_every_resolution(tmp_path, resolution):
    network, frontend = make_network("hts_at")
    paths = export_classifier(
        network,
        frontend,
        NAMES,
        str(tmp_path / "a"),
        8000,
        resolution=resolution,
        multi_label=True,
    )
    info = ClassifierInfo(NAMES, 8000, 8000, True, resolution)
    coarse = at_resolution(network, resolution)
    expected = classifier_of(coarse, frontend, info).scores(*windows())
    classifier = load_classifier(paths["float32"])
    assert classifier.info == info
    scores = classifier.scores(*windows())
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.once
@pytest.mark.parametrize(
    "options",
    [
        {"token_merging": 0.4},
        {"stem_channels": (4, 6), "resolution": "patch:2"},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_other_networks(tmp_path, name, options):
    network, frontend = make_network(**options)
    path = str(tmp_path / "a")
    paths = export_classifier(network, frontend, NAMES, path, 8000, format=name)
    info = ClassifierInfo(NAMES, 8000, 8000)
    expected = classifier_of(network, frontend, info).scores(*windows())
    scores = load_classifier(paths["float32"]).scores(*windows())
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize(
    "name, batch_size",
    [("litert", 0), ("litert", 4), ("onnx", 4), ("savedmodel", 4)],
)
@pytest.mark.once
def test_batch_free_or_fixed(exported, tmp_path, name, batch_size):
    network, frontend = make_network()
    options = {"format": name, "batch_size": batch_size}
    path = export_classifier(
        *(network, frontend, NAMES, str(tmp_path / "a"), 8000), **options
    )["float32"]
    *_, found = OPENERS[os.path.splitext(path)[1]](path)
    assert found == (batch_size or None)
    scores = load_classifier(path).scores(*windows())
    np.testing.assert_allclose(scores, exported[1], atol=1e-4)


@pytest.mark.once
@pytest.mark.parametrize(
    "name, size", [("litert", 1), ("onnx", None), ("savedmodel", None)]
)
def test_batch_that_is_not_given(exported, name, size):
    path = exported[0][name, "float32"]
    *_, found = OPENERS[os.path.splitext(path)[1]](path)
    assert found == size


@pytest.mark.once
def test_a_converter_that_is_missing_is_a_sentence(tmp_path, monkeypatch):
    network, frontend = make_network()
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    options = {"format": "onnx"}
    with pytest.raises(ImportError, match=r'pip install -e "\.\[export\]"'):
        export_classifier(
            *(network, frontend, NAMES, str(tmp_path / "a"), 8000), **options
        )


@pytest.mark.once
@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"format": "onxn"}, "`format` is one of"),
        ({"format": "savedmodel", "variants": ["int8"]}, "litert or onnx"),
        ({"variants": ["int4"]}, "Variants are float32"),
        ({"variants": ["int8"]}, "windows of the training set"),
    ],
)
def test_what_cannot_be_had_is_a_sentence(tmp_path, options, sentence):
    network, frontend = make_network()
    with pytest.raises(ValueError, match=sentence):
        export_classifier(
            *(network, frontend, NAMES, str(tmp_path / "a"), 8000), **options
        )


@pytest.mark.once
def test_what_is_no_classifier_is_a_sentence(tmp_path, exported):
    network, _ = make_network()
    network.save(tmp_path / "network.keras")
    (tmp_path / "a.txt").write_text("no model")
    onnx = pytest.importorskip("onnx")
    other = onnx.load(exported[0]["onnx", "float32"])
    del other.metadata_props[:]
    onnx.save(other, tmp_path / "other.onnx")
    for name, sentence in (
        ("network.keras", "does not say what its classes are"),
        ("other.onnx", "does not say what its classes are"),
        ("a.txt", "ends in none of .keras"),
        ("nowhere.onnx", "There is no file"),
        ("", "There is no trained model"),
    ):
        with pytest.raises(ValueError, match=sentence):
            load_classifier(tmp_path / name)
