"""What is trained when: phases in order, coarse to fine."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_c2f.resolution import Resolution
from keras_c2f.utils.values import MOST, Choice, Number

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule

OPTIMIZER_STATES = ("carry", "reset")
MOST_EPOCHS = 1_000_000


@dataclass(frozen=True)
class Phase:
    """Some epochs at one resolution, or at several with one set of weights.

    Args:
        resolution: `Resolution` or its text form.
        epochs: int, at least 1.
        learning_rate: float, a `LearningRateSchedule` whose step 0 is the
            first step of this phase, or `None`: go on as before.
        weight_decay: float, or `None`: as before.
        optimizer: `"carry"` keeps moments and iteration count (those of
            resized weights are resized alike), `"reset"` starts them afresh.
            The paper resets learning rate and training settings at each
            phase; carrying is our default.
        batch_size: int, clips a step of this phase, or `None`: those of the
            data. Without a `learning_rate` of the phase the one before is
            multiplied by `rate_scale`.
        elastic: resolutions that are trained together, `resolution`, the
            finest, among them: a list of `Resolution` or texts, a dict from
            these to the share of each batch that is trained there, or a text
            such as `"pool:4, pool:2, full"`, with shares
            `"pool:4@25%, full@75%"`. Default: `resolution` alone. Kept as a
            tuple of pairs of `Resolution` and share; see `ElasticNetworks`.

    Raises:
        ValueError: if `epochs` or `batch_size` is below 1, a rate is neither
            number nor schedule, `optimizer` is unknown, or resolutions of
            `elastic` cannot be computed from the finest one.

    Example:
        >>> Phase("full", 4, elastic=["pool:2", "full"]).elastic[0][1]
        0.5
    """

    resolution: Resolution | str
    epochs: int
    learning_rate: float | LearningRateSchedule | None = None
    weight_decay: float | None = None
    optimizer: str = "carry"
    batch_size: int | None = None
    elastic: str | Iterable | Mapping = ()

    def __post_init__(self):
        resolution = Resolution.parse(self.resolution)
        object.__setattr__(self, "resolution", resolution)
        parts = elastic_parts(self.elastic, resolution)
        object.__setattr__(self, "elastic", parts)
        if (
            not isinstance(self.epochs, int)
            or not 1 <= self.epochs <= MOST_EPOCHS
        ):
            raise ValueError(
                "`epochs` of a phase is a whole number of at least 1 and at "
                f"most {MOST_EPOCHS:,}. "
                f"Received: epochs={self.epochs!r} for phase {resolution}."
            )
        for name in ("learning_rate", "weight_decay"):
            value = getattr(self, name)
            if isinstance(value, numbers.Real) and 0 <= value < math.inf:
                object.__setattr__(self, name, float(value))
            elif value is not None and not (
                name == "learning_rate" and _is_schedule(value)
            ):
                raise ValueError(
                    f"`{name}` of a phase is a number of at least 0"
                    + ", or a LearningRateSchedule" * (name == "learning_rate")
                    + f". Received: {name}={value!r} for phase {resolution}."
                )
        Choice(OPTIMIZER_STATES).check("optimizer", self.optimizer)
        if self.batch_size is not None:
            Number(int, at_least=1, at_most=MOST).check(
                "batch_size", self.batch_size
            )

    @classmethod
    def parse(cls, text: str) -> Phase:
        """Reads `pool:4@8`, with `lr=`, `wd=`, `batch=`, `reset`, `elastic=`.

        Example:
            >>> str(Phase.parse("full@4 elastic=pool:4@40%/full@60%"))
            'full@4 elastic=pool:4@40%/full@60%'
            >>> phase = Phase.parse("pool:4@8 lr=1e-3 reset")
            >>> phase.epochs, phase.learning_rate, phase.optimizer
            (8, 0.001, 'reset')
        """
        words = str(text).split()
        resolution, at, epochs = (words or [""])[0].partition("@")
        options = {}
        names = {
            "lr": ("learning_rate", float),
            "wd": ("weight_decay", float),
            "batch": ("batch_size", int),
        }
        try:
            for word in words[1:]:
                key, _, value = word.partition("=")
                if word in OPTIMIZER_STATES:
                    options["optimizer"] = word
                elif key == "elastic":
                    options[key] = value
                else:
                    name, convert = names[key]
                    options[name] = convert(value)
            epochs = int(epochs)
        except (KeyError, ValueError):
            at = ""
        if not at:
            hint = ""
            if words and words[0].endswith("%"):
                hint = "Shares of compute need a budget (--budget). "
            raise ValueError(
                "A phase reads `pool:4@8` (resolution @ epochs), optionally "
                "followed by `lr=1e-3`, `wd=0.05`, `batch=128`, `reset` or "
                f"`elastic=pool:4/full`. {hint}"
                f"Received: {str(text)!r}."
            )
        return cls(Resolution.parse(resolution), epochs, **options)

    def __str__(self):
        words = [f"{self.resolution}@{self.epochs}"]
        if isinstance(self.learning_rate, float):
            words.append(f"lr={self.learning_rate:g}")
        if self.weight_decay is not None:
            words.append(f"wd={self.weight_decay:g}")
        if self.batch_size is not None:
            words.append(f"batch={self.batch_size}")
        if self.optimizer != "carry":
            words.append(self.optimizer)
        if self.elastic:
            words.append(f"elastic={elastic_text(self.elastic, '/')}")
        return " ".join(words)

    @property
    def parts(self) -> tuple[tuple[Resolution, float], ...]:
        """Pairs of a `Resolution` and the share of the clips trained there."""
        return self.elastic or ((self.resolution, 1.0),)


def elastic_parts(value, finest):
    """What `Phase(elastic=...)` is given, as pairs `(Resolution, share)`.

    Args:
        value: see `Phase`.
        finest: `Resolution` that is to be among them.

    Raises:
        ValueError: if it cannot be read, `finest` is missing, another cannot
            be computed from it, one is there twice, or shares do not sum to
            100 %.
    """
    if isinstance(value, str):
        value = parse_elastic(value)
    if isinstance(value, Mapping):
        value = value.items()
    pairs = [v if isinstance(v, tuple) else (v, None) for v in value]
    if not pairs:
        return ()
    resolutions = [Resolution.parse(resolution) for resolution, _ in pairs]
    if finest not in resolutions or len(set(resolutions)) < len(resolutions):
        raise ValueError(
            f"`elastic` names each resolution once, and that of the phase, "
            f"{finest}, among them, which is the finest. Received: "
            f"{', '.join(map(str, resolutions))}."
        )
    for resolution in resolutions:
        resolution.relative_to(finest)  # refuses what cannot be computed
    shares = [share for _, share in pairs if share is not None]
    if not shares:
        shares = [1 / len(pairs)] * len(pairs)
    whole = len(shares) == len(pairs) and abs(sum(shares) - 1) < 1e-6
    if not whole or min(shares) <= 0:
        raise ValueError(
            "Of the resolutions of `elastic` either none has a share, or all "
            "have one above 0 and these sum to 100 %, such as "
            f"`pool:4@40%, full@60%`. Received: {shares}."
        )
    return tuple(zip(resolutions, shares, strict=True))


def parse_elastic(text):
    """`"pool:4@40%, full@60%"` -> pairs of texts and shares, or `None`.

    Separated by commas, or by slashes, as within a schedule.
    """
    pairs = []
    for part in re.split("[,/]", text) if text.strip() else []:
        name, at, share = part.strip().partition("@")
        try:
            share = float(share.removesuffix("%")) / 100 if at else None
        except ValueError:
            raise ValueError(
                "A share of `elastic` is a percentage, such as `pool:4@40%`. "
                f"Received: {part.strip()!r}."
            ) from None
        pairs.append((name, share))
    return pairs


def elastic_text(parts, separator=", "):
    """What `parse_elastic` reads; without shares where these are equal."""
    equal = len({round(share, 9) for _, share in parts}) == 1
    return separator.join(
        str(resolution) if equal else f"{resolution}@{100 * share:g}%"
        for resolution, share in parts
    )


def _is_schedule(value):
    if isinstance(value, numbers.Real):
        return False
    from keras.optimizers.schedules import LearningRateSchedule  # takes seconds

    return isinstance(value, LearningRateSchedule)


class PhaseSchedule:
    """Phases in the order they are trained; epochs count through.

    Args:
        phases: a text such as `"pool:4@8, pool:2@6, full@6"`, a list of
            `Phase` or of such texts, or a `PhaseSchedule`.

    Raises:
        ValueError: if there is no phase, or a text cannot be read.

    Example:
        >>> schedule = PhaseSchedule("pool:4@8, full@2")
        >>> schedule.epochs, schedule.index_at(7), schedule.index_at(8)
        (10, 0, 1)
    """

    def __init__(
        self, phases: PhaseSchedule | Phase | str | Iterable[Phase | str]
    ):
        if isinstance(phases, PhaseSchedule):
            phases = phases.phases
        elif isinstance(phases, Phase):
            phases = [phases]
        elif isinstance(phases, str):
            phases = phases.split(",")
        self.phases = tuple(
            phase if isinstance(phase, Phase) else Phase.parse(phase)
            for phase in phases
        )
        if not self.phases:
            raise ValueError(
                "A schedule has at least one phase; this is empty."
            )

    @property
    def epochs(self) -> int:
        """int, epochs of all phases together: `fit(epochs=...)`."""
        return sum(phase.epochs for phase in self.phases)

    def first_epoch(self, index: int) -> int:
        """The epoch, counted from 0, with which phase `index` begins."""
        return sum(phase.epochs for phase in self.phases[:index])

    def index_at(self, epoch: int) -> int:
        """Index of the phase that trains `epoch` (counted from 0).

        Epochs past the end belong to the last phase.
        """
        for index in range(len(self.phases)):
            if epoch < self.first_epoch(index + 1):
                return index
        return len(self.phases) - 1

    def __len__(self):
        return len(self.phases)

    def __getitem__(self, index):
        return self.phases[index]

    def __str__(self):
        return ", ".join(map(str, self.phases))
