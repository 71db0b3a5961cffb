"""The runner, with a stand-in for training, and once with the real one."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import soundfile
from studies import read_results, read_study, run_study, runner

from keras_c2f.utils.files import read_rows
from keras_c2f.utils.folder_lock import alone_in

PLAN = """
title = "T"
question = "Q"
budget = "B"
stopping_rule = "S"
baseline = "whole"
seeds = [1]
corruptions = ["gain:-6"]
[data.keywords]
epochs = 2
[[method]]
name = "whole"
compute = 1.0
settings = { schedule = "full" }
[[method]]
name = "coarse first"
compute = 0.5
settings = { schedule = "pool:2, full" }
"""
# Writes what a run leaves behind, fails where the file `broken` says so.
STAND_IN = """
import json, os, sys
words = dict(w[2:].split("=", 1) for w in sys.argv[2:] if "=" in w)
folder = os.path.join(words["run"], "coarse_to_fine")
os.makedirs(folder, exist_ok=True)
here = os.path.dirname(__file__)
with open(os.path.join(here, "calls"), "a") as file:
    print(sys.argv[1], words.get("schedule"), file=file)
broken = os.path.join(here, "broken")
if os.path.exists(broken) and open(broken).read() in words.get("schedule", ""):
    sys.exit("out of luck")
if sys.argv[1] == "evaluate":
    name = "evaluation_gain_-6.json"
else:
    name = "evaluation.json"
    with open(os.path.join(folder, "history.csv"), "w") as file:
        print("epoch,resolution,gmacs,seconds,cpu_seconds,val_accuracy",
              file=file)
        print("0,full,0.5,2,3,0.25", file=file)
        print("1,full,0.5,2,3,0.75", file=file)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump({"num_train_clips": 10, "schedule": "full@2",
                   "hardware": "h", "versions": {"backend": "torch"}}, file)
with open(os.path.join(folder, name), "w") as file:
    json.dump({"accuracy": 0.5 if name[10] == "_" else 0.75,
               "num_clips": 4}, file)
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(PLAN)
    return read_study(str(path))


@pytest.fixture
def run(study, tmp_path, monkeypatch):
    """Function that runs the study with the stand-in, in `tmp_path`."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, str(script)))

    def run(num_workers=1, shard=None):
        results = read_results(str(tmp_path / "rows"))
        if shard:
            results = results.part(shard)
        else:
            results.add_parts()
        folder = str(tmp_path / "cells")
        options = {"num_workers": num_workers, "shard": shard}
        failed = run_study(study, folder, results, {}, None, **options)
        return failed, results

    return run


def calls(tmp_path):
    return (tmp_path / "calls").read_text().splitlines()


@pytest.mark.once
@pytest.mark.parametrize("num_workers", [1, 2])
def test_rows_of_a_study(run, study, num_workers):
    failed, results = run(num_workers)
    assert not failed and len(results.runs) == 2
    cell = study.cell("whole", "keywords", "", 1)
    row = results.runs[cell.id]
    assert (row["score"], row["seconds"], row["cpu_seconds"]) == (0.75, 4, 6)
    # 2 epochs x 10 clips x 3 passes x 0.5 GMACs
    assert float(row["macs"]) == 2 * 10 * 3 * 0.5e9
    assert row["command"] == cell.line
    scores = [epoch["score"] for epoch in results.epochs[cell.id]]
    assert scores == ["0.2500", "0.7500"]
    assert results.corrupted[cell.id] == {"gain:-6": 0.5}


@pytest.mark.once
def test_finished_cells_are_not_trained_again(run, tmp_path):
    run()
    before = calls(tmp_path)
    assert len(before) == 4  # two trainings, each scored once more
    failed, results = run()
    assert not failed and len(results.runs) == 2
    assert calls(tmp_path) == before


@pytest.mark.once
def test_a_failed_cell_is_named_and_the_others_go_on(run, study, tmp_path):
    (tmp_path / "broken").write_text("pool")
    failed, results = run()
    (name,) = failed
    assert name == study.cell("coarse first", "keywords", "", 1).id
    assert "out of luck" in failed[name] and "log.txt" in failed[name]
    assert len(results.runs) == 1
    (tmp_path / "broken").unlink()
    failed, results = run()
    assert not failed and len(results.runs) == 2


@pytest.mark.once
def test_rows_that_cannot_be_kept_end_the_study(run, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError("no space left")

    monkeypatch.setattr(runner, "_keep", full_disk)
    with pytest.raises(OSError, match="no space left"):
        run()
    assert (
        len(calls(tmp_path)) < 4
    )  # the other cell was not trained for nothing


@pytest.mark.once
def test_two_studies_at_once_are_refused(run, tmp_path):
    (tmp_path / "cells").mkdir()
    with runner._alone_in(str(tmp_path / "cells")) as lock:
        if lock is None:
            pytest.skip("no locks here")
        with pytest.raises(ValueError, match="A study is at work"):
            run()
    failed, _ = run()
    assert not failed


@pytest.mark.once
def test_parts_of_a_study(run, study, tmp_path):
    study.data["keywords"]["seeds"] = [1, 2]  # four runs
    study.methods["coarse first"]["pretrain"] = {"schedule": "full@1"}
    shared = alone_in(str(tmp_path / "cells"), shared=True)
    with shared:  # as by another part
        for index, rows in enumerate((2, 4)):  # of those two to start from
            failed, results = run(shard=(index, 2))
            assert not failed and len(results.runs) == rows
        with pytest.raises(ValueError, match="A study is at work"):
            run()
    lines = calls(tmp_path)
    assert [line.split()[0] for line in lines].count("train") == 4
    assert [line.split()[0] for line in lines].count("pretrain") == 2
    failed, results = run()
    assert not failed and len(results.runs) == 6
    assert len(results.corrupted) == 4 and calls(tmp_path) == lines
    kept = read_results(str(tmp_path / "rows"))
    assert kept.runs.keys() == results.runs.keys()
    # what is done already is no part's any more
    _, again = run(shard=(0, 3))
    assert calls(tmp_path) == lines and not again.own


@pytest.mark.once
def test_what_several_runs_start_from_is_in_one_part():
    first, other = Named("a"), Named("b")
    cells = [first, Named("1", first), other, Named("2", other)]
    cells += [Named("3"), Named("4", first)]
    parts = [runner.cells_of_part(cells, (index, 2)) for index in range(2)]
    assert [[cell.id for cell in part] for part in parts] == [
        ["a", "1", "3", "4"],
        ["b", "2"],
    ]


@dataclasses.dataclass(frozen=True)
class Named:
    id: str
    init_from: "Named | None" = None


@pytest.mark.once
def test_pretraining_is_repeated_only_for_those_who_need_it(
    study, run, tmp_path
):
    study.methods["coarse first"]["pretrain"] = {"schedule": "full@1"}
    _, results = run()
    assert [line.split()[0] for line in calls(tmp_path)].count("pretrain") == 1
    before = calls(tmp_path)
    run()  # its weights are gone: nobody needs them
    assert calls(tmp_path) == before
    cell = study.cell("coarse first", "keywords", "", 1)
    del results.runs[cell.id]
    results._write("runs", results.runs.values())
    run()
    assert [line.split()[0] for line in calls(tmp_path)].count("pretrain") == 2


@pytest.mark.once
def test_a_missing_path_is_said_before_training(run, study, tmp_path):
    study.data["esc10"] = study.data["keywords"]
    with pytest.raises(ValueError, match="--path esc10=PATH"):
        run()
    assert not (tmp_path / "calls").exists()


@pytest.mark.once
@pytest.mark.slow
def test_a_real_run(tmp_path):
    rng = np.random.default_rng(0)
    for name, hz in (("high", 2000), ("low", 200)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(6):
            tone = np.sin(2 * np.pi * hz * np.arange(4000) / 16000)
            noisy = 0.3 * tone + 0.01 * rng.standard_normal(4000)
            path = tmp_path / "data" / name / f"{index}.wav"
            soundfile.write(path, noisy, 16000)
    text = PLAN.replace("keywords", "folder").replace(
        "[[method]]",
        "[data.folder.settings]\nclip_seconds = 0.25\nbatch_size = 4\n"
        "num_frames = 32\ndepth = 1\n[[method]]",
        1,
    )
    text = text[: text.rindex("[[method]]")]  # one is as good as two
    (tmp_path / "mine.toml").write_text(text)
    study = read_study(str(tmp_path / "mine.toml"))
    results = read_results(str(tmp_path))
    paths = {"folder": str(tmp_path / "data")}
    failed = run_study(study, str(tmp_path / "cells"), results, paths)
    assert not failed
    for cell in study.cells():
        folder = tmp_path / "cells" / cell.id / "coarse_to_fine"
        evaluation = json.loads((folder / "evaluation.json").read_text())
        row = read_rows(str(tmp_path / "runs.csv"))
        (row,) = [r for r in row if r["id"] == cell.id]
        assert float(row["score"]) == evaluation["accuracy"]
        assert results.corrupted[cell.id].keys() == {"gain:-6"}


@pytest.mark.once
def test_rows_of_changed_data_are_refused(tmp_path):
    """Runs of one data set compare only if their clips are the same."""
    results = read_results(str(tmp_path))
    command = "train --data={} --held-out=1 --learning-rate={}"

    def row(name, digests, data="esc10", rate=0.1):
        text = command.format(data, rate)
        return {"id": name, "digests": digests, "command": text}

    results.add(row("a", "x y"), [])
    results.add(row("b", "x y", rate=0.2), [])
    results.add(row("c", "other", data="esc50"), [])
    results.add(row("d", "", rate=0.3), [])  # of an earlier version
    results.add(row("a", "x y"), [])
    with pytest.raises(ValueError, match="--data=esc10 .* in run a than in "):
        results.add(row("e", "x z", rate=0.2), [])
    assert list(read_results(str(tmp_path)).runs) == ["a", "b", "c", "d"]
