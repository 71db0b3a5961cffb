"""Schedules that share out compute: epochs against shares by hand."""

import pytest

from keras_c2f.phases import share_budget
from keras_c2f.phases.budget import parse_shares

pytestmark = pytest.mark.once


def cost(resolution):
    """A quarter at C = 4, a little over half at C = 2, as a transformer."""
    return {1: 100, 2: 52, 4: 25}[resolution.factor]


def test_phases_share_compute_equally():
    schedule = share_budget("pool:4 lr=1e-3, shift:2, full reset", 18, cost)
    # 6 epochs' compute each: 6 / 0.52 = 11.5, rounded to 12, leaves 5.76,
    # and 5.76 / 0.25 = 23.04
    assert str(schedule) == "pool:4@23 lr=0.001, shift:2@12, full@6 reset"


def test_shares_are_of_compute_not_of_epochs():
    schedule = share_budget("pool:4@50%, full@50%", 10, cost)
    assert [phase.epochs for phase in schedule] == [20, 5]


def test_the_smallest_share_is_an_epoch():
    schedule = share_budget("full@1%, pool:4@99%", 2, cost)
    assert [phase.epochs for phase in schedule] == [1, 4]
    schedule = share_budget("pool:4, full", 0.1, cost)
    assert [phase.epochs for phase in schedule] == [1, 1]


def test_budget_is_spent_to_half_an_epoch_of_the_cheapest_phase():
    for budget in range(2, 40):
        schedule = share_budget("pool:4, pool:2, full", budget, cost)
        spent = sum(p.epochs * cost(p.resolution) for p in schedule)
        assert abs(spent - 100 * budget) <= 25 / 2


@pytest.mark.parametrize(
    "text",
    [
        "pool:4@8, full@2",  # epochs
        "pool:4@50%, full",  # one without
        "pool:4@50%, full@40%",
        "pool:4@120%, full@-20%",
        "pool:4@x%, full@50%",
    ],
)
def test_refuses_shares_that_do_not_add_up(text):
    with pytest.raises(ValueError, match="sum to 100 %"):
        parse_shares(text)


@pytest.mark.parametrize("text", ["", "pool:4, , full", "pol:4", "full lr=x"])
def test_refuses_what_is_no_phase(text):
    with pytest.raises(ValueError, match="Received"):
        parse_shares(text)


@pytest.mark.parametrize("epochs", [0, -1, float("nan")])
def test_refuses_an_empty_budget(epochs):
    with pytest.raises(ValueError, match="above 0"):
        share_budget("full", epochs, cost)
