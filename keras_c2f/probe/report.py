"""What a probe found, in a table, a sentence and a schedule."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from keras_c2f.resolution import Resolution

COARSEST = 4  # C of a first phase


@dataclass(frozen=True)
class FactorScore:
    """How well classes are separated at one resolution.

    Attributes:
        resolution: str.
        score, standard_error: float, mean over clips, from 0 to 1.
        loss, loss_error: float, by how much `score` is below that of full
            resolution, and the standard error of this difference, from the
            clips' own differences.
    """

    resolution: str
    score: float
    standard_error: float
    loss: float
    loss_error: float

    @classmethod
    def of(
        cls, resolution: str, scores: np.ndarray, at_full_resolution: np.ndarray
    ) -> FactorScore:
        """From the scores of clips, float `(n,)` each."""
        lost = at_full_resolution - scores
        return cls(
            resolution,
            float(scores.mean()),
            _standard_error(scores),
            float(lost.mean()),
            _standard_error(lost),
        )

    @property
    def factor(self) -> int:
        """int, C."""
        return Resolution.parse(self.resolution).factor

    @property
    def loses(self) -> bool:
        """bool, whether the loss is above two standard errors."""
        return self.loss > 2 * self.loss_error


@dataclass(frozen=True)
class ProbeReport:
    """What `probe` found; its `str` is what the command line prints.

    Attributes:
        rows: tuple of `FactorScore`, from full resolution on.
        chance: float, score from class frequencies alone.
        measure: str, what is scored.
        num_clips, num_classes: int, that were looked at.

    Example:
        >>> rows = (
        ...     FactorScore("full", 0.95, 0.01, 0.0, 0.0),
        ...     FactorScore("pool:4", 0.945, 0.01, 0.005, 0.005),
        ...     FactorScore("pool:8", 0.85, 0.01, 0.1, 0.01),
        ... )
        >>> print(ProbeReport(rows, 0.1, "accuracy", 900, 10))
        resolution         accuracy       points lost
        full          95.0 +- 1.0 %
        pool:4        94.5 +- 1.0 %        0.5 +- 0.5
        pool:8        85.0 +- 1.0 %       10.0 +- 1.0
        900 clips, 10 classes, +- one standard error, chance 10.0 %.
        Up to C = 4 nothing is lost that 900 clips would show; C = 8 loses
        10.0 points. Try --schedule="pool:4, full".
    """

    rows: tuple[FactorScore, ...]
    chance: float
    measure: str
    num_clips: int
    num_classes: int

    @property
    def coarsest(self) -> FactorScore:
        """`FactorScore` of the largest C up to which none loses.

        Of factors that lose nothing one in forty seems to, by chance; one
        standard error would find one in six.
        """
        fine = itertools.takewhile(lambda row: not row.loses, self.rows)
        return list(fine)[-1]

    @property
    def is_conclusive(self) -> bool:
        """bool, whether full resolution is two standard errors above chance."""
        full = self.rows[0]
        return full.score - self.chance > 2 * full.standard_error

    @property
    def schedule(self) -> str:
        """Phases of equal compute that begin at `coarsest`, as text.

        At C = 4 at most: five phases from C = 16 ended 3.8 points below three
        from C = 4 on ESC-50 (study `phases`).
        """
        coarse = [r for r in self.rows if 1 < r.factor <= self.coarsest.factor]
        usual = [r for r in coarse if r.factor <= COARSEST] or coarse[:1]
        names = [row.resolution for row in reversed(usual)]
        return ", ".join([*names, "full"])

    def __str__(self):
        return "\n".join([*self._table(), self.sentence()])

    def _table(self):
        columns = "{:<12}{:>15}{:>18}"
        yield columns.format("resolution", self.measure, "points lost")
        for row in self.rows:
            score = _percent(row.score, row.standard_error) + " %"
            lost = _percent(row.loss, row.loss_error)
            lost = "" if row.factor == 1 else lost
            yield columns.format(row.resolution, score, lost).rstrip()
        yield (
            f"{self.num_clips} clips, {self.num_classes} classes, "
            f"+- one standard error, chance {self.chance:.1%}."
        ).replace("%", " %")

    def sentence(self) -> str:
        """str, what to make of it."""
        if not self.is_conclusive:
            return (
                "The probe does not separate these classes, so it cannot "
                "say what compression loses. Train both ways and compare: "
                "keras-c2f train --baseline."
            )
        found, last = self.coarsest.factor, self.rows[-1].factor
        shown = f"nothing is lost that {self.num_clips} clips would show"
        if found == last:
            text = f"Up to C = {found}, the coarsest tried, {shown}."
        else:
            after = next(row for row in self.rows if row.factor > found)
            loss = f"{100 * after.loss:.1f} points"
            text = (
                f"Up to C = {found} {shown}; C = {after.factor} loses {loss}."
            )
            if found == 1:
                text = (
                    f"C = {after.factor} loses {loss} already: this data set "
                    "needs its fine timing, and a coarse phase cannot see all "
                    "that the last one has to learn."
                )
        return f'{text} Try --schedule="{self.schedule}".'


def _standard_error(values):
    return float(np.std(values, ddof=1) / len(values) ** 0.5)


def _percent(value, error):
    return f"{100 * value:.1f} +- {100 * error:.1f}"
