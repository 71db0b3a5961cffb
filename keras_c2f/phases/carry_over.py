"""Phases that end when what they learn does not carry over."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_c2f.phases.budget import check_rising, end_early
from keras_c2f.phases.phased_model import PhasedModel
from keras_c2f.phases.schedule import PhaseSchedule
from keras_c2f.phases.transplant import transplant

HERE, THERE = "carry_over_here", "carry_over_there"


class CarryOver:
    """Ends a phase early if what it learns does not carry over to the next.

    Coarse training is worth its compute for what the finer network gains by
    it. So the network of a phase is scored a few times on the same clips: as
    it is, *here*, and with its weights transplanted to the resolution of the
    next phase, untrained, *there*. The phase goes on while

        (fall of the loss there) / (cost of an epoch here)
            >= (fall of the loss here) / (cost of an epoch there)

    since its first epoch. On the left is what a unit of compute has gained
    for the next phase; on the right what it is expected to gain in the next
    phase, if an epoch there gains as much as one has gained here. At C = 4
    before C = 2 that is the case as long as about half of what is learned
    carries over.

    A phase has its epochs in the schedule at most, and what earlier phases
    have left: compute that a phase leaves goes to the later ones, see
    `end_early`.

    Args:
        loss: function of a network, at whatever resolution it is, that
            returns its loss on always the same clips. A sample of those it is
            trained on will do; clips that models are to be compared on must
            not decide. If data follow the phase, it sets them to that
            resolution; the next epoch sets them back.
        learning_rates: function from a `PhaseSchedule` without rates to one
            with them, called whenever epochs change; see `with_cosine`.
            Default: phases keep what they have.
        checks: int, how often at most a phase is checked, after its first
            epoch and then evenly; at least 2.
        logs: list of dicts, the logs of the epochs before `fit`, where it
            goes on with an `initial_epoch`.

    Raises:
        ValueError: if `checks` is below 2.

    Example:
        >>> rule = CarryOver(lambda network: 0.0)
        >>> schedule = PhaseSchedule("pool:2@4, full@2")
        >>> rule.begin(schedule, [1, 2], initial_epoch=0).epochs
        6

    Reference:
        The paper leaves open when to move on. The rule is ours.
    """

    def __init__(
        self,
        loss: Callable[[keras.Model], float],
        learning_rates: Callable[
            [PhaseSchedule], PhaseSchedule
        ] = PhaseSchedule,
        checks: int = 4,
        logs: Sequence[dict[str, Any]] = (),
    ):
        if checks < 2:
            raise ValueError(
                "A phase is checked twice or more, to see a change. "
                f"Received: checks={checks}."
            )
        self.loss = loss
        self.learning_rates = learning_rates
        self.checks = checks
        self.logs_before = list(logs)

    def begin(
        self,
        schedule: PhaseSchedule,
        costs: Sequence[float],
        initial_epoch: int,
    ) -> PhaseSchedule:
        """The schedule with which a `fit` begins.

        Args:
            schedule: `PhaseSchedule`, as long as phases may be.
            costs: list of numbers, what a clip costs in each phase.
            initial_epoch: int, epochs before this `fit`.

        Returns:
            `PhaseSchedule`, with phases that earlier epochs have ended.

        Raises:
            ValueError: if a phase is no more expensive than the one before,
                or there are not logs of all epochs before.
        """
        check_rising(schedule, costs)
        if len(self.logs_before) != initial_epoch:
            raise ValueError(
                f"`fit` begins with initial_epoch={initial_epoch}, so "
                "CarryOver needs the logs of as many epochs before it. "
                f"Received: {len(self.logs_before)}."
            )
        self.logs = list(self.logs_before)
        self._schedule, self._costs = schedule, costs
        self._next = None  # network of the next phase
        for epoch in range(len(self.logs)):
            self._judge(epoch)
        return self.learning_rates(self._schedule)

    def after_epoch(
        self, model: PhasedModel, epoch: int, logs: dict[str, Any]
    ) -> PhaseSchedule:
        """Looks, where it is time to; adds what it sees to `logs`.

        Args:
            model: `PhasedModel`.
            epoch: int, the one that has ended.
            logs: dict; gets `carry_over_here` and `carry_over_there`, NaN if
                it was not time.

        Returns:
            `PhaseSchedule` for the epochs to come.
        """
        logs[HERE] = logs[THERE] = math.nan  # CSVLogger wants all columns
        index = self._schedule.index_at(epoch)
        if self._is_time(epoch, index):
            if self._next is None:
                resolution = self._schedule[index + 1].resolution
                self._next = model.network_at(resolution)
            transplant(model.network, self._next)
            logs[HERE] = self.loss(model.network)
            logs[THERE] = self.loss(self._next)
        self.logs.append(dict(logs))
        self._judge(epoch)
        if self._schedule.index_at(epoch + 1) > index:
            self._next = None
        return self.learning_rates(self._schedule)

    def _is_time(self, epoch, index):
        """Whether an epoch is one after which to look."""
        planned = self._schedule[index].epochs
        done = epoch + 1 - self._schedule.first_epoch(index)
        times = {round(n * planned / self.checks) for n in range(self.checks)}
        times = {1, *times} & set(range(1, planned))
        is_last = index == len(self._schedule) - 1
        return not is_last and len(times) > 1 and done in times

    def _judge(self, epoch):
        """Ends the phase of `epoch` if what was seen after it says so."""
        index = self._schedule.index_at(epoch)
        first = self._schedule.first_epoch(index)
        seen = [_figures(row) for row in self.logs[first : epoch + 1]]
        if not seen[-1]:
            return
        seen = [figures for figures in seen if figures]
        here, there = (
            before - now for before, now in zip(seen[0], seen[-1], strict=True)
        )
        if there / self._costs[index] < here / self._costs[index + 1]:
            self._schedule = end_early(
                self._schedule, index, epoch + 1 - first, self._costs
            )


def _figures(row):
    """Losses here and there; `None` where it was not time, in files too."""
    try:
        figures = [float(row[name]) for name in (HERE, THERE)]
    except (KeyError, ValueError):  # CSVLogger writes "NA"
        return None
    return None if math.isnan(sum(figures)) else figures
