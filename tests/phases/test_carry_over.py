"""When a phase ends early: the rule on losses by hand, and in a real fit."""

import keras
import pytest
from tiny import clips, phased

from keras_c2f.phases import CarryOver, PhaseSchedule, PhaseScheduler
from keras_c2f.phases.budget import end_early
from keras_c2f.utils.files import read_rows

COSTS = [25, 52, 100]  # as share_budget's tests have them


def after(losses):
    """Epochs of the first of two phases, of which the second costs twice.

    Args:
        losses: dict from epoch, counted from 1, to `(here, there)`.
    """
    logs = [{} for _ in range(max(losses))]
    for epoch, (here, there) in losses.items():
        logs[epoch - 1] = {"carry_over_here": here, "carry_over_there": there}
    rule = CarryOver(None, logs=logs)
    schedule = PhaseSchedule("pool:2@8, full@4")
    return rule.begin(schedule, [1, 2], len(logs))[0].epochs


@pytest.mark.once
@pytest.mark.parametrize(
    "losses, epochs",
    [
        ({1: (2.0, 2.1)}, 8),  # one look says nothing
        ({1: (2.0, 2.1), 2: (1.0, 1.5)}, 8),  # 0.6 carries over: above a half
        ({1: (2.0, 2.1), 2: (1.0, 1.7)}, 2),  # 0.4
        ({1: (2.0, 2.1), 2: (1.0, 2.2)}, 2),  # it does harm
        ({1: (2.0, 2.1), 4: (1.0, 1.5), 6: (0.5, 1.5)}, 6),
        # since the first look, not since the last
        ({1: (2.0, 2.1), 4: (1.0, 1.0), 6: (0.9, 1.1)}, 8),
    ],
)
def test_phase_ends_if_too_little_carries_over(losses, epochs):
    assert after(losses) == epochs


@pytest.mark.once
def test_losses_may_be_read_from_a_file():
    texts = {1: ("2.0", "2.1"), 2: ("NA", "NA"), 4: ("1.0", "1.7"), 5: ("", "")}
    assert after(texts) == 4


@pytest.mark.once
@pytest.mark.parametrize(
    "schedule, index, epochs, expected",
    [
        # 13 x 25 left, + 600 + 600: 1525 / 1200 as much for both
        ("pool:4@24, pool:2@12, full@6", 0, 11, "pool:4@11, pool:2@14, full@8"),
        ("pool:4@24, pool:2@12, full@6", 1, 2, "pool:4@24, pool:2@2, full@11"),
        ("pool:4@2, pool:2@1, full@1", 0, 1, "pool:4@1, pool:2@1, full@1"),
    ],
)
def test_rest_of_the_compute_goes_to_later_phases(
    schedule, index, epochs, expected
):
    ended = end_early(PhaseSchedule(schedule), index, epochs, COSTS)
    assert str(ended) == expected


@pytest.mark.once
def test_ending_early_spends_what_was_planned_and_adds_no_epochs():
    for first in range(2, 30):
        planned = PhaseSchedule(f"pool:4@{first}, pool:2@7, full@5")
        for epochs in range(1, first):
            ended = end_early(planned, 0, epochs, COSTS)
            spent = [
                sum(p.epochs * c for p, c in zip(s, COSTS, strict=True))
                for s in (planned, ended)
            ]
            assert abs(spent[1] - spent[0]) <= 52 / 2
            assert ended.epochs <= planned.epochs
    for second in range(2, 12):
        planned = PhaseSchedule(f"pool:4@9, pool:2@{second}, full@5")
        ended = end_early(planned, 1, 1, COSTS)
        assert ended[0] == planned[0] and ended[1].epochs == 1
        # exact: 5 + (second - 1) x 0.52
        assert ended[2].epochs == round(5 + (second - 1) * 0.52)


class Scored:
    """A loss that falls here, and there by a share of it."""

    def __init__(self, share):
        self.share = share
        self.calls = []

    def __call__(self, network):
        pair, there = divmod(len(self.calls), 2)
        self.calls.append(str(network.resolution))
        return 2.0 - 0.1 * pair * (self.share if there else 1.0)


def fit(model, rule, schedule, *callbacks, **options):
    """The phase of each epoch."""
    scheduler = PhaseScheduler(schedule, adapt=rule, verbose=0)
    history = model.fit(
        *clips(),
        batch_size=4,
        callbacks=[scheduler, *callbacks],
        verbose=0,
        shuffle=False,
        **options,
    )
    return history.history["phase"]


def test_fit_follows_the_rule():
    schedule = "pool:4@4, pool:2@4, full@2"
    staying, moving = Scored(1.0), Scored(0.0)
    phases = fit(phased(compiled={}), CarryOver(staying), schedule)
    assert phases == [1] * 4 + [2] * 4 + [3] * 2
    # after 1, 2 and 3 epochs of 4; the fourth ends the phase anyway
    assert staying.calls == ["pool:4", "pool:2"] * 3 + ["pool:2", "full"] * 3

    model = phased(compiled={})
    phases = fit(model, CarryOver(moving), schedule)
    assert phases == [1] * 2 + [2] * 2 + [3] * (len(phases) - 4)
    assert moving.calls == ["pool:4", "pool:2"] * 2 + ["pool:2", "full"] * 2
    assert 6 < len(phases) < 10  # the dear ones have become more, all fewer
    assert str(model.resolution) == "full"


@pytest.mark.parametrize(
    "planned, checks, epochs",
    [(8, 4, [1, 2, 4, 6]), (8, 2, [1, 4]), (11, 4, [1, 3, 6, 8]), (2, 4, [])],
)
@pytest.mark.once
def test_when_it_checks(planned, checks, epochs):
    """Twice or more before the phase ends, or not at all."""
    rule = CarryOver(None, checks=checks)
    schedule = PhaseSchedule(f"pool:2@{planned}, full@4")
    rule.begin(schedule, [1, 2], initial_epoch=0)
    times = [
        epoch + 1
        for epoch in range(schedule.epochs)
        if rule._is_time(epoch, schedule.index_at(epoch))
    ]
    assert times == epochs  # none in the last phase


def test_scored_networks_have_the_same_weights():
    """Those of the epoch just trained, and resized for the next phase."""
    seen, model = [], phased(compiled={})
    untrained = model.network.get_weights()

    def loss(network):
        seen.append(network.get_weights())
        return 1.0

    fit(model, CarryOver(loss), "pool:2@3, full@1")
    here, there, *_ = seen
    assert any((a != b).any() for a, b in zip(untrained, here, strict=True))
    differ = [a.shape != b.shape for a, b in zip(here, there, strict=True)]
    assert sum(differ) == 1  # the grid of positions
    for a, b, resized in zip(here, there, differ, strict=True):
        if not resized:
            assert (a == b).all()


def test_fit_goes_on_with_the_logs_of_before(tmp_path):
    """With those of a file, whose columns are those of the first epoch."""
    path = tmp_path / "log.csv"
    whole, again = Scored(0.0), Scored(0.0)
    schedule = "pool:4@1, pool:2@6, full@2"
    logger = keras.callbacks.CSVLogger(path)
    phases = fit(phased(compiled={}), CarryOver(whole), schedule, logger)
    assert phases == [1] + [2] * 2 + [3] * 4
    rows = read_rows(path)
    again.calls += ["before"] * 2 * 1
    rule = CarryOver(again, logs=rows[:2])
    resumed = fit(
        phased(compiled={}), rule, schedule, initial_epoch=2, epochs=9
    )
    assert resumed == phases[2:]
    rule = CarryOver(None, logs=rows[:4])
    resumed = fit(
        phased(compiled={}), rule, schedule, initial_epoch=4, epochs=9
    )
    assert resumed == phases[4:]


def test_what_cannot_adapt_is_refused(tmp_path):
    with pytest.raises(ValueError, match="twice or more.*checks=1"):
        CarryOver(None, checks=1)
    with pytest.raises(ValueError, match="from coarse to fine.*full@1, pool"):
        fit(phased(compiled={}), CarryOver(None), "full@1, pool:2@1")
    with pytest.raises(ValueError, match="=3, so .* as many .*Received: 0"):
        fit(phased(compiled={}), CarryOver(None), "full@4", initial_epoch=3)
    model = phased(compiled={})
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    scheduler = PhaseScheduler("pool:2@1, full@1", adapt=CarryOver(None))
    with pytest.raises(ValueError, match="BackupAndRestore does not keep"):
        model.fit(*clips(), callbacks=[backup, scheduler])
