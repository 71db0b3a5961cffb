"""What settings may be: every number has bounds, and they are kept."""

import math
from dataclasses import fields

import pytest

from keras_c2f.cli.parser import make_parser
from keras_c2f.phases.schedule import Phase
from keras_c2f.resolution import Resolution
from keras_c2f.training.pretrain_recipe import PretrainRecipe
from keras_c2f.training.recipe import Recipe
from keras_c2f.utils.values import Flag, Number, values_of

pytestmark = pytest.mark.once
SETTINGS = [
    (kind, setting)
    for kind in (Recipe, PretrainRecipe)
    for setting in fields(kind)
]
NUMBERS = [
    (kind, setting)
    for kind, setting in SETTINGS
    if type(setting.default) in (int, float)
]


@pytest.mark.parametrize(("recipe", "setting"), NUMBERS)
def test_numbers_of_recipes_have_bounds(recipe, setting):
    values = values_of(setting)
    assert values.kind is type(setting.default)
    outside = [math.nan, math.inf, -math.inf, "1", None, True]
    if setting.name != "mean":  # of a logarithm: any
        outside += [-1, 1e12]
    outside += [0] * (values.above == 0) + [1] * (values.below == 1)
    for value in outside:
        with pytest.raises(
            ValueError, match=f"`{setting.name}` is a.*Received"
        ):
            recipe(**{setting.name: value})


@pytest.mark.parametrize(("recipe", "setting"), SETTINGS)
def test_defaults_are_allowed_and_other_kinds_are_not(recipe, setting):
    values_of(setting).check(setting.name, setting.default)
    with pytest.raises(ValueError, match=f"`{setting.name}` is .*Received"):
        recipe(**{setting.name: ["a list"]})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", -1e-3),
        ("warmup", 1.01),
        ("dropout", 1.0),
        ("token_merging", 0.6),
        ("clip_seconds", 1e6),
        ("seed", 2**32),
        ("backbone", "ast_tyni"),
        ("crop", "middle"),
        ("patch_size", "0x16"),
        ("patch_stride", "16x"),
        ("schedule", "full@999999999999"),
        ("schedule", "full@1 lr=inf"),
        ("schedule", "full@1 wd=-1"),
        ("schedule", "pool:99999@1"),
    ],
)
def test_values_from_bug_reports(name, value):
    with pytest.raises(ValueError, match="Received"):
        Recipe(**{name: value})


def test_shares_without_a_budget_say_so():
    with pytest.raises(ValueError, match="need a budget"):
        Recipe(schedule="pool:4@60%, full@40%")


@pytest.mark.parametrize("epochs", [0, 1.0, 10**6 + 1])
def test_epochs_of_a_phase(epochs):
    with pytest.raises(ValueError, match="`epochs` of a phase"):
        Phase("full", epochs)


def test_factors_have_an_end():
    assert Resolution(pool=10_000).pool == 10_000
    with pytest.raises(ValueError, match="at most 10,000"):
        Resolution(pool=10_001)


@pytest.mark.parametrize(
    ("number", "inside", "outside"),
    [
        (Number(int, at_least=1), [1, 10**9], [0, 1.0, True, "1"]),
        (Number(float, above=0, at_most=1), [1, 0.1], [0, 1.1, math.nan]),
        (Number(float, below=1), [-9, 0.99], [1, -math.inf]),
    ],
)
def test_bounds(number, inside, outside):
    for value in inside:
        number.check("x", value)
        assert number.read("x", str(value)) == value
    for value in outside:
        with pytest.raises(ValueError, match="`x` is a"):
            number.check("x", value)


def test_every_number_of_the_command_line_has_bounds():
    """Whatever is read as a number refuses one that it cannot be."""
    (commands,) = (a.choices for a in make_parser()._actions if a.choices)
    for name, command in commands.items():
        for action in command._actions:
            assert action.type not in (int, float), (name, action.dest)


def test_flags_are_true_or_false():
    with pytest.raises(ValueError, match="True or False"):
        Flag().check("adaptive", 1)
