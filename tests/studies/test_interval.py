"""Intervals that count parts and seeds, against formulas by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from studies.interval import by_part, interval
from studies.page import format_interval

pytestmark = pytest.mark.once


def test_interval_of_one_seed_is_student_s_over_parts():
    values = {("1", 1): 0.2, ("2", 1): 0.1, ("3", 1): -0.1}
    found = interval(values)
    expected = stats.ttest_1samp([0.2, 0.1, -0.1], 0).confidence_interval(0.95)
    assert (found.parts, found.seeds) == (3, 1)
    assert found.mean == pytest.approx(0.2 / 3)
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_interval_of_one_part_is_over_seeds():
    found = interval({("", 1): 0.1, ("", 2): 0.3})
    assert (found.parts, found.seeds) == (1, 2)


def test_seeds_are_averaged_where_parts_lack_some():
    found = interval({("1", 1): 0.1, ("1", 2): 0.3, ("2", 1): 0.1})
    same = interval({("1", 1): 0.2, ("2", 1): 0.1})
    assert found == same


def test_interval_of_equal_values_has_no_width():
    found = interval({("1", 1): 0.1, ("2", 1): 0.1})
    assert (found.low, found.high) == (0.1, 0.1)


def test_a_single_value_has_no_interval():
    assert format_interval(interval({("1", 1): -0.012})) == "-1.2"


@pytest.mark.parametrize("parts_differ", [0, 1])
@pytest.mark.parametrize("seeds_differ", [0, 1])
def test_interval_holds_the_truth_as_often_as_it_says(
    parts_differ, seeds_differ
):
    """Five folds and three seeds, drawn 400 times around 0."""
    draw = np.random.default_rng(0).normal
    tables = (
        draw(size=(400, 5, 3))
        + parts_differ * draw(size=(400, 5, 1))
        + seeds_differ * draw(size=(400, 1, 3))
    )
    found = [interval(dict(np.ndenumerate(table))) for table in tables]
    # 0.95 less a standard error of 400 draws
    assert np.mean([f.low <= 0 <= f.high for f in found]) > 0.94


def test_interval_over_parts_alone_would_miss_seeds():
    """What all parts of a seed share is seen: it is not narrower for them."""
    of_seed = {1: 0.0, 2: 0.1, 3: 0.2}
    found = interval({(p, s): of_seed[s] for p in "12345" for s in of_seed})
    over_seeds = interval({("", s): value for s, value in of_seed.items()})
    assert (found.low, found.high) == pytest.approx(
        (over_seeds.low, over_seeds.high)
    )


def test_interval_of_a_whole_grid_by_hand():
    values = {
        ("1", 1): 0.1,
        ("1", 2): 0.5,
        ("2", 1): 0.2,
        ("2", 2): 0.6,
        ("3", 1): 0.6,
        ("3", 2): 0.7,
    }
    found = interval(values)
    # sums of squares 0.13, 0.135 and 0.03 over freedom 2, 1, 2, and 6 runs
    parts, seeds, rest = 0.13 / 2 / 6, 0.135 / 6, 0.03 / 2 / 6
    variance = parts + seeds - rest
    freedom = variance**2 / (parts**2 / 2 + seeds**2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert (found.parts, found.seeds) == (3, 2)
    ends = 0.45 - half, 0.45 + half
    assert (found.low, found.high) == pytest.approx(ends)


def test_format():
    one_seed = {("1", 1): 0.0, ("2", 1): 0.02}
    assert format_interval(interval(one_seed)) == "+1.0 (-11.7 to +13.7; 2)"
    both = {**one_seed, ("1", 2): 0.0, ("2", 2): 0.02}
    assert format_interval(interval(both)) == "+1.0 (-11.7 to +13.7; 2 x 2)"


def test_parts():
    assert by_part({("a", 1): 1.0, ("a", 2): 3.0, ("b", 1): 5.0}) == {
        "a": 2.0,
        "b": 5.0,
    }
