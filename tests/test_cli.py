"""The command line as a newcomer meets it: output, and errors as sentences."""

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch_vit
from test_training import write_audio

from keras_c2f import cli
from keras_c2f.cli.recipe import recipe_of
from keras_c2f.convert import load_preset
from keras_c2f.data import Augment
from keras_c2f.datasets import open_dataset
from keras_c2f.training.from_recipe import make_pipeline, recipe_frontend

pytestmark = pytest.mark.once
SMALL = (
    "--clip-seconds=0.32",
    "--schedule=pool:2@1, full@1",
    "--batch-size=4",
    "--backbone=ast_micro",
)
ONE_BLOCK = (*SMALL, "--depth=1")


def run(capsys, *arguments):
    """Exit code and output of `keras-c2f ARGUMENTS`."""
    try:
        code = cli.run(cli.parse(["keras-c2f", *map(str, arguments)])) or 0
    except SystemExit as error:
        code = error.code
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def sentences(err):
    """Lines of an error, without that of what a folder holds."""
    return [x for x in err.strip().splitlines() if not x.startswith("Read: ")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of recordings with a broken file, and a run trained on it."""
    pytest.importorskip("soundfile", reason="needs the extra `audio`")
    root = tmp_path_factory.mktemp("cli")
    write_audio(root / "audio")
    (root / "audio" / "low" / "broken.wav").write_bytes(b"RIFF, not really")
    (root / "audio" / "low" / "empty.wav").write_bytes(b"")
    return root


def test_train_evaluate_predict(trained, capsys):
    recordings, folder = trained / "audio", trained / "run"
    data = f"--data=folder:{recordings}"
    code, out, err = run(
        capsys, "train", "--run", folder, data, "--baseline", *ONE_BLOCK
    )
    assert code == 0
    assert "pool:2" in out and "The schedule costs" in out
    assert "broken.wav" in out
    assert (
        f"Read: 12 files in '{recordings}', 11 used; left out: 1 empty" in err
    )
    assert "baseline: accuracy" in out and "coarse_to_fine: accuracy" in out
    assert (folder / "report.html").exists()

    trained_with = folder / "coarse_to_fine"
    before = json.loads((trained_with / "evaluation.json").read_text())
    code, out, _ = run(capsys, "evaluate", "--run", folder)
    assert code == 0
    accuracy = f"{before['accuracy']:.1%}"
    assert re.search(rf"^accuracy +{accuracy}$", out, re.MULTILINE)
    for words in ("mean average precision", "AUC", "d'", "recall", "high"):
        assert words in out
    assert f"on {before['num_clips']} clips\n" in out
    after = json.loads((trained_with / "evaluation.json").read_text())
    assert len(after["skipped"]) == 1  # what training skipped
    loss = after.pop("loss")
    assert loss == pytest.approx(before.pop("loss"), rel=1e-5)
    assert after == before
    with open(trained_with / "evaluation.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["high", "low"]
    assert sum(int(row["num_clips"]) for row in rows) == before["num_clips"]

    code, out, _ = run(capsys, "evaluate", "--run", folder, data, "--crops", 2)
    assert code == 0 and "clips, 2 windows each" in out
    name = re.search(r"Written: (.*)\.json, and", out)[1]
    assert name.endswith("audio_2_crops")
    other = json.loads(Path(f"{name}.json").read_text())
    assert other["crops"] == 2 and other["data"] == f"folder:{recordings}"
    assert Path(f"{name}.csv").exists()
    after = json.loads((trained_with / "evaluation.json").read_text())
    assert {**before, "loss": loss} == after

    texts = ("gain:0", "noise:-5", "noise:5", "speed:1.5+codec:mulaw")
    corrupt = f"--corrupt={', '.join(texts)}"
    code, out, _ = run(capsys, "evaluate", "--run", folder, corrupt)
    assert code == 0 and out.count("Written") == len(texts)
    for text, line in zip(texts, out.splitlines(), strict=False):
        name = "evaluation_" + text.replace(":", "_")
        other = json.loads((trained_with / f"{name}.json").read_text())
        assert other["corruption"] == text
        assert re.match(
            rf"{re.escape(text)} .*, loss {other['loss']:.3f}", line
        )
        assert f"accuracy {other['accuracy']:.1%}, mean" in line
        assert (trained_with / f"{name}.csv").exists()
        if text == "gain:0":
            assert other["loss"] == pytest.approx(loss, rel=1e-5)
        else:
            assert other["loss"] != pytest.approx(loss, rel=1e-3)
    after = json.loads((trained_with / "evaluation.json").read_text())
    assert {**before, "loss": loss} == after

    code, _, err = run(
        capsys, "evaluate", "--run", folder, "--corrupt=noise:5,fog:2"
    )
    assert code == 2 and "A corruption reads" in err and "'fog:2'" in err

    code, out, _ = run(
        capsys, "evaluate", "--run", folder, data, "--held-out=all"
    )
    assert code == 0 and "on 10 clips\n" in out and "audio_all.json" in out
    _, validation = open_dataset(f"folder:{recordings}")
    held_out = Path(validation.audio[0])
    moved = held_out.rename(held_out.with_name("renamed.wav"))
    code, _, err = run(capsys, "evaluate", "--run", folder)
    moved.rename(held_out)
    assert code == 2 and "of those to validate on" in err

    code, _, err = run(capsys, "evaluate", "--run", folder, "--crops", 0)
    assert code == 2 and "Received: --crops=0." in err

    files = [recordings / "low" / "0.wav", recordings / "high" / "1.wav"]
    code, out, _ = run(capsys, "predict", "--run", folder, *files)
    assert code == 0
    assert "0.wav" in out and "%" in out and "high" in out

    code, _, err = run(
        capsys, "predict", "--run", folder, recordings / "low" / "broken.wav"
    )
    assert code == 2 and "broken.wav" in err and "Traceback" not in err


@pytest.fixture(scope="module")
def exported(trained):
    """A LiteRT file of a run that is trained here if none is."""
    pytest.importorskip("ai_edge_quantizer", reason="needs the extra `export`")
    folder = trained / "exported"
    data = f"--data=folder:{trained / 'audio'}"
    arguments = ["keras-c2f", "train", f"--run={folder}", data, *ONE_BLOCK]
    assert not cli.run(cli.parse(arguments))
    return folder


def test_export(exported, capsys):
    code, out, err = run(
        *(capsys, "export", "--run", exported),
        "--variant=float32,dynamic",
    )
    assert code == 0, err
    assert "Score: accuracy" in out and "Take " in out
    files = re.findall(r"Written: (.*)", out)
    assert [Path(file).name for file in files] == [
        "classifier-float32.tflite",
        "classifier-dynamic.tflite",
    ]
    page = (exported / "report.html").read_text("utf-8")
    assert "coarse_to_fine for other programs" in page
    with open(exported / "coarse_to_fine" / "exports.csv") as file:
        (row, _) = csv.DictReader(file)
    assert row["variant"] == "float32"
    assert float(row["largest_difference"]) < 1e-4
    assert float(row["same_class"]) == 1

    code, out, err = run(
        *(capsys, "export", "--run", exported, "--format=onnx"),
        *("--resolution=pool:2", "--variant=float32", "--clips=0"),
    )
    assert code == 0, err
    assert out.strip().endswith("classifier-pool_2-float32.onnx")
    code, _, err = run(
        capsys, "export", "--run", exported, "--format=keras", "--variant=int8"
    )
    assert code == 2 and "litert or onnx" in err


def test_predict_with_a_folder_and_an_exported_file(exported, tmp_path, capsys):
    recordings = exported.parent / "audio"
    run(capsys, "export", "--run", exported, "--variant=float32", "--clips=0")
    model = exported / "coarse_to_fine" / "export" / "classifier-float32.tflite"
    rows = {}
    for option, name in (("--run", exported), ("--model", model)):
        code, out, err = run(
            *(capsys, "predict", option, name, "--format=csv", recordings),
        )
        assert code == 1  # some files are broken
        assert "skipped" in err and "broken.wav: cannot be decoded" in err
        assert f"12 files in '{recordings}', 11 used; left out: 1 empty" in err
        assert out.startswith("path,start,end,class,score\n")
        rows[name] = list(csv.DictReader(out.splitlines()))
        assert len(rows[name]) == 10 * 2  # classes of each recording
    for one, other in zip(*rows.values(), strict=True):
        assert one["path"] == other["path"] and one["start"] == other["start"]
        assert float(one["score"]) == pytest.approx(
            float(other["score"]), abs=1e-4
        )
    code, out, err = run(
        *(
            capsys,
            "predict",
            "--model",
            model,
            "--format=json",
            "--overlap=0.5",
        ),
        *("--timeline", tmp_path, recordings / "low" / "0.wav"),
    )
    assert code == 0
    (window,) = json.loads(out)["windows"]
    assert window["end"] == pytest.approx(0.32)
    (picture,) = tmp_path.glob("*.png")
    assert picture.name.endswith("-low-0.wav.png")
    (tmp_path / "empty").mkdir()
    code, _, err = run(capsys, "predict", "--model", model, tmp_path / "empty")
    assert code == 2 and "no audio files" in err
    file = recordings / "low" / "0.wav"
    for wrong, path, right in (
        ("--run", model, f"write --model={model}"),
        ("--model", exported, f"Write --run={exported}"),
    ):
        code, _, err = run(capsys, "predict", wrong, path, file)
        assert code == 2 and right in err
    code, _, err = run(capsys, "predict", file)
    assert code == 2 and "--run --model is required" in err


def test_predict_classifies_a_file_up_to_where_it_is_bad(
    exported, tmp_path, capsys
):
    soundfile = pytest.importorskip("soundfile")
    samples = np.zeros(70 * 16000, "float32")
    samples[-5] = np.nan  # in the second minute, which is read by itself
    soundfile.write(tmp_path / "a.wav", samples, 16000, "FLOAT")
    code, out, err = run(
        *(capsys, "predict", "--run", exported, "--format=csv", "--top=1"),
        tmp_path / "a.wav",
    )
    assert code == 1 and "classified to 1:05." in err and "NaN" in err
    assert len(out.splitlines()) == 1 + int(2**20 / 16000 / 0.32)


def test_predict_from_standard_input(exported, capsys, monkeypatch):
    samples = np.zeros(16000, "<i2")
    monkeypatch.setattr(
        "sys.stdin", SimpleNamespace(buffer=io.BytesIO(samples.tobytes()))
    )
    code, out, err = run(
        *(capsys, "predict", "--run", exported, "--overlap=0.5", "-")
    )
    assert code == 0, err
    assert out.startswith("0:00.0 to 0:00.3") and len(out.splitlines()) == 18
    assert "0:00.6 to 0:01.0" in out  # the last window ends with the recording
    code, _, err = run(
        *(capsys, "predict", "--run", exported, "--timeline=x", "-")
    )
    assert code == 2 and "not standard input" in err


def test_pretrain_then_train(trained, capsys):
    first, second = trained / "pretrained", trained / "started"
    code, out, _ = run(
        *(capsys, "pretrain", "--run", first, *SMALL),
        f"--data=audio:{trained / 'audio'}",
        *("--mask-ratio=0.5", "--cluster=1,2"),
    )
    assert code == 0
    assert "no classes" in out and "coarse_to_fine: accuracy" in out
    assert (first / "report.html").exists()

    code, _, err = run(capsys, "evaluate", "--run", first)
    assert code == 2 and "keras-c2f train --init-from" in err

    data = f"--data=folder:{trained / 'audio'}"
    code, out, _ = run(
        *(capsys, "train", "--run", second, data, *ONE_BLOCK),
        f"--init-from={first}",
    )
    assert code == 0 and "coarse_to_fine: accuracy" in out

    code, _, err = run(
        *(capsys, "train", "--run", trained / "bad", data, *ONE_BLOCK),
        *(f"--init-from={first}", "--backbone=ast_mini"),
    )
    assert code == 2 and "does not fit" in err
    assert len(sentences(err)) == 1


def test_prepare(trained, tmp_path, capsys):
    data = f"--data=folder:{trained / 'audio'}"
    for _ in range(2):  # the second finds all done
        code, out, _ = run(capsys, "prepare", "--out", tmp_path, data)
        assert code == 1  # recordings were left out
        assert "broken.wav: cannot be decoded" in out
        assert f"train with --data=prepared:{tmp_path}" in out
    train, validation = open_dataset(f"prepared:{tmp_path}")
    assert len(train) + len(validation) == 11
    other = (data, "--backbone=hts_at_micro")
    code, _, err = run(capsys, "prepare", "--out", tmp_path, *other)
    assert code == 2 and "another preparation" in err


def test_stats(trained, capsys):
    data = f"--data=folder:{trained / 'audio'}"
    schedule = "--schedule=shift:2@1, pool:4:max@1, full@1"
    code, out, _ = run(capsys, "stats", data, *SMALL, schedule)
    assert code == 0
    for text in ("full  ", "shift:2  ", "pool:4:max  ", "8 clips of 32 frames"):
        assert text in out
    assert "broken.wav: cannot be decoded" in out
    mean, std = re.search(r"--mean=(\S+) --std=(\S+)", out).groups()
    given = (f"--mean={mean}", f"--std={std}")
    recipe = recipe_of(
        cli.parse(["keras-c2f", "train", "--run=a", data, *given])
    )
    pipeline = make_pipeline(recipe, recipe.frontend)
    frontend = recipe_frontend(recipe, pipeline, None)  # measures none
    assert (frontend.mean, frontend.std) == (float(mean), float(std))
    code, _, err = run(capsys, "stats", data, "--mean=-4")
    assert code == 2 and "are given together" in err


def test_several_labels_a_clip(tmp_path, capsys):
    write_audio(tmp_path / "audio", per_class=6)
    lines = ["path,labels,fold"]
    for index in range(6):
        fold = index % 2 + 1
        lines.append(f"audio/low/{index}.wav,hum,{fold}")
        lines.append(f"audio/high/{index}.wav,beep;loud,{fold}")
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    code, out, err = run(
        *(capsys, "train", "--run", tmp_path / "run", *SMALL[::2], "--depth=1"),
        *(
            "--schedule=full@1",
            f"--data=csv:{tmp_path / 'clips.csv'}",
            "--held-out=2",
        ),
    )
    assert code == 0, err
    assert "coarse_to_fine: mean average precision" in out
    folder = tmp_path / "run" / "coarse_to_fine"
    found = json.loads((folder / "evaluation.json").read_text())
    assert "accuracy" not in found and found["num_ranked_classes"] == 3
    with open(folder / "history.csv") as file:
        history = list(csv.DictReader(file))
    assert "val_accuracy" not in history[-1]
    for name in ("loss", "mean_average_precision"):  # of the same network
        last = float(history[-1][f"val_{name}"])
        assert found[name] == pytest.approx(last, rel=1e-4)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Class by class" in page and "beep" in page
    assert "accuracy" not in page

    evaluate = (capsys, "evaluate", "--run", tmp_path / "run")
    code, out, err = run(*evaluate, "--held-out=1")  # what it was trained on
    assert code == 0, err
    assert f"Written: {folder / 'evaluation_1.json'}" in out
    assert json.loads((folder / "evaluation.json").read_text()) == found

    lines = [line.replace("beep;loud", "beep") for line in lines]
    lines[0] = "path,label,fold"
    lines[-1] = lines[-1].replace("beep", "loud")
    (tmp_path / "single.csv").write_text("\n".join(lines))
    other = f"--data=csv:{tmp_path / 'single.csv'}"
    code, _, err = run(*evaluate, other, "--held-out=2")
    assert code == 2 and "has one label; the run was trained on" in err


def test_describe_shows_the_published_cost(capsys):
    code, out, _ = run(
        *(capsys, "describe", "--backbone=ast_base", "--num-frames=1024"),
        "--schedule=patch:2@1, full@1",
    )
    assert code == 0
    assert "512" in out and "48.6" in out  # tokens, GMACs: AST, stride 16


def test_describe_counts_the_classes_of_the_data(trained, capsys):
    data = f"--data=folder:{trained / 'audio'}"
    outs = [
        run(capsys, "describe", data, "--no-choose", *given)[1]
        for given in ([], ["--num-classes=2"], ["--num-classes=5002"])
    ]
    own, two, many = (float(re.search(r"([\d.]+) M", out)[1]) for out in outs)
    assert own == two
    assert many - two == pytest.approx(0.49, abs=0.02)  # 96 x 5000 + 5000


def test_what_is_not_given_is_chosen_and_explained(trained, capsys):
    """And what is given stays; `stats` and others choose what `train` does."""
    data = f"--data=folder:{trained / 'audio'}"
    code, out, _ = run(capsys, "describe", data, "--batch-size=4", "--mixup=0")
    assert code == 0
    lines = dict(
        line.removeprefix("--").split(maxsplit=1)
        for line in out.splitlines()
        if line.startswith("--")
    )
    assert lines["clip-seconds"].startswith("0.4 ")  # recordings of 0.32 s
    assert "no longer" in lines["clip-seconds"]
    assert lines["patch-size"].startswith("2x128")
    assert not {"batch-size", "mixup"} & set(lines)


def test_convert(tmp_path, capsys, monkeypatch):
    original = torch_vit.randomize(torch_vit.Ast())
    path = torch_vit.save_pth(original, tmp_path / "ast.pth", "module.")
    arguments = [
        *("convert", path, tmp_path / "preset", "--trained-num-frames=53"),
        *("--trained-num-mel-bins=38", "--trained-patch-stride=16x16"),
        *("--trained-num-heads=3", "--num-frames=106", "--pooling=mean"),
    ]
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    assert "resized positions/grid (3, 2, 24) -> (6, 2, 24)" in out
    assert "dropped module.v.head.weight" in out and "No class names" in out
    assert "Give --frontend" in out
    model_of_preset = load_preset(str(tmp_path / "preset"))
    model = model_of_preset.model
    assert model.pooling == "mean" and model.backbone.patch_stride == (16, 16)
    named = ("convert", "kwt1", tmp_path / "named", "--source=kwt")
    code, _, err = run(capsys, *named, "--preset=kwt2")
    assert code == 2 and "Leave --preset out" in err
    told = {}
    monkeypatch.setattr(
        "keras_c2f.convert.load_preset",
        lambda name, **options: told.update(options) or model_of_preset,
    )
    more = ("--class-names=c.txt", "--trained-num-heads=2", "--num-frames=9")
    assert run(capsys, *named, *more)[0] == 0
    assert told == {
        "source": "kwt",
        "class_names": "c.txt",
        "trained": {"num_heads": 2},
        "num_frames": 9,
    }
    for wrong, sentence in (
        ("--preset=kwt2", "Did you mean 'kwt1"),
        ("--trained-num-heads=5", "do not divide"),
        ("--patch-stride=0", "A patch is written"),
    ):
        code, _, err = run(capsys, *arguments, wrong)
        assert code == 2 and sentence in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data=folder:nowhere"], "nowhere"),
        (["--data=esc05:x"], "Did you mean"),
        (["--backbone=ast_tyni"], "Did you mean 'ast_tiny'"),
        (["--no-choose", "--schedule=pool:4"], "A phase reads"),
        (["--schedule=pull:4@2"], "A resolution reads"),
        (["--schedule=pool:999@2", "--num-frames=128"], "at most 128"),
        (["--patch-size=bigxsmall"], "FRAMESxBINS"),
        (["--precision=float64"], "`--precision` is"),
        (
            ["--baseline", "--adaptive", "--schedule=full@1, full@1"],
            "from coarse to fine",
        ),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence, trained, capsys):
    data = f"--data=folder:{trained / 'audio'}"
    code, _, err = run(
        capsys, "train", "--run", trained / "bad", data, *arguments
    )
    assert code == 2
    assert sentence in err
    assert len(sentences(err)) == 1


@pytest.mark.parametrize("classes", [[], ["only"]])
def test_empty_folder_and_single_class(classes, tmp_path, capsys):
    for name in classes:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").write_bytes(b"")
    data = f"--data=folder:{tmp_path}"
    code, _, err = run(capsys, "train", "--run", tmp_path / "run", data)
    assert code == 2
    assert str(tmp_path) in err


def test_run_without_model_is_a_sentence(tmp_path, capsys):
    code, _, err = run(capsys, "evaluate", "--run", tmp_path)
    assert code == 2
    assert "no trained model" in err


def test_every_augmentation_is_an_option(capsys):
    settings = {f.name for f in dataclasses.fields(Augment)} - {"layers"}
    given = {"crop": "leading", "balanced": True}
    given |= dict.fromkeys(settings, 1)
    flags = [f"--{n}={v}" for n, v in given.items() if v is not True]
    flags += ["--run=x", "--balanced"]
    recipe = recipe_of(cli.parse(["keras-c2f", "train", *flags]))
    pipeline = make_pipeline(recipe, recipe.frontend)
    assert pipeline.balanced and pipeline.crop == "leading"
    for name in settings:
        assert getattr(pipeline.augment, name) == 1


def test_help_lists_commands(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    names = "demo train pretrain show-data prepare stats probe evaluate"
    for name in (*names.split(), "predict", "export", "describe", "convert"):
        assert name in out


def test_show_data(trained, tmp_path, capsys):
    data = f"--data=folder:{trained / 'audio'}"
    code, out, err = run(
        *(capsys, "show-data", data, "--out", tmp_path / "page"),
        *(*SMALL, "--time-mask=8"),
    )
    assert code == 0, err
    assert f"Page: {tmp_path / 'page' / 'data.html'}" in out
    text = (tmp_path / "page" / "data.html").read_text("utf-8")
    assert "time_mask=8" in text and "broken.wav" in text
