"""Features of files are what the network's own layers give."""

import csv
import io

import keras
import numpy as np
import pytest
from test_cli import run

from keras_c2f import (
    AST,
    HTSAT,
    AudioClassifier,
    Frontend,
    LogMel,
    MaskedPatchModel,
    WhisperEncoder,
)
from keras_c2f.convert.pretrained import Pretrained
from keras_c2f.export import export_classifier
from keras_c2f.inference import Window, load_classifier, load_embedder
from keras_c2f.inference.classifier import Embedder, classifier_of
from keras_c2f.inference.feature_file import FeatureTable
from keras_c2f.models import waveform_features
from keras_c2f.models.metadata import ClassifierInfo

RATE, SIZE = 8000, 4000
FRONTEND = Frontend(sample_rate=RATE, num_mel_bins=32)
NETWORKS = {
    "AST": (AST, dict(patch_size=(8, 8), num_prefix_tokens=1)),
    "WhisperEncoder": (WhisperEncoder, dict()),
    "HTSAT": (HTSAT, dict(depths=(1, 1), num_heads=(2, 4), num_folds=2)),
}


def make_backbone(name, **options):
    cls, own = NETWORKS[name]
    own = {**own, "num_frames": 48, "num_mel_bins": 32, "width": 16, **options}
    if cls is not HTSAT:
        own = {"depth": 2, "num_heads": 2, **own}
    return cls(**own)


def audio(length, seed=0):
    noise = np.random.default_rng(seed).normal(0, 0.1, length)
    return noise.cumsum().clip(-1, 1).astype("float32")


def statistics(tokens):
    """Mean and deviation in float64, as `TokenStatistics` defines them."""
    tokens = np.asarray(tokens, "float64")
    return np.concatenate(
        [tokens.mean(1), np.sqrt(tokens.var(1) + 1e-6)], axis=-1
    )


def log_mel(backbone, waveforms):
    layer = LogMel(FRONTEND, backbone.num_frames)
    return keras.ops.convert_to_numpy(layer(waveforms))


@pytest.mark.once
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_features_are_those_of_the_layers(name, depth):
    backbone = make_backbone(name)
    embedder = Embedder(backbone, FRONTEND, SIZE, depth)
    samples = audio(2 * SIZE + 1000)
    found = embedder.embed(samples)
    windows = [
        samples[start : start + SIZE] for start in (0, SIZE, SIZE + 1000)
    ]
    block = {
        "AST": "block_0",
        "WhisperEncoder": "block_0",
        "HTSAT": "stage_0_block_0",
    }[name]
    output = backbone.get_layer(block).output if depth == 1 else backbone.output
    tokens = keras.Model(backbone.input, output).predict_on_batch(
        log_mel(backbone, np.stack(windows))
    )
    count = backbone.num_prefix_tokens
    right = statistics(tokens[:, count:])
    assert found.shape == right.shape == (3, embedder.num_features)
    # float32 through the whole network, batches of 1 and of 3
    np.testing.assert_allclose(found, right, atol=2e-5)
    assert np.abs(right - right[0]).max() > 1e-3  # windows differ


def test_coarse_networks_are_fed_coarse_log_mel():
    for resolution in ("pool:2", "shift:2", "token:2"):
        backbone = make_backbone("AST", resolution=resolution)
        model = waveform_features(backbone, FRONTEND, SIZE, pooling="mean")
        samples = audio(SIZE)[None]
        found = model.predict_on_batch(
            {"waveform": samples, "num_samples": np.array([SIZE], "int32")}
        )
        features = log_mel(backbone, samples)
        if "pool" in resolution:
            features = features.reshape(1, 24, 2, 32).mean(2)
        if "shift" in resolution:
            features = features[:, ::2]
        tokens = backbone.predict_on_batch(features)
        np.testing.assert_allclose(found, tokens[:, 1:].mean(1), atol=2e-5)


@pytest.mark.parametrize("pooling", ["mean", "statistics", "prefix"])
def test_what_the_head_is_given_gives_the_scores(pooling):
    backbone = make_backbone("AST")
    network = AudioClassifier(backbone, 3, pooling=pooling)
    info = ClassifierInfo(("a", "b", "c"), RATE, SIZE)
    classifier = classifier_of(network, FRONTEND, info)
    features = classifier.embed(audio(SIZE), pooling="head")
    kernel, bias = network.get_layer("head").get_weights()
    logits = np.asarray(features, "float64") @ kernel + bias
    scores = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(
        scores, classifier.scores(audio(SIZE)[None]), atol=1e-5
    )


def test_prefix_and_mean():
    backbone = make_backbone("AST")
    tokens = backbone.predict_on_batch(log_mel(backbone, audio(SIZE)[None]))
    for pooling, right in (
        ("prefix", tokens[:, 0]),
        ("mean", tokens[:, 1:].mean(1)),
    ):
        embedder = Embedder(backbone, FRONTEND, SIZE, 0, pooling)
        np.testing.assert_allclose(
            embedder.embed(audio(SIZE)), right, atol=2e-5
        )


@pytest.mark.once
def test_what_cannot_be_had_is_said():
    whisper = make_backbone("WhisperEncoder")
    classifier = AudioClassifier(whisper, 2, pooling="token_semantic")
    for network, depth, pooling, sentence in (
        (whisper, 3, "statistics", "has 2 blocks"),
        (whisper, 0, "prefix", "this WhisperEncoder has none"),
        (whisper, 0, "head", "has no head"),
        (classifier, 0, "head", "a convolution"),
        (AudioClassifier(whisper, 2, pooling="mean"), 1, "head", "Leave `dep"),
        (whisper, 0, "max", "is one of statistics"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Embedder(network, FRONTEND, SIZE, depth, pooling)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A converted backbone and classifier, recordings, a broken file."""
    soundfile = pytest.importorskip(
        "soundfile", reason="needs the extra `audio`"
    )
    root = tmp_path_factory.mktemp("embed")
    whisper = make_backbone("WhisperEncoder")
    Pretrained(whisper, FRONTEND).save(root / "whisper")
    network = AudioClassifier(make_backbone("AST"), 2)
    Pretrained(network, FRONTEND, ["a", "b"]).save(root / "ast")
    masked = MaskedPatchModel(make_backbone("AST"))
    Pretrained(masked, FRONTEND).save(root / "masked")
    Pretrained(whisper).save(root / "unknown")
    (root / "audio").mkdir()
    for index, length in enumerate((SIZE, 10_000)):
        soundfile.write(
            root / "audio" / f"{index}.wav", audio(length, index), RATE
        )
    (root / "audio" / "broken.wav").write_bytes(b"RIFF, not really")
    (root / "audio" / "notes.txt").write_text("none")
    return root


@pytest.mark.once
def test_files_of_each_kind_hold_the_same(folders, capsys, tmp_path):
    command = ("embed", "--run", folders / "whisper", "--clip-seconds=0.5")
    code, out, err = run(
        capsys, *command, "--out", tmp_path / "new" / "a.npz", folders / "audio"
    )
    assert code == 1  # a file is broken
    assert "2 used" not in err and "4 files in" in err and "1 .txt" in err
    assert "skipped" in err and "broken.wav" in err
    assert "2 files in windows of 0.5 s, resolution full" in out
    assert "2 rows of 32 features" in out
    with np.load(tmp_path / "new" / "a.npz") as file:
        columns = dict(file)
    assert list(columns) == ["path", "start", "end", "features"]
    assert [path[-5:] for path in columns["path"]] == ["0.wav", "1.wav"]
    assert columns["end"].tolist() == [0.5, 1.25]
    embedder = load_embedder(folders / "whisper", clip_seconds=0.5)
    for path, row in zip(columns["path"], columns["features"], strict=True):
        np.testing.assert_allclose(row, embedder.embed(path).mean(0), rtol=1e-5)

    code, _, _ = run(
        capsys, *command, "--out", tmp_path / "a.csv", folders / "audio"
    )
    text = (tmp_path / "a.csv").read_text()
    names, *rows = csv.reader(io.StringIO(text))
    assert names == ["path", "start", "end", *(f"f{i}" for i in range(32))]
    assert [row[0] for row in rows] == columns["path"].tolist()
    np.testing.assert_array_equal(
        np.array([row[3:] for row in rows], "float32"), columns["features"]
    )


@pytest.mark.once
def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="needs extra `parquet`")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = FeatureTable(by_window=True)
    rows = np.arange(6, dtype="float32").reshape(2, 3) / 7
    table.add("b\udcff.wav", [Window(k, k + 1.0, rows[k]) for k in range(2)])
    table.write(str(tmp_path / "a.parquet"))
    found = parquet.read_table(tmp_path / "a.parquet")
    assert found.column_names == ["path", "start", "end", "f0", "f1", "f2"]
    assert found["f1"].type == pyarrow.float32()
    assert found["path"].to_pylist() == [r"b\udcff.wav"] * 2
    assert found["end"].to_pylist() == [1, 2]
    assert found["f2"].to_pylist() == rows[:, 2].tolist()


@pytest.mark.once
def test_a_row_for_each_window_or_file():
    windows = [
        Window(0.0, 1.0, np.float32([1, 2])),
        Window(0.5, 1.5, np.float32([3, 6])),
    ]
    for by_window, rows in (
        (False, [(0.0, 1.5, [2, 4])]),
        (True, [(0.0, 1.0, [1, 2]), (0.5, 1.5, [3, 6])]),
    ):
        table = FeatureTable(by_window)
        table.add("x", windows)
        columns = table._columns()
        found = zip(
            columns["start"], columns["end"], columns["features"], strict=True
        )
        assert [(a, b, c.tolist()) for a, b, c in found] == rows


@pytest.mark.once
def test_windows_of_another_length(folders):
    network = load_embedder(folders / "ast")
    assert network.info.num_samples == FRONTEND.num_samples(49) - 1
    other = load_embedder(folders / "ast", clip_seconds=0.25)
    assert other.info.num_samples == 2000
    trained = make_backbone("WhisperEncoder", num_frames=3000)
    Pretrained(trained, FRONTEND).save(folders / "long")
    assert load_embedder(folders / "long").info.num_samples == 10 * RATE
    # sine positions: the same tokens as the network that is as long
    embedder = load_embedder(folders / "long", 0, "mean", 0.5)
    short = make_backbone("WhisperEncoder", num_frames=48)
    for old, new in zip(trained.weights, short.weights, strict=True):
        value = keras.ops.convert_to_numpy(old)
        new.assign(value[:24] if old.path.endswith("table") else value)
    tokens = short.predict_on_batch(log_mel(short, audio(SIZE)[None]))
    np.testing.assert_allclose(
        embedder.embed(audio(SIZE)), tokens.mean(1), atol=2e-5
    )
    # and of a model for masked patches its backbone
    assert load_embedder(folders / "masked").num_features == 32


@pytest.mark.once
def test_exports(folders, tmp_path):
    pytest.importorskip("tensorflow", reason="needs TensorFlow")
    network = AudioClassifier(make_backbone("AST"), 2)
    out = (("a", "b"), str(tmp_path / "model"), SIZE)
    (path,) = export_classifier(
        network, FRONTEND, *out, format="keras"
    ).values()
    right = Embedder(network, FRONTEND, SIZE).embed(audio(9000))
    for found in (
        load_embedder(path).embed(audio(9000)),
        load_classifier(path).embed(audio(9000)),
    ):
        np.testing.assert_allclose(found, right, atol=1e-5)


@pytest.mark.once
def test_sentences(folders, capsys, tmp_path):
    wav = folders / "audio" / "0.wav"
    whisper = ("--run", folders / "whisper")
    for arguments, sentence in (
        ((*whisper, "--out=a.txt", wav), "--out ends in .npz, .csv, .parquet"),
        ((*whisper, "--out=a.npz", "--depth=3", wav), "has 2 blocks"),
        (("--run", folders / "unknown", "--out=a.npz", wav), "--frontend"),
        (("--run", wav, "--out=a.npz", wav), "is not a run folder"),
        ((*whisper, f"--out={wav}/a.npz", wav), "is a file"),
        (
            (*whisper, "--out=a.npz", folders / "audio" / "broken.wav"),
            "broken.wav",
        ),
    ):
        code, _, err = run(capsys, "embed", *arguments)
        assert code == 2 and sentence in err, err
        assert err.count("\n") == 1
