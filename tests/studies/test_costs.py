"""What a study costs, against a transformer's products by hand."""

import pytest
from studies import read_study
from studies.costs import costs_table, run_macs

from keras_c2f.training import from_recipe
from keras_c2f.training.recipe import Recipe

# Of `ast_micro` at patches of 8 x 128, with two prefix tokens.
WIDTH, DEPTH = 96, 4


def forward(num_tokens):
    n = num_tokens + 2
    block = 4 * n * WIDTH**2 + 2 * n**2 * WIDTH + 8 * n * WIDTH**2
    return DEPTH * block + num_tokens * 8 * 128 * WIDTH


def test_a_run_costs_three_passes_over_all_clips():
    recipe = Recipe(
        schedule="pool:4@6, full@2",
        clip_seconds=5,
        num_frames=512,
        patch_size="8x128",
    )
    wanted = 3 * 320 * (6 * forward(16) + 2 * forward(64))
    assert run_macs(recipe, 320) == pytest.approx(wanted, rel=1e-12)


def test_a_network_is_built_once_for_all_recipes_alike(monkeypatch):
    built = []
    make = from_recipe.backbone_from_size

    def count(**options):
        built.append(options)
        return make(**options)

    monkeypatch.setattr(from_recipe, "backbone_from_size", count)
    for schedule in ("pool:4@6, full@2", "pool:4@9, full@1"):
        recipe = Recipe(schedule=schedule, clip_seconds=5, num_frames=480)
        run_macs(recipe, 320)
    assert len(built) == 2  # one a resolution


def test_table():
    study = read_study("tuning")
    table = costs_table(study, ["esc10"], tmacs_per_second=2)
    line = next(x for x in table.splitlines() if "| baseline, 1e-3 |" in x)
    tmacs = 3 * 320 * 30 * forward(64) / 1e12
    assert f"| `full@30` | {tmacs:.1f} | 100% | {tmacs / 7200:.3g} |" in line


def test_frozen_blocks_need_no_backward_pass():
    """Three passes through the last two blocks alone."""
    study = read_study("pretraining")
    table = costs_table(study, ["esc10"], tmacs_per_second=1)
    (line,) = (x for x in table.splitlines() if "half frozen" in x)

    def of_clip(n):
        blocks = forward(n) - n * 8 * 128 * WIDTH
        return 3 * blocks / 2 + blocks / 2 + n * 8 * 128 * WIDTH

    tmacs = 320 * sum(e * of_clip(n) for e, n in ((24, 16), (12, 32), (6, 64)))
    assert f"| {tmacs / 1e12:.1f} |" in line


def test_says_what_a_plan_lacks():
    study = read_study("tuning")
    del study.data["esc10"]["clips"]
    with pytest.raises(ValueError, match="give its table `clips`"):
        costs_table(study, ["esc10"], 1)
