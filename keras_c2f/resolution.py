"""How coarse time is: one small record and the arithmetic that follows.

The paper ("From Coarse to Fine", arXiv 2401.08415) names three ways to make a
spectrogram transformer see fewer tokens; the fourth is ours. Each is a factor
on the time axis:

| text         | what grows by C            | frames seen | patch length |
|--------------|----------------------------|-------------|--------------|
| `shift:C`    | the frame shift, 10 -> 10C ms | T // C   | as before    |
| `pool:C`     | the pooling window on the log-mel | T // C | as before  |
| `patch:C`    | patch length and stride    | T           | times C      |
| `token:C`    | the pooling window on the tokens | T     | as before    |

The 25 ms window does not grow with the frame shift: from C = 3 on, frames no
longer overlap and some samples are never looked at. Pooling acts on the
logarithm, so `mean` is a geometric mean of power. Tokens are pooled by their
mean behind the patch embedding and the positions, so kernels see the frames
that they were trained on, and no weight changes its shape; these layers cost
what they cost at full resolution.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_c2f.utils.annotations import Tensor

METHODS = ("shift", "pool", "patch", "token")
POOL_TYPES = ("mean", "max")
LARGEST_FACTOR = 10_000


@dataclass(frozen=True)
class Resolution:
    """How many times coarser than full resolution the time axis is.

    Usually written as `FrameShift(2)`, `Pool(4, "max")`, `Patch(2)`,
    `TokenPool(2)`, a sum of them (`FrameShift(2) + Pool(2)`), or as text:
    `"pool:4:max"`, `"shift:2+pool:2"`, `"full"`.

    Args:
        shift: int, factor on the frame shift.
        pool: int, frames of log-mel pooled into one.
        patch: int, factor on patch length and patch stride in time.
        pool_type: `"mean"` or `"max"`.
        token: int, neighbouring tokens in time pooled into one, by their mean.

    Raises:
        ValueError: if a factor is not an integer of at least 1, or
            `pool_type` is unknown.

    Example:
        >>> Resolution.parse("shift:2+pool:2")
        Resolution(shift=2, pool=2, patch=1, pool_type='mean', token=1)
        >>> str(FrameShift(2) + Pool(2))
        'shift:2+pool:2'
        >>> Pool(4).num_frames(1024)
        256
    """

    shift: int = 1
    pool: int = 1
    patch: int = 1
    pool_type: str = "mean"
    token: int = 1

    def __post_init__(self):
        for name in METHODS:
            factor = getattr(self, name)
            if not isinstance(factor, int) or not 1 <= factor <= LARGEST_FACTOR:
                raise ValueError(
                    f"`{name}` is a compression factor, a whole number of at "
                    f"least 1 and at most {LARGEST_FACTOR:,}. "
                    f"Received: {name}={factor!r}."
                )
        if self.pool_type not in POOL_TYPES:
            raise ValueError(
                f"`pool_type` is one of {POOL_TYPES}. "
                f"Received: pool_type={self.pool_type!r}."
            )
        if self.pool == 1:  # nothing is pooled: equal records compare equal
            object.__setattr__(self, "pool_type", "mean")

    @classmethod
    def parse(cls, text: Resolution | str) -> Resolution:
        """Reads `full`, or a `+`-joined list such as `shift:2+pool:2:max`.

        A `Resolution` is returned as it is.

        Raises:
            ValueError: if `text` is not of that form, or names a method twice.
        """
        if isinstance(text, cls):
            return text
        resolution = cls()
        for part in () if text == "full" else str(text).split("+"):
            match = re.fullmatch(
                rf"({'|'.join(METHODS)}):(\d+)(?::(mean|max))?", part.strip()
            )
            if not match or (match[3] and match[1] != "pool"):
                raise ValueError(
                    "A resolution reads `full`, `shift:2`, `pool:4`, "
                    "`pool:4:max`, `patch:2`, `token:2`, or several joined by "
                    "`+`. "
                    f"Received: {text!r}."
                )
            options = {"pool_type": match[3]} if match[3] else {}
            resolution += cls(**{match[1]: int(match[2])}, **options)
        return resolution

    def __add__(self, other):
        """Both compressions together; each method at most once."""
        factors = {}
        for name in METHODS:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine > 1 and theirs > 1:
                raise ValueError(
                    f"`{name}` is given twice: {mine} and {theirs}. "
                    f"Write {name}:{mine * theirs} for both."
                )
            factors[name] = mine * theirs
        pool_type = self.pool_type if self.pool > 1 else other.pool_type
        return replace(self, **factors, pool_type=pool_type)

    def __str__(self):
        parts = [
            f"{name}:{getattr(self, name)}"
            for name in METHODS
            if getattr(self, name) > 1
        ]
        text = "+".join(parts) or "full"
        if self.pool_type == "max":
            text = text.replace(f"pool:{self.pool}", f"pool:{self.pool}:max")
        return text

    @property
    def name(self) -> str:
        """str of letters, digits, `_` and `-`, for files and signatures.

        Example:
            >>> (FrameShift(2) + Pool(2)).name
            'shift_2-pool_2'
        """
        return str(self).replace(":", "_").replace("+", "-")

    @property
    def factor(self) -> int:
        """int, how many times fewer tokens in time there are."""
        return self.shift * self.pool * self.patch * self.token

    def relative_to(self, finer: Resolution) -> Resolution:
        """The compression that leads from `finer` to this resolution.

        Raises:
            ValueError: if none does.

        Example:
            >>> str(Pool(4).relative_to(Pool(2)))
            'pool:2'
        """
        factors = {
            name: divmod(getattr(self, name), getattr(finer, name))
            for name in METHODS
        }
        pools_otherwise = (
            finer.pool > 1 and self.pool_type != finer.pool_type
        ) or (finer.pool > 1 and self.shift != finer.shift)
        if pools_otherwise or any(rest for _, rest in factors.values()):
            raise ValueError(
                f"`{self}` cannot be computed from `{finer}`: each factor has "
                "to be a multiple of the finer one's, pooled by the same "
                "`pool_type`, and pooled frames have one frame shift."
            )
        factors = {name: factor for name, (factor, _) in factors.items()}
        return replace(self, **factors)

    def num_frames(self, num_frames: int) -> int:
        """Frames left of `num_frames` full-resolution ones (rounded down).

        Raises:
            ValueError: if none are left.
        """
        kept = num_frames // (self.shift * self.pool)
        if kept < 1:
            raise ValueError(
                f"`{self}` leaves no frame of a clip of {num_frames} frames. "
                f"Use a factor of at most {num_frames}, or longer clips."
            )
        return kept

    def compress(self, log_mel: Tensor, ops: ModuleType) -> Tensor:
        """Keeps every `shift`-th frame, then pools frames.

        Patches and tokens are the network's.

        Taking every C-th 10 ms frame is exactly a frame shift of 10C ms,
        because frames have no edge padding.

        Args:
            log_mel: `(batch, frames, mel_bins)` with known frames and bins.
            ops: `numpy` or `keras.ops`, whichever `log_mel` belongs to.

        Returns:
            `(batch, self.num_frames(frames), mel_bins)`.
        """
        _, num_frames, mel_bins = log_mel.shape
        kept = self.num_frames(num_frames)
        if self.shift > 1:
            log_mel = log_mel[:, :: self.shift]
        if self.shift * self.pool > 1:
            log_mel = log_mel[:, : kept * self.pool]
        if self.pool > 1:
            windows = ops.reshape(log_mel, (-1, kept, self.pool, mel_bins))
            pool = {"mean": ops.mean, "max": ops.max}[self.pool_type]
            log_mel = pool(windows, axis=2)
        return log_mel


def FrameShift(factor: int) -> Resolution:  # noqa: N802  a record's constructor, as keras.Input
    """`Resolution` whose frame shift is `factor` times longer (paper: Fshift).

    Cheapest in a pipeline: fewer frames are ever computed.
    """
    return Resolution(shift=factor)


def Pool(factor: int, pool_type: str = "mean") -> Resolution:  # noqa: N802
    """`Resolution` that pools `factor` log-mel frames into one (paper: Pool).

    `pool_type` is `"mean"` or `"max"`.
    """
    return Resolution(pool=factor, pool_type=pool_type)


def Patch(factor: int) -> Resolution:  # noqa: N802
    """`Resolution` with patches `factor` times longer (paper: Patch).

    The spectrogram stays as it is; patch length and stride grow in time.
    """
    return Resolution(patch=factor)


def TokenPool(factor: int) -> Resolution:  # noqa: N802
    """`Resolution` that pools `factor` neighbouring tokens into one.

    Behind patch embedding and positions, by the mean. For pretrained weights:
    their kernels keep seeing frames of the length they were trained on.
    """
    return Resolution(token=factor)


def patch_grid(
    num_frames: int,
    num_mel_bins: int,
    patch_size: tuple[int, int],
    patch_stride: tuple[int, int],
) -> tuple[int, int]:
    """Number of patches `(time, freq)` of a spectrogram; the rest is dropped.

    Args:
        num_frames, num_mel_bins: int, size of the spectrogram.
        patch_size, patch_stride: pairs `(time, freq)`.

    Raises:
        ValueError: if the spectrogram is smaller than one patch.

    Example:
        >>> patch_grid(1024, 128, (16, 16), (10, 10))
        (101, 12)
    """
    size = (num_frames, num_mel_bins)
    if any(n < p for n, p in zip(size, patch_size, strict=True)):
        raise ValueError(
            f"A spectrogram of {num_frames} frames x {num_mel_bins} mel bins "
            f"is smaller than one patch of {tuple(patch_size)} (time, freq). "
            "Use longer clips, a smaller patch, or a smaller factor."
        )
    return tuple(
        (n - p) // s + 1
        for n, p, s in zip(size, patch_size, patch_stride, strict=True)
    )
