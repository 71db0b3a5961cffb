"""Plans: what is read, what is refused, and which runs follow."""

import pytest
from studies import plan_names, read_study
from studies.plan import with_path

from keras_c2f.training.pretrain_recipe import PretrainRecipe
from keras_c2f.training.recipe import Recipe, option_names

pytestmark = pytest.mark.once

PLAN = """
title = "T"
question = "Q"
budget = "B"
stopping_rule = "S"
baseline = "whole"
seeds = [1, 2]
[settings]
backbone = "ast_micro"
[data.esc10]
epochs = 10
held_out = ["1", "2"]
[data.keywords]
epochs = 4
[data.keywords.settings]
batch_size = 8
[[method]]
name = "whole"
compute = 1.0
settings = { schedule = "full" }
[[method]]
name = "after SSAST"
compute = 0.5
settings = { schedule = "pool:2, full", balanced = true }
pretrain = { data = "esc50", budget = 3, mask_ratio = 0.5 }
"""


def read(tmp_path, text=PLAN):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return read_study(str(path))


def test_cells_go_method_by_method_and_data_sets_take_turns(tmp_path):
    study = read(tmp_path)
    cells = [c for c in study.cells() if c.command == "train"]
    parts = [("esc10", "1"), ("keywords", ""), ("esc10", "2")]
    assert [(c.seed, c.data, c.held_out, c.method) for c in cells] == [
        (seed, *part, method)
        for seed in (1, 2)
        for method in ("whole", "after SSAST")
        for part in parts
    ]
    assert len({c.id for c in study.cells()}) == len(study.cells()) == 18


def test_a_data_set_may_have_seeds_of_its_own(tmp_path):
    text = PLAN.replace("[data.esc10]", "[data.esc10]\nseeds = [2, 7]")
    cells = read(tmp_path, text).cells()
    seeds = {"esc10": [2, 7], "keywords": [1, 2]}
    for name, own in seeds.items():
        assert sorted({c.seed for c in cells if c.data == name}) == own


def test_settings_of_data_set_and_method(tmp_path):
    cell = read(tmp_path).cell("whole", "keywords", "", 2)
    assert cell.settings["batch_size"] == 8
    assert cell.settings["budget"] == 4
    words = cell.words(run="here")
    assert words[0] == "train" and words[1:] == sorted(words[1:])
    wanted = {
        "--batch-size=8",
        "--backbone=ast_micro",
        "--run=here",
        "--seed=2",
    }
    assert wanted | {"--held-out=", "--schedule=full"} <= set(words)


def test_pretraining_comes_first_and_is_named(tmp_path):
    study = read(tmp_path)
    cell = study.cell("after SSAST", "esc10", "1", 1)
    assert cell.settings["budget"] == 5
    assert cell.init_from.command == "pretrain"
    assert (cell.data, cell.init_from.data) == ("esc10", "esc50")
    assert cell.init_from.settings["budget"] == 3
    assert f"--init-from={cell.init_from.id}" in cell.words(**cell.start)
    assert f"={cell.init_from.id} " in cell.line
    assert "--balanced" in cell.words()
    order = [c.id for c in study.cells()]
    assert order.index(cell.init_from.id) < order.index(cell.id)


def test_an_id_stands_for_all_settings(tmp_path):
    study = read(tmp_path)
    changed = read(tmp_path, PLAN.replace("batch_size = 8", "batch_size = 9"))
    args = ("whole", "keywords", "", 1)
    assert study.cell(*args).id == read(tmp_path).cell(*args).id
    assert study.cell(*args).id != changed.cell(*args).id


def test_known_data_sets_need_no_settings(tmp_path):
    text = PLAN.replace('held_out = ["1", "2"]\n', "")
    table = read(tmp_path, text).data["esc10"]
    assert table["held_out"] == ["1", "2", "3", "4", "5"]
    assert table["epochs"] == 10  # the plan's own
    assert table["settings"]["num_frames"] == 512


@pytest.mark.parametrize(
    "old, new, match",
    [
        ('title = "T"', "", "lacks title"),
        ('title = "T"', 'title = "T"\ncolour = "red"', "has 'colour'"),
        ("epochs = 10", "epoch = 10", "Did you mean 'epochs'"),
        ("compute = 0.5", "computes = 0.5", "'after SSAST'.*'compute'"),
        ("[data.esc10]", "[data.esc_10]", "data set 'esc_10'"),
        ("[settings]", "corruptions = ['nois:1']\n[settings]", "nois:1"),
        ('baseline = "whole"', 'baseline = "half"', "one of its methods"),
        ('"after SSAST"', '"whole"', "a name of its own"),
        ("batch_size", "batchsize", "Did you mean 'batch_size'"),
        ('backbone = "ast_micro"', "mask_ratio = 0.5", "'mask_ratio'"),
        ("[settings]", "[settings", "is not TOML"),
    ],
)
def test_refuses(tmp_path, old, new, match):
    with pytest.raises(ValueError, match=match):
        read(tmp_path, PLAN.replace(old, new))


def test_unknown_study_suggests_a_near_name():
    with pytest.raises(ValueError, match="Did you mean 'tuning'"):
        read_study("tunning")


def test_paths():
    assert with_path("keywords", {}) == "keywords"
    assert with_path("esc10", {"esc10": "here"}) == "esc10:here"
    with pytest.raises(ValueError, match="--path esc10=PATH"):
        with_path("esc10", {})


@pytest.mark.parametrize("name", plan_names())
def test_plans_of_the_package_make_recipes(name):
    study = read_study(name)
    assert all(
        table["clips"] and table["epochs"] for table in study.data.values()
    )
    for cell in study.cells():
        recipe = Recipe if cell.command == "train" else PretrainRecipe
        assert cell.settings.keys() <= set(option_names(recipe))
        options = {**cell.start, **cell.settings}
        recipe(data=cell.data, held_out=cell.held_out, **options)
