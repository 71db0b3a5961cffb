"""Schedules that share out compute rather than epochs."""

import dataclasses
import itertools
from collections.abc import Callable

from keras_c2f.phases.schedule import Phase, PhaseSchedule
from keras_c2f.resolution import Resolution


def share_budget(
    text: str, epochs: float, cost: Callable[[Resolution], float]
) -> PhaseSchedule:
    """Gives phases the epochs that their shares of a compute budget buy.

    Without shares each phase gets the same compute, whatever its resolution:
    a rule that has nothing to tune but the budget. A phase at C = 4, whose
    clips cost about a quarter, then has about four times as many epochs as
    one at full resolution.

    Args:
        text: str, phases without epochs, such as `"pool:4, pool:2, full"`,
            or with shares, `"pool:4@50%, pool:2@30%, full@20%"`; options such
            as `lr=1e-3` may follow, see `Phase.parse`.
        epochs: float, the budget: the compute of so many epochs at full
            resolution.
        cost: function from a `Resolution` to what a clip costs there, in any
            unit.

    Returns:
        `PhaseSchedule`. Epochs are rounded, those of the cheapest phase last,
        so what is spent differs from the budget by up to half an epoch there;
        by more where a phase needs its one epoch.

    Raises:
        ValueError: if `text` cannot be read, shares are not positive or do
            not sum to 100 %, or `epochs` is not positive.

    Example:
        >>> print(share_budget("pool:4, full", 10, lambda r: 1 / r.factor))
        pool:4@20, full@5
    """
    if not epochs > 0:
        raise ValueError(
            "The budget of a schedule is a number of epochs above 0. "
            f"Received: {epochs}."
        )
    phases = unspent_phases(text)
    costs = [
        sum(share * cost(resolution) for resolution, share in phase.parts)
        for phase in phases
    ]
    budget = epochs * cost(Resolution())
    counts = [
        share * budget / each
        for (_, share, _), each in zip(parse_shares(text), costs, strict=True)
    ]
    counts = _whole_epochs(counts, costs, budget)
    return PhaseSchedule(
        [
            dataclasses.replace(phase, epochs=count)
            for phase, count in zip(phases, counts, strict=True)
        ]
    )


def end_early(schedule, index, epochs, costs):
    """Ends a phase, and gives what compute it has left to the later ones.

    Args:
        schedule: `PhaseSchedule`.
        index: int, the phase; not the last one.
        epochs: int, those it has had, at least 1.
        costs: list of numbers, what a clip costs in each phase.

    Returns:
        `PhaseSchedule`; its later phases have compute in the same proportion
        as before, rounded as in `share_budget`.

    Example:
        >>> schedule = PhaseSchedule("pool:4@16, pool:2@8, full@4")
        >>> print(end_early(schedule, 0, 8, [1, 2, 4]))
        pool:4@8, pool:2@10, full@5
    """
    ended = dataclasses.replace(schedule[index], epochs=epochs)
    later = schedule.phases[index + 1 :]
    counts = [phase.epochs for phase in later]
    planned = _work(counts, costs[index + 1 :])
    budget = planned + (schedule[index].epochs - epochs) * costs[index]
    counts = [count * budget / planned for count in counts]
    counts = _whole_epochs(counts, costs[index + 1 :], budget)
    return PhaseSchedule(
        [
            *schedule.phases[:index],
            ended,
            *(
                dataclasses.replace(phase, epochs=count)
                for phase, count in zip(later, counts, strict=True)
            ),
        ]
    )


def check_rising(schedule, costs):
    """Refuses phases that cannot end early.

    Args:
        schedule: `PhaseSchedule`.
        costs: list of numbers, what a clip costs in each phase.

    Raises:
        ValueError: if a phase is no more expensive than the one before.
    """
    if any(later <= before for before, later in itertools.pairwise(costs)):
        raise ValueError(
            "Phases that may end early go from coarse to fine, each more "
            f"expensive than the one before. Received: {schedule}."
        )


def unspent_phases(text):
    """`PhaseSchedule` of what `parse_shares` reads, of an epoch each.

    Raises:
        ValueError: as `parse_shares`.
    """
    return PhaseSchedule(
        [
            Phase.parse(" ".join([f"{resolution}@1", *options]))
            for resolution, _, options in parse_shares(text)
        ]
    )


def parse_shares(text):
    """`"pool:4@75% lr=1e-3, full@25%"` -> what each phase is to get.

    Returns:
        List of `(Resolution, share from 0 to 1, list of option words)`.

    Raises:
        ValueError: as `share_budget`.
    """
    phases = [(phase.split() or [""]) for phase in text.split(",")]
    firsts = [words[0].partition("@") for words in phases]
    shares = [share for _, _, share in firsts if share]
    try:
        shares = [_share(share) for share in shares]
    except ValueError:
        shares = [-1.0]
    whole = len(shares) == len(phases) and abs(sum(shares) - 1) < 1e-6
    if shares and not (whole and min(shares) > 0):
        raise ValueError(
            "With a budget, phases have no epochs: either none says a share, "
            "`pool:4, full`, or all do, and these sum to 100 %, "
            f"`pool:4@60%, full@40%`. Received: {text!r}."
        )
    shares = shares or [1 / len(phases)] * len(phases)
    parsed = []
    for words, (name, _, _), share in zip(phases, firsts, shares, strict=True):
        Phase.parse(" ".join([f"{name}@1", *words[1:]]))  # refuses bad options
        parsed.append((Resolution.parse(name), share, words[1:]))
    return parsed


def _whole_epochs(counts, costs, budget):
    """Rounds, at least to 1; the cheapest fill up what the others leave."""
    counts = [max(round(count), 1) for count in counts]
    cheapest = costs.index(min(costs))
    rest = (budget - _work(counts, costs)) / costs[cheapest]
    counts[cheapest] = max(counts[cheapest] + round(rest), 1)
    return counts


def _work(counts, costs):
    return sum(n * each for n, each in zip(counts, costs, strict=True))


def _share(text):
    if not text.endswith("%"):
        raise ValueError(text)
    return float(text[:-1]) / 100
