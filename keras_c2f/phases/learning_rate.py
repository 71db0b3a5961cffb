"""Learning rates of phases."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from keras_c2f.phases.schedule import Phase, PhaseSchedule
from keras_c2f.resolution import Resolution
from keras_c2f.utils.annotations import Tensor


def with_cosine(
    schedule: PhaseSchedule | str | Iterable[Phase | str],
    peak: float,
    steps: int | Callable[[Phase], int],
    warmup: float = 0.0,
    cost: Callable[[Resolution], float] | None = None,
) -> PhaseSchedule:
    """Gives phases a cosine each, or their pieces of one cosine.

    Args:
        schedule: `PhaseSchedule`, or what makes one.
        peak: float, highest learning rate; a phase with a rate of its own
            keeps that as its peak.
        steps: int, optimizer steps of an epoch; or a function from a `Phase`
            to them, where batch sizes differ.
        warmup: float, share of a cosine that rises first.
        cost: function from a `Resolution` to what a clip costs there, in any
            unit: one cosine then goes down over the compute of all phases, up
            to one that resets the optimizer, which begins another. Default:
            each phase begins one, as in the paper.

    Returns:
        `PhaseSchedule`.

    Example:
        >>> phases = with_cosine("pool:2@4, full@2", 1e-3, 10, cost=lambda r: 1)
        >>> [(p.learning_rate.begin, p.learning_rate.end) for p in phases]
        [(0.0, 0.6666666666666666), (0.6666666666666666, 1.0)]
    """
    schedule = PhaseSchedule(schedule)
    positions = [(0.0, 1.0)] * len(schedule)
    if cost is not None:
        positions = _pieces(schedule, cost)

    def cosine(phase, position):
        own = phase.learning_rate
        return Cosine(
            peak if own is None else own,
            phase.epochs * (steps(phase) if callable(steps) else steps),
            *position,
            warmup,
        )

    return PhaseSchedule(
        [
            dataclasses.replace(phase, learning_rate=cosine(phase, position))
            for phase, position in zip(schedule, positions, strict=True)
        ]
    )


def _pieces(schedule, cost):
    """`(begin, end)` of each phase in its cosine, by what it costs."""
    curves = []
    for index, phase in enumerate(schedule):
        if not index or phase.optimizer == "reset":
            curves.append([])
        clip = sum(share * cost(r) for r, share in phase.parts)
        curves[-1].append(phase.epochs * clip)
    pieces = []
    for work in curves:
        done = [part / sum(work) for part in itertools.accumulate(work)]
        pieces += itertools.pairwise([0.0, *done])
    return pieces


@keras.saving.register_keras_serializable("keras_c2f")
class Cosine(LearningRateSchedule):
    """Linear warm-up, then half a cosine down to 0; or a piece of that.

    Several phases that share one curve each have a piece of it.

    Args:
        peak: float, the highest rate of the whole curve.
        steps: int, optimizer steps of this piece.
        begin, end: float, where in the whole curve, from 0 to 1, the piece
            begins and ends. After its last step the rate stays.
        warmup: float, share of the whole curve that rises.

    Example:
        >>> late = Cosine(1.0, steps=10, begin=0.5, end=1.0)
        >>> [round(float(late(step)), 2) for step in (0, 5, 10)]
        [0.5, 0.15, 0.0]
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        begin: float = 0.0,
        end: float = 1.0,
        warmup: float = 0.0,
    ):
        self.peak = peak
        self.steps = steps
        self.begin = begin
        self.end = end
        self.warmup = warmup

    def __call__(self, step: Tensor) -> Tensor:
        done = ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)
        position = self.begin + (self.end - self.begin) * done
        falling = (position - self.warmup) / max(1.0 - self.warmup, 1e-6)
        rate = 0.5 + 0.5 * ops.cos(math.pi * falling)
        if self.warmup:
            rate = ops.where(
                position < self.warmup, position / self.warmup, rate
            )
        return self.peak * rate

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "steps": self.steps,
            "begin": self.begin,
            "end": self.end,
            "warmup": self.warmup,
        }


@keras.saving.register_keras_serializable("keras_c2f")
class FromStep(LearningRateSchedule):
    """A learning rate schedule that begins at a later step.

    Lets a phase have a schedule of its own while the optimizer's iteration
    count, which bias corrections need, goes on.

    Args:
        schedule: `LearningRateSchedule`.
        first_step: int, the optimizer iteration that is its step 0.
        scale: float, factor of the rate: see `rate_scale`.
    """

    def __init__(self, schedule, first_step, scale=1.0):
        self.schedule = schedule
        self.first_step = first_step
        self.scale = scale

    def __call__(self, step):
        return self.scale * self.schedule(step - self.first_step)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "schedule": serialize(self.schedule),
            "first_step": self.first_step,
            "scale": self.scale,
        }

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["first_step"], config.get("scale", 1.0))


def rate_scale(
    optimizer: keras.optimizers.Optimizer | str, ratio: float
) -> float:
    """What a learning rate is multiplied by for another batch size.

    Linear for SGD. Optimizers that divide by the size of the gradients, as
    the Adam family does, take steps whose size does not depend on the batch,
    while their noise falls with its square root: so that root, for all others.

    Args:
        optimizer: Keras optimizer, or the name of its class.
        ratio: float, the new batch size divided by the old one.

    Returns:
        float.

    Example:
        >>> rate_scale("SGD", 4), rate_scale("AdamW", 4)
        (4.0, 2.0)

    Reference:
        Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.1, for
        SGD. Malladi et al., "On the SDEs and Scaling Rules for Adaptive
        Gradient Algorithms", NeurIPS 2022, for Adam; their rule changes betas
        and epsilon too, which stay as they are here.
    """
    if not isinstance(optimizer, str):
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        optimizer = type(optimizer).__name__
    return float(ratio) if optimizer == "SGD" else math.sqrt(ratio)


def rescaled(rate, scale):
    """A learning rate, schedule or not, times a factor."""
    if isinstance(rate, FromStep):
        return FromStep(rate.schedule, rate.first_step, scale * rate.scale)
    if isinstance(rate, LearningRateSchedule):
        return FromStep(rate, 0, scale)
    return scale * float(ops.convert_to_numpy(rate))
