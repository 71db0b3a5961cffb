import base64
import csv
import html
import io
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from page_parser import HOSTILE, PageParser
from PIL import Image

from keras_c2f.evaluation import calibrate
from keras_c2f.report import plots, write_report
from keras_c2f.report.costs import cost_rows
from keras_c2f.report.runs import chance_points, read_runs

pytestmark = pytest.mark.once

COLUMNS = (
    "epoch phase resolution num_tokens gmacs seconds loss accuracy val_loss "
    "val_accuracy learning_rate"
).split()
# resolution, epochs, GMACs, seconds an epoch
BASELINE = [("full", 10, 2.0, 10.0)]
COARSE = [
    ("pool:4", 4, 0.5, 3.0),
    ("pool:2", 3, 1.0, 5.0),
    ("full", 3, 2.0, 11),
]
NAMES = ["dog", "rain & <wind>", "$1 coin$"]


def write_run(folder, phases, accuracy=None, epochs=None, **changes):
    """A run as training writes it; with `accuracy`, an evaluated one."""
    folder.mkdir(parents=True)
    config = {
        "name": folder.name,
        "schedule": ", ".join(f"{p[0]}@{p[1]}" for p in phases),
        "class_names": NAMES,
        "model": {"depth": 12},
        "data": "three <recordings>",
        "num_train_clips": 100,
        "num_validation_clips": 1000,
        "frontend": {"frame_shift_ms": 10.0},
        "seed": 1,
        "batch_size": 16,
        "phases": [
            {"resolution": r, "epochs": n, "num_tokens": None, "gmacs": g}
            for r, n, g, _ in phases
        ],
        "versions": {"keras": "3.15.0"},
        "hardware": "a machine",
        "command": "keras-c2f demo --out 'a & b'",
    }
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    rows = [
        (k, r, 64, g, s)
        for k, (r, n, g, s) in enumerate(phases)
        for _ in range(n)
    ][:epochs]
    losses = np.linspace(2, 1, len(rows))
    rows = [
        (e, *row, loss, 0.5, loss, 0.1 + 0.05 * e, 1e-4)
        for e, (row, loss) in enumerate(zip(rows, losses, strict=True))
    ]
    write_history(folder, rows)
    if accuracy is not None:
        write_evaluation(folder, accuracy=accuracy)
    return folder


def write_history(folder, rows, columns=COLUMNS):
    with (folder / "history.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def write_evaluation(folder, **changes):
    evaluation = {
        "accuracy": 0.9,
        "loss": 0.2,
        "confusion": [[8, 2, 0], [0, 10, 0], [1, 0, 9]],
        "num_clips": 1000,
        "skipped": [],
    }
    evaluation |= changes
    (folder / "evaluation.json").write_text(json.dumps(evaluation))


def read_history(folder):
    text = (folder / "history.csv").read_text()
    return list(csv.reader(text.splitlines()))


def read_text(folder):
    """The page as a reader sees it, on one line."""
    page = write_report(folder).read_text("utf-8")
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    return re.sub(r"\s+", " ", text)


@pytest.fixture
def experiment(tmp_path):
    write_run(tmp_path / "baseline", BASELINE, 0.938)
    coarse = write_run(tmp_path / "coarse_to_fine", COARSE, 0.941)
    frames = np.random.default_rng(0).normal(size=(64, 8))
    np.savez(
        coarse / "example.npz",
        **{"full": frames, "pool:4": frames[::4], "label": "dog"},
    )
    return tmp_path


def test_headline_and_shares_are_those_computed_by_hand(experiment):
    # compute: 4 x 0.5 + 3 x 1 + 3 x 2 = 11 of 10 x 2 = 20
    # time: 4 x 3 + 3 x 5 + 3 x 11 = 60 of 10 x 10 = 100
    text = read_text(experiment)
    assert (
        "coarse_to_fine reached 94.1% accuracy against 93.8% for the "
        "baseline (0.3 points better), with 55% of its compute and 60% of "
        "its time." in text
    )
    # resolution, tokens, GMACs, epochs, seconds, clips per second, time, shares
    assert "pool:4 – 0.5 4 3 s 33.3 12 s 10% 12%" in text
    assert "pool:2 – 1 3 5 s 20 15 s 15% 15%" in text
    assert "full – 2 3 11 s 9.09 33 s 30% 33%" in text
    assert "all phases 10 1 min 0 s 55% 60%" in text
    # 1.96 x sqrt(2 x 0.94 x 0.06 / 1000) = 2.1 points
    assert "1000 validation clips: differences below about 2.1" in text


def test_scores_at_the_switch_are_beside_those_before(experiment):
    assert "at the switch" not in read_text(experiment)
    folder = experiment / "coarse_to_fine"
    names, *rows = read_history(folder)
    scored = {4: "0.275", 7: ""}  # the second switch was not scored
    rows = [[*row, scored.get(i, "")] for i, row in enumerate(rows)]
    write_history(folder, rows, [*names, "switch_accuracy"])
    text = read_text(experiment)
    # 0.1 + 0.05 x 3 at the end of the phase before
    assert "pool:2 – 1 3 5 s 20 15 s 15% 15% 25.0% → 27.5% full" in text
    assert "full – 2 3 11 s 9.09 33 s 30% 33% all phases" in text


def test_a_checkpoint_beside_the_runs_is_none(experiment):
    names = [run.name for run in read_runs(experiment)]
    (experiment / "ast").mkdir()
    (experiment / "ast" / "config.json").write_text('{"frontend": null}')
    assert [run.name for run in read_runs(experiment)] == names


def test_compute_counts_three_forward_passes(experiment):
    _, coarse = read_runs(experiment)
    np.testing.assert_allclose(
        np.cumsum(coarse.macs)[[0, 3, 4]], [1.5e11, 6e11, 9e11]
    )


def test_worse_is_called_worse(tmp_path):
    write_run(tmp_path / "baseline", BASELINE, 0.938)
    write_run(tmp_path / "coarse", COARSE, 0.9, hardware="another machine")
    assert (
        "(3.8 points worse), with 55% of its compute and 60% of its time "
        "(on other hardware)." in read_text(tmp_path)
    )


def test_without_baseline_compares_with_full_resolution_throughout(tmp_path):
    write_run(tmp_path / "mine", COARSE, 0.9)
    assert (
        "mine reached 90.0% accuracy, with 55% of the compute that full "
        "resolution throughout would take." in read_text(tmp_path)
    )


def test_run_in_progress_is_not_compared(tmp_path):
    write_run(tmp_path / "baseline", BASELINE, 0.938)
    write_run(tmp_path / "coarse", COARSE, epochs=5)
    text = read_text(tmp_path)
    assert "coarse is in progress: 5 of 10 epochs, 30.0% accuracy." in text
    assert "reached" not in text
    assert "pool:2 – 1 1 of 3 5 s 20 5 s 5.0% 5.0%" in text


def test_page_needs_no_network_and_its_images_decode(experiment):
    page = write_report(experiment).read_text("utf-8")
    targets = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert all(t.startswith(("#", "data:image/png;base64,")) for t in targets)
    assert all(t.startswith("#") for t in re.findall(r"url\(([^)]*)\)", page))
    assert "<script" not in page and "@import" not in page
    images = [t.partition(",")[2] for t in targets if t.startswith("data:")]
    assert len(images) == 6  # 2 resolutions, whole and enlarged; 2 matrices
    for image in images:
        Image.open(io.BytesIO(base64.b64decode(image))).load()
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(figures) == 8
    for svg in figures:
        ElementTree.fromstring(svg)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {t[1:] for t in targets if t.startswith("#")} <= set(ids)


def page_of(folder, name):
    """The page about runs, classes and files of a name."""
    for number in range(2):
        run = write_run(
            folder / f"{number}",
            COARSE,
            0.9,
            class_names=[name, "b", "c"],
            **dict.fromkeys(("name", "data", "command", "schedule"), name),
            **{name: [{name: name}]},
        )
        write_evaluation(run, skipped=[[name, name]])
        write_classes(run, [(name, 1, 0.5, 0.5, 0, 0.5)], (*CLASSES, "recall"))
        pictures = {"full": np.eye(64), "label": name}
        np.savez(run / "example.npz", **pictures)
        np.savez(run / "reconstruction.npz", **{name: np.eye(64)})
        texts = dict.fromkeys(("file", "format", "variant", "metric"), name)
        numbers = (
            "megabytes milliseconds same_class largest_difference score "
            "keras_score points_lost kept num_clips"
        )
        row = {**texts, "resolution": name, **dict.fromkeys(numbers.split(), 1)}
        with (run / "exports.csv").open("w", newline="") as file:
            csv.writer(file).writerows([row.keys(), *[row.values()] * 2])
    return PageParser(write_report(folder).read_text("utf-8"))


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp("harmless"), "harmless")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_not_markup_nor_formulas(tmp_path, harmless, name):
    """Whoever names a run, a class or a file writes no markup."""
    page = page_of(tmp_path, name)
    assert page.structure == harmless.structure
    for found, expected in (
        (page.labels, harmless.labels),
        (page.texts, harmless.texts),
    ):
        number = "".join(expected).count("harmless")
        assert number >= 4
        assert "".join(found).count(name) >= 0.8 * number  # some are cut short


def test_figures_name_phases_axes_and_mistakes(experiment):
    text = read_text(experiment)
    assert "training compute (10¹² multiply-accumulates)" in text
    assert "wall-clock time (seconds)" in text
    assert "validation accuracy (%)" in text
    assert text.count("pool:2") >= 4  # two metric and two loss figures
    assert "pool:4: 16 frames" in text and "full: 64 frames" in text
    assert "dog as rain & <wind> (2 of 10), $1 coin$ as dog (1 of" in text


def test_skipped_files_are_listed_once(experiment):
    for name in ("baseline", "coarse_to_fine"):
        skipped = [["a<b>.wav", "is empty"], ["\udce4.wav", "is empty"]]
        write_evaluation(experiment / name, skipped=skipped)
    assert read_text(experiment).count("a<b>.wav is empty") == 1


def test_other_metrics_are_shown_as_they_are(tmp_path):
    columns = [c.replace("accuracy", "mean_average_precision") for c in COLUMNS]
    for name, score in (("baseline", 0.45), ("coarse", 0.459)):
        folder = write_run(tmp_path / name, COARSE)
        write_history(folder, read_history(folder)[1:], columns)
        (folder / "evaluation.json").write_text(
            json.dumps({"mean_average_precision": score, "num_clips": 9})
        )
    text = read_text(tmp_path)
    assert (
        "coarse reached 0.459 mean average precision against 0.450 for the "
        "baseline (0.009 better), with 100%" in text
    )
    assert "validation mean average precision" in text


@pytest.mark.parametrize("value", ["nan", "", "inf"])
def test_unmeasured_numbers_leave_gaps(tmp_path, value):
    folder = write_run(tmp_path / "mine", COARSE, epochs=2)
    rows = read_history(folder)
    rows[1][5:] = [value] * 6
    write_history(folder, rows[1:], rows[0])
    assert "pool:4 – 0.5 2 of 4 3 s" in read_text(tmp_path)
    rows[2][5:] = [value] * 6
    write_history(folder, rows[1:], rows[0])
    assert "2 of 10 epochs." in read_text(tmp_path)


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_first_epochs(tmp_path, epochs):
    """A curve of one point is a sentence."""
    folder = write_run(tmp_path / "mine", COARSE, epochs=epochs)
    text = read_text(tmp_path)
    assert f"mine is in progress: {epochs} of 10" in text
    assert ("Loss by epoch" in text) == ("multiply-accumulates)" in text)
    assert ("Loss by epoch" in text) == (epochs > 1)
    assert (
        "After one epoch: training loss 2.000, validation loss 2.000, "
        "validation accuracy 10.0%." in text
    ) == (epochs == 1)
    (folder / "history.csv").unlink()
    assert "mine is in progress: 0 of 10" in read_text(tmp_path)


def test_single_class_without_validation(tmp_path):
    folder = write_run(tmp_path / "_one", BASELINE, class_names=["dog"])
    rows = [(e, 0, "full", 64, 2, 1.0, 0.0) for e in range(10)]
    write_history(folder, rows, COLUMNS[:7])
    write_evaluation(folder, accuracy=float("nan"), confusion=[[10]])
    text = read_text(tmp_path)
    assert "_one finished, without a measured accuracy." in text
    assert "training loss" in text and "validation loss" not in text


def test_six_runs_with_letters_that_the_drawing_font_lacks(tmp_path):
    for number in range(6):
        write_run(
            tmp_path / f"{number}",
            COARSE,
            0.9,
            name=f"狗 {number}" if number else "baseline",
            class_names=["狗", "雨", "x" * 60],
        )
    assert read_text(tmp_path).count("(no difference)") == 5


def test_many_classes(tmp_path):
    folder = write_run(tmp_path / "mine", BASELINE, class_names=["a"] * 70)
    write_evaluation(folder, confusion=np.eye(70, dtype=int).tolist())
    write_report(tmp_path)


CLASSES = ("name", "num_clips", "average_precision", "auc", "d_prime")


def write_classes(folder, rows, columns=CLASSES):
    with (folder / "evaluation.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def test_classes_are_listed_the_worst_first(experiment):
    rows = [
        ("dog", 10, 1.0, 1.0, "inf", 0.8),
        ("rain & <wind>", 10, 0.25, 0.5, 0.0, 0.995),
        ("cat", 1, 0.125, 0.0, "-inf", 0.0),
        ("7", 0, "nan", "nan", "nan", "nan"),
    ]
    write_classes(experiment / "baseline", rows, (*CLASSES, "recall"))
    write_evaluation(
        experiment / "baseline", mean_average_precision=0.625, auc=0.75
    )
    text = read_text(experiment)
    assert (
        "Class by class run class clips average precision AUC d′ recognised "
        "baseline cat 1 0.125 0.000 −∞ 0% "
        "rain & <wind> 10 0.250 0.500 0.000 100% "
        "dog 10 1.000 1.000 ∞ 80% "
        "all classes 1000 0.625 0.750 – 90%" in text
    )
    assert "The worst class first. Average precision" in text
    assert "best guess it is. Absent, of no clip: 7." in text


def test_of_many_classes_the_worst_and_the_best_are_listed(tmp_path):
    folder = write_run(tmp_path / "mine", BASELINE)
    rows = [(f"audio {k}", k, 1 - k / 600, 0.5, 0.0) for k in range(527)]
    write_classes(folder, rows)
    evaluation = {"mean_average_precision": 0.5, "num_clips": 9}
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    text = read_text(tmp_path)
    assert "Absent, of no clip: audio 0." in text
    table = text.split("Absent")[0]
    shown = [int(number) for number in re.findall(r"audio (\d+)", table)]
    assert shown == [*range(526, 516, -1), *range(9, -1, -1)]
    assert "worst and the 10 best of 527 classes" in text
    assert "audio 517 517 0.138 0.500 0.000 – … audio 9 9" in text


def test_same_numbers_same_page(experiment):
    first = write_report(experiment).read_bytes()
    assert write_report(experiment).read_bytes() == first


def test_matplotlib_settings_stay_as_they_are(experiment):
    before = dict(matplotlib.rcParams)
    write_report(experiment)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["matplotlib.figure", "jinja2"])
def test_what_is_missing_says_how_to_install_it(experiment, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'-e "\.\[report\]"'):
        write_report(experiment)


def test_folder_without_runs(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder above the runs"):
        write_report(tmp_path)


@pytest.mark.parametrize(("accuracy", "num_clips"), [(0.9, 500), (0.6, 100)])
def test_chance_points_cover_95_percent_of_equal_runs(accuracy, num_clips):
    right = np.random.default_rng(0).binomial(num_clips, accuracy, (2, 20000))
    difference = 100 * np.abs(np.subtract(*right)) / num_clips
    within = (difference <= chance_points(accuracy, num_clips)).mean()
    assert within == pytest.approx(0.95, abs=0.015)  # counts are whole numbers


EXPORTS = """\
file,format,variant,resolution,megabytes,milliseconds,same_class,\
largest_difference,score,keras_score,points_lost,kept,num_clips,metric
a,litert,float32,full,24,20,1,0.01,0.8,0.8,0,1,400,accuracy
b,litert,dynamic,full,6,10,1,0.01,0.8,0.8,-0.01,1,400,accuracy
c,litert,float32,pool:2,24,20,1,0.01,0.8,0.8,0,1,80,accuracy
d,litert,dynamic,pool:2,6,10,1,0.01,0.8,0.8,0,1,80,accuracy
e,onnx,int8,full,6,10,0.5,0.01,0.8,0.8,9,0,400,accuracy
"""


def test_exported_files_and_which_of_each_kind_to_take(tmp_path):
    folder = write_run(tmp_path / "mine", BASELINE, 0.9)
    assert "for other programs" not in read_text(tmp_path)
    (folder / "exports.csv").write_text(EXPORTS)
    text = read_text(tmp_path)
    assert "mine for other programs format weights resolution MB" in text
    assert (
        "litert float32 full 24.0 20.0 100.0% 1.0e-02 0.800 0.800 0.0 "
        "dynamic full 6.0 10.0 100.0% 1.0e-02 0.800 0.800 0.0 float32" in text
    )
    assert "onnx int8 full" in text and "9.0, not kept" in text
    assert "on 400 clips, of which one is 0.25 points or 80 clips" in text
    assert text.count("Take ") == 2 and "Take b:" in text and "Take d:" in text


def test_cascades_are_drawn_with_their_threshold(tmp_path):
    """And networks at several resolutions have a table."""
    rng = np.random.default_rng(0)
    targets = np.eye(3)[rng.integers(0, 3, 2000)]
    fine = rng.normal(size=targets.shape) + 5 * targets
    coarse = fine + rng.normal(size=targets.shape)
    calibration, curve = calibrate(
        *(np.stack([coarse, fine]), targets),
        *(["pool:4", "full"], [0.5, 2.0], False),
    )
    folder = write_run(tmp_path / "run", COARSE)
    figures = {"accuracy": 0.9, "loss": 0.2}
    rows = {
        "pool:4": {**figures, "gmacs": 0.5},
        "full": {**figures, "gmacs": 2},
    }
    write_evaluation(folder, resolutions=rows)
    (folder / "cascade.json").write_text(json.dumps(calibration.to_dict()))
    with (folder / "cascade.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, curve[0])
        writer.writeheader()
        writer.writerows(curve)
    text = read_text(tmp_path)
    assert "pool:4 0.5 90.0% 0.200" in text and "full 2 90.0%" in text
    assert "Cascade of run" in text and str(calibration) in text
    assert "clips looked at again" in text and "0.99" in text
    page = (tmp_path / "report.html").read_text("utf-8")
    drawn = re.findall(r'aria-label="([^"]+)"', page)
    assert "accuracy by threshold, run" in drawn
    assert "share and compute by threshold, run" in drawn


def test_clips_of_a_step_where_they_differ(tmp_path):
    def texts(folder, sizes):
        run = write_run(tmp_path / folder / "run", COARSE, 0.9)
        config = json.loads((run / "config.json").read_text())
        for phase, size in zip(config["phases"], sizes, strict=True):
            phase["batch_size"] = size
        (run / "config.json").write_text(json.dumps(config))
        ((_, rows),) = cost_rows(read_runs(run.parent), "accuracy")
        return [row.get("clips per step") for row in rows]

    assert texts("differ", (128, 64, 32)) == ["128", "64", "32", ""]
    assert texts("same", (32, 32, 32)) == [None] * 4


def test_labels_of_near_phases_are_on_two_rows(tmp_path):
    ends = [("pool:2", 1, 1.0, 5.0), ("full", 1, 2.0, 5.0)]
    phases = [("pool:4", 8, 0.5, 3.0), *ends]
    write_run(tmp_path / "run", phases)
    svg = plots.metric_figure(read_runs(tmp_path), "accuracy", "seconds")
    labels = re.findall(r'halo-.*?<text[^>]* y="([^"]*)"', svg, re.DOTALL)
    first, second, third = map(float, labels)
    assert first == second
    assert abs(third - second) > 8  # points, the size of the letters
