"""What versions with other names for settings wrote is still read."""

import csv
from pathlib import Path

import pytest

from keras_c2f.training.pretrain_recipe import recipe_settings
from keras_c2f.training.recipe import Recipe

RESULTS = Path(__file__).parents[1] / "tools" / "results" / "study"


@pytest.mark.once
def test_settings_of_a_run_have_their_names_of_today():
    kept = {"model": "ast_tiny", "initial": "runs/a", "data": "sounds:x"}
    recipe = Recipe(**recipe_settings({"recipe": kept}, "runs/b"))
    assert recipe.backbone == "ast_tiny"
    assert recipe.init_from == "runs/a"
    assert recipe.data == "audio:x"


@pytest.mark.once
def test_rows_of_studies_belong_to_their_plans():
    plan = pytest.importorskip("studies.plan")
    lines = {
        cell.line
        for name in plan.plan_names()
        for cell in plan.read_study(name).cells()
    }
    with (RESULTS / "runs.csv").open(encoding="utf-8") as file:
        commands = {row["command"] for row in csv.DictReader(file)}
    assert len(commands & lines) > 500
    assert {c for c in commands if "--initial=" in c} <= lines
