"""Runs whose phases have batch sizes, given or from `--tokens-per-step`."""

import json
import math

import pytest
from kills import killed_after
from test_training import OPTIONS, recordings  # noqa: F401  a fixture

from keras_c2f.cli import parse, run
from keras_c2f.cost import NetworkCost, cost_table
from keras_c2f.layers import EncoderBlock
from keras_c2f.phases import PhaseSchedule, share_budget
from keras_c2f.training.from_recipe import spend_budget, with_rates
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run
from keras_c2f.utils.files import read_rows

pytestmark = pytest.mark.once  # phases/test_batch_sizes.py runs on all
pytest.importorskip("soundfile", reason="needs the extra `audio`")

# 32 frames x 128 bands in patches of 16 x 16: 16 tokens, 8 at C = 2
TOKENS = {"tokens_per_step": 70}
SCHEDULE = "pool:2@2 batch=8, full@2 batch=4"


@pytest.mark.parametrize(
    "schedule, expected",
    [
        ("pool:2@2, full@2", SCHEDULE),
        (
            "pool:2@2 batch=5, full@2 lr=0.01",
            "pool:2@2 batch=5, full@2 lr=0.01 batch=4",
        ),
    ],
)
def test_tokens_a_step_are_the_same(schedule, expected):
    recipe = Recipe(**OPTIONS | TOKENS | {"schedule": schedule})
    spent = spend_budget(recipe)
    assert (spent.schedule, spent.tokens_per_step) == (expected, 0)
    assert spend_budget(spent) == spent
    assert spent.baseline().schedule == "full@4 batch=4"


def test_a_step_has_a_clip_at_least_and_budgets_go_along():
    recipe = Recipe(**OPTIONS | {"tokens_per_step": 1, "schedule": "full@1"})
    assert spend_budget(recipe).schedule == "full@1 batch=1"
    shared = share_budget("pool:2 batch=9, full", 6, lambda r: 1 / r.factor)
    assert str(shared) == "pool:2@6 batch=9, full@3"


def test_rates_and_steps_of_phases():
    recipe = Recipe(**OPTIONS | {"learning_rate": 0.1})  # for 4 clips
    phases = PhaseSchedule("pool:2@3 batch=9, full@2, full@1 batch=2 lr=0.3")
    rates = [
        phase.learning_rate
        for phase in with_rates(recipe, phases, 10, lambda r: 1)
    ]
    peaks = [0.1 * math.sqrt(9 / 4), 0.1, 0.3]
    assert [rate.peak for rate in rates] == pytest.approx(peaks)
    # 10 clips: 2 steps of 9, 3 of 4, 5 of 2
    assert [rate.steps for rate in rates] == [3 * 2, 2 * 3, 1 * 5]


def test_steps_are_in_the_table():
    costs = [NetworkCost(8, 1, 10), NetworkCost(16, 1, 20)]
    arguments = PhaseSchedule("pool:2@2 batch=8, full@2"), costs, costs[-1]
    lines = cost_table(*arguments, 4, 10).splitlines()
    assert lines[0].endswith("clips a step  steps an epoch")
    assert [line.split()[-2:] for line in lines[1:3]] == [
        ["8", "2"],
        ["4", "3"],
    ]
    plain = cost_table(PhaseSchedule("pool:2@2, full@2"), *arguments[1:], 4, 10)
    assert "steps" not in plain.splitlines()[0]


def test_a_run_goes_on_as_if_never_stopped(recordings, tmp_path):  # noqa: F811
    recipe = Recipe(f"folder:{recordings}", **OPTIONS | {"schedule": SCHEDULE})
    clips = recipe.open_data()
    whole = Run(str(tmp_path / "whole"), recipe, clips)
    whole.train()
    stopped = Run(str(tmp_path / "stopped"), recipe, clips)
    for epochs in (1, 2):
        with killed_after(epochs):
            stopped.train()
    stopped.train()
    rows, resumed = [read_rows(r.path("history.csv")) for r in (whole, stopped)]
    # 8 clips to train on
    assert [row["steps"] for row in rows] == ["1", "1", "2", "2"]
    for row, again in zip(rows, resumed, strict=True):
        for name in ("phase", "steps", "loss", "val_loss", "learning_rate"):
            # float32 sums in another order of threads
            expected = pytest.approx(float(row[name]), rel=1e-3, abs=1e-8)
            assert float(again[name]) == expected, (name, row["epoch"])
    with open(stopped.path("config.json")) as file:
        phases = json.load(file)["phases"]
    assert [phase["batch_size"] for phase in phases] == [8, 4]


def test_describe_says_clips_and_steps(recordings, capsys):  # noqa: F811
    command = [
        "keras-c2f",
        "describe",
        f"--data=folder:{recordings}",
        "--no-choose",
        "--clip-seconds=0.32",
        "--schedule=pool:2@2, full@2",
        "--tokens-per-step=64",
    ]
    assert not run(parse(command))
    lines = capsys.readouterr().out.splitlines()
    cells = [x.split()[-2:] for x in lines if x.startswith(("pool:2", "full "))]
    assert cells == [["8", "1"], ["4", "2"]]


def test_remat_through_a_run_and_a_resumed_one(
    recordings,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    options = OPTIONS | {"schedule": "pool:2@1, full@2", "dropout": 0.0}
    runs = {}
    for remat in (False, True):
        recipe = Recipe(f"folder:{recordings}", remat=remat, **options)
        runs[remat] = Run(
            str(tmp_path / f"{remat}"), recipe, recipe.open_data()
        )
    runs[False].train()
    calls = []
    recomputed = EncoderBlock._recomputed

    def counting(self, tokens, training=None):
        calls.append(self.name)
        return recomputed(self, tokens, training)

    monkeypatch.setattr(EncoderBlock, "_recomputed", counting)
    with killed_after(2):
        runs[True].train()
    assert calls
    calls.clear()
    runs[True].train()
    assert calls
    plain, again = [
        [float(row["loss"]) for row in read_rows(run.path("history.csv"))]
        for run in runs.values()
    ]
    # float32 sums in another order, carried on by AdamW
    assert again == pytest.approx(plain, rel=1e-3)
