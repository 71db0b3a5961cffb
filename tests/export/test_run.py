"""A run exported, measured and noted, end to end."""

import numpy as np
import pytest
from test_training import write_audio

from keras_c2f.export import comparison, export_run
from keras_c2f.export import run as module
from keras_c2f.report import write_report
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run
from keras_c2f.utils.files import read_rows

pytestmark = pytest.mark.once
for name in ("ai_edge_quantizer", "onnxruntime", "tensorflow", "soundfile"):
    pytest.importorskip(name, reason="needs the extra `export`")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two classes; one of its recordings is broken."""
    root = tmp_path_factory.mktemp("run")
    write_audio(root / "audio")
    recipe = Recipe(
        data=f"folder:{root / 'audio'}",
        clip_seconds=0.32,
        schedule="pool:2@1, full@1",
        batch_size=4,
        depth=1,
    )
    Run(str(root / "run" / "mine"), recipe, recipe.open_data()).train()
    return root / "run" / "mine"


def rows_of(folder):
    return {row["file"]: row for row in read_rows(folder / "exports.csv")}


def test_rows_take_the_place_of_those_of_the_same_file(folder):
    (first,) = export_run(folder, "litert", "float32")
    assert first["keras_score"] == first["score"] and first["kept"]
    assert first["same_class"] == 1 and first["largest_difference"] < 1e-4
    (onnx,) = export_run(folder, "onnx", "dynamic")
    (saved,) = export_run(folder, "savedmodel", num_threads=1)
    again = export_run(folder, "litert", ["float32", "dynamic"])
    files = [first["file"], onnx["file"], saved["file"], again[1]["file"]]
    assert set(rows_of(folder)) == set(files)
    page = write_report(folder.parent).read_text("utf-8")
    assert "mine for other programs" in page and "Take " in page
    (unmeasured,) = export_run(folder, "litert", "dynamic", num_clips=0)
    assert "score" not in unmeasured
    assert set(rows_of(folder)) == set(files[:3])  # it is another file now


@pytest.mark.parametrize("points", [2.0, -101.0])
def test_int8_is_kept_if_it_loses_little(folder, tmp_path, monkeypatch, points):
    monkeypatch.setattr(module, "INT8_POINTS", points)
    (row,) = export_run(folder, "litert", "int8", out=tmp_path)
    kept = points > 0 and row["points_lost"] <= points
    assert row["kept"] == kept
    assert list(tmp_path.glob("*.tflite")) == [
        tmp_path / "classifier-int8.tflite"
    ] * int(kept)
    assert rows_of(folder)[row["file"]]["kept"] == str(int(kept))


def test_a_coarse_one_is_measured_beside_a_coarse_network(folder, tmp_path):
    (row,) = export_run(
        *(folder, "litert", "float32", tmp_path), resolution="pool:2"
    )
    assert row["resolution"] == "pool:2"
    assert row["file"].endswith("classifier-pool_2-float32.tflite")
    assert row["largest_difference"] < 1e-4


@pytest.mark.parametrize("store", ["waveform", "log_mel"])
def test_windows_of_prepared_data(folder, tmp_path, store):
    from keras_c2f.data import prepare, read_prepared
    from keras_c2f.training.trained_run import read_trained_run

    trained = read_trained_run(folder)
    clips = Recipe(**trained.config["recipe"]).open_data()
    prepare(clips, str(tmp_path), trained.frontend, store, 4, 1)
    prepared, _ = read_prepared(str(tmp_path))
    size = trained.info.num_samples

    def windows(part):
        return comparison.leading_windows(part, trained.frontend, size, 6)

    if store == "log_mel":
        with pytest.raises(ValueError, match="needs waveforms"):
            windows(prepared)
        return
    for found, expected in zip(
        windows(prepared), windows(clips[0]), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=2**-15)  # 16 bits


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 9])
def test_as_many_clips_as_wanted_spread_evenly(limit):
    from keras_c2f.data import Clips
    from keras_c2f.layers.log_mel import Frontend

    recordings = np.arange(5)[:, None] / 10 * np.ones((5, 100), "float32")
    clips = Clips(recordings, np.zeros(5, int), ("a", "b"))
    found, counts, _ = comparison.leading_windows(clips, Frontend(), 80, limit)
    assert found.shape == (min(limit, 5), 80) and set(counts) == {80}
    steps = np.diff(np.round(10 * found[:, 0]))
    assert len(steps) == 0 or steps.min() >= 1 and np.ptp(steps) <= 1


def test_clips_that_changed_sides_are_not_measured_on(folder):
    path = folder / "config.json"
    kept = path.read_text()
    assert '"validation": "' in kept
    path.write_text(kept.replace('"validation": "', '"validation": "0'))
    try:
        with pytest.raises(
            ValueError, match="other labels.* measure nothing: "
        ):
            export_run(folder, "litert", "float32")
    finally:
        path.write_text(kept)


def test_no_readable_audio_is_a_sentence(folder, tmp_path):
    from keras_c2f.data import Clips
    from keras_c2f.layers.log_mel import Frontend

    (tmp_path / "a.wav").write_bytes(b"")
    clips = Clips([str(tmp_path / "a.wav")], [0], ("a", "b"))
    with pytest.raises(ValueError, match="a.wav: is empty"):
        comparison.leading_windows(clips, Frontend(), 100, 5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_score(multi_label):
    targets = np.eye(3)[[0, 1, 2, 0]]
    scores = np.array([[3, 1, 0], [0, 2, 1], [5, 1, 2], [4, 0, 1]]) / 10
    metric, score = comparison.headline_score(targets, scores, multi_label)
    if multi_label:
        from sklearn.metrics import average_precision_score

        assert metric == "mean_average_precision"
        assert score == pytest.approx(average_precision_score(targets, scores))
    else:
        assert (metric, score) == ("accuracy", 0.75)


def test_what_cannot_be_had_is_said_before_anything_is_read(tmp_path):
    with pytest.raises(ValueError, match="`format` is one of"):
        export_run(tmp_path, "onxn")
    with pytest.raises(ValueError, match="Variants are"):
        export_run(tmp_path, "litert", "flot16")
