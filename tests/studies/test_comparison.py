"""Pairs, curves and pages, from rows written by hand."""

import math
from pathlib import Path

import pytest
from studies import read_results, read_study
from studies.comparison import compare, mean_curve
from studies.page import write_page

pytestmark = pytest.mark.once

PLAN = """
title = "Title"
question = "Question?"
budget = "Budget."
stopping_rule = "Rule."
baseline = "whole"
seeds = [1, 2]
[data.esc10]
epochs = 4
held_out = ["1", "2", "3"]
[[method]]
name = "whole"
compute = 1.0
settings = { schedule = "full" }
[[method]]
name = "coarse first"
compute = 0.5
settings = { schedule = "pool:2, full" }
"""
# {(held_out, seed): score}
WHOLE = {("1", 1): 0.5, ("2", 1): 0.7, ("3", 1): 0.6, ("1", 2): 0.6}
COARSE = {("1", 1): 0.6, ("2", 1): 0.7, ("3", 1): 0.65, ("2", 2): 0.9}


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(PLAN)
    return read_study(str(path))


@pytest.fixture
def results(study, tmp_path):
    results = read_results(str(tmp_path / "rows"))
    for method, scores in (("whole", WHOLE), ("coarse first", COARSE)):
        for (held_out, seed), score in scores.items():
            cell = study.cell(method, "esc10", held_out, seed)
            results.add(*rows(cell, score, method == "whole"))
    return results


def rows(cell, score, is_whole):
    """A run of four epochs whose score climbs to `score` in equal steps."""
    macs = 2e12 if is_whole else 1e12
    row = {
        "id": cell.id,
        "score": score,
        "metric": "accuracy",
        "clips": 80,
        "macs": 4 * macs,
        "seconds": 8 if is_whole else 6,
        "cpu_seconds": 16 if is_whole else 8,
        "backend": "torch",
        "hardware": "one core",
        "command": cell.line,
    }
    epochs = [
        {
            "id": cell.id,
            "epoch": n,
            "resolution": "full" if is_whole or n > 2 else "pool:2",
            "macs": macs,
            "seconds": row["seconds"] / 4,
            "score": score * n / 4,
            "at_switch": 0.1 if not is_whole and n == 3 else "",
        }
        for n in (1, 2, 3, 4)
    ]
    return row, epochs


def test_only_pairs_are_compared(study, results):
    whole, coarse = compare(study, results, "esc10")
    assert whole.difference is None
    # parts 1, 2, 3 of seed 1; what the other method lacks is left out
    assert (coarse.difference.parts, coarse.difference.seeds) == (3, 1)
    assert coarse.difference.mean == pytest.approx((0.1 + 0 + 0.05) / 3)
    assert coarse.score == pytest.approx((0.6 + 0.8 + 0.65) / 3)
    assert coarse.shares == pytest.approx(
        {"macs": 0.5, "seconds": 0.75, "cpu_seconds": 0.5}
    )


@pytest.mark.parametrize(
    "goal, share",
    # mean of 0.65 in steps of 0.1625 for an eighth of the baseline's compute
    [(0.15, 1 / 8), (0.4, 3 / 8), (0.6499, 4 / 8), (0.66, math.inf)],
)
def test_curve_reaches_the_baseline(study, results, goal, share):
    # where all runs have a partner
    del results.runs[study.cell("coarse first", "esc10", "2", 2).id]
    for held_out in "123":
        cell = study.cell("whole", "esc10", held_out, 1)
        results.runs[cell.id]["score"] = goal
    _, coarse = compare(study, results, "esc10")
    assert coarse.reached == pytest.approx(share)


def test_curve_of_runs_whose_epochs_differ(study, tmp_path):
    """At the same compute, not the same epoch; the ends are averaged."""
    results = read_results(str(tmp_path))
    for held_out, epochs in {
        "1": [(1, 0.2), (1, 0.4), (1, 0.6)],
        "2": [(2, 0.1), (2, 0.8)],
    }.items():
        cell = study.cell("coarse first", "esc10", held_out, 1)
        names = ("macs", "score")
        epochs = [dict(zip(names, e, strict=True), id=cell.id) for e in epochs]
        results.add({"id": cell.id}, epochs)
    curve = mean_curve(study, results, "coarse first", "esc10")
    assert list(curve["macs"]) == [1, 2, 3.5]
    assert list(curve["score"]) == pytest.approx([0.15, 0.25, 0.7])


def test_switch(study, results):
    _, coarse = compare(study, results, "esc10")
    (switch,) = coarse.switches
    assert switch.resolution == "full"
    mean = sum(COARSE.values()) / 4
    assert switch.before == pytest.approx(mean / 2)
    assert switch.after == pytest.approx(0.1)
    assert (switch.recovery, switch.recovered, switch.count) == (1, 4, 4)


def test_runs_that_do_not_recover_are_counted(study, results):
    cell = study.cell("coarse first", "esc10", "1", 1)
    for epoch in results.epochs[cell.id][2:]:
        epoch["score"] = 0
    _, coarse = compare(study, results, "esc10")
    (switch,) = coarse.switches
    assert (switch.recovery, switch.recovered, switch.count) == (1, 3, 4)


def test_losses_on_changed_audio_are_paired(study, results):
    study.corruptions.append("noise:10")
    for method, lost in (("whole", 0.1), ("coarse first", 0.3)):
        for part in "12":
            cell = study.cell(method, "esc10", part, 1)
            score = results.runs[cell.id]["score"]
            results.add_corrupted(cell.id, {"noise:10": score - lost})
    cell = study.cell("whole", "esc10", "3", 1)  # the other method has none
    results.add_corrupted(cell.id, {"noise:10": 0.0})
    text = Path(write_page(study, results)).read_text()
    assert "over 2 runs each" in text
    assert "| whole | 10.0 |" in text
    assert "| coarse first | 30.0; +20.0 (+20.0 to +20.0; 2) |" in text


def test_pretraining_counts(tmp_path):
    text = PLAN.replace(
        'schedule = "pool:2, full" }',
        'schedule = "pool:2, full" }\npretrain = { schedule = "full@4" }',
    )
    (tmp_path / "mine.toml").write_text(text)
    study = read_study(str(tmp_path / "mine.toml"))
    results = read_results(str(tmp_path))
    whole = study.cell("whole", "esc10", "1", 1)
    coarse = study.cell("coarse first", "esc10", "1", 1)
    for cell in (whole, coarse.init_from, coarse):
        row, epochs = rows(cell, 0.5, cell is whole)
        results.add(row, epochs)
    _, found = compare(study, results, "esc10")
    assert found.macs == 8e12  # 4 before, 4 after
    assert found.shares["macs"] == 1
    assert found.shares["cpu_seconds"] == 1
    assert found.reached == 1


def test_rows_survive(study, results):
    results.add_corrupted("abc", {"noise:10": 0.5, "gain:3": 0.25})
    again = read_results(results.folder)
    assert again.runs.keys() == results.runs.keys()
    assert [r["score"] for r in again.epochs[next(iter(again.runs))]] == [
        str(0.5 * n / 4) for n in (1, 2, 3, 4)
    ]
    assert again.corrupted == {"abc": {"noise:10": 0.5, "gain:3": 0.25}}


def test_page(study, results):
    page = Path(write_page(study, results))
    before, after = page.read_text().split("## esc10")
    for said_first in ("Question?", "Budget.", "Rule.", "esc50=PATH"):
        assert said_first in before
    assert "8 of 12 runs" in after
    assert "| coarse first | 68.3 | +5.0 (" in after
    assert "| 50% | 75% | 50% | – |" in after  # not all runs have a partner
    assert "| coarse first | full | 35.6 | 10.0 | 1.0 (4 of 4) |" in after
    assert page.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"


def test_page_tells_seeds_apart(study, results):
    table = "| against whole, points (pairs ahead), on | seed 1 | seed 2 |"
    assert table not in Path(write_page(study, results)).read_text()
    cell = study.cell("whole", "esc10", "2", 2)
    results.add(*rows(cell, 1.0, True))
    results.runs[cell.id]["backend"] = "jax"
    assert table in (text := Path(write_page(study, results)).read_text())
    of_seeds = "+5.0 (2 of 3), torch | -10.0 (0 of 1), torch against jax"
    assert f"| coarse first | {of_seeds} |" in text


def test_page_names_a_machine_once(study, results):
    positions = ["2 x Zen + 1 x H200", "10 x Zen + 1 x H200", "1 x Zen"]
    for row, position in zip(results.runs.values(), positions, strict=False):
        row["hardware"] = position
    named = "one core; torch on 1 x Zen; torch on 2 to 10 x Zen + 1 x H200."
    assert named in Path(write_page(study, results)).read_text()


def test_page_leaves_out_data_of_a_single_method(study, results, tmp_path):
    study.data["digits"] = study.data["esc10"]
    of_baseline = study.cell("whole", "digits", "1", 1)
    results.add(*rows(of_baseline, 0.5, True))
    assert "## digits" not in Path(write_page(study, results)).read_text()
    alone = read_results(str(tmp_path / "alone"))
    alone.add(*rows(of_baseline, 0.5, True))
    assert "## digits" in Path(write_page(study, alone)).read_text()


def test_no_page_without_runs(study, tmp_path):
    assert write_page(study, read_results(str(tmp_path / "none"))) is None
