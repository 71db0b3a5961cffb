"""Mean and standard deviation of log-mel features, in one pass.

What is counted is what a network is fed: all values of clips cut or padded to
T frames, padding too (0 in Kaldi's style) and digital silence (the floor of
the logarithm), without augmentation. So does
`src/get_norm_stats.py` of AST's repository. It differs in that it averages
the standard deviations of batches, where ours is that of all values
together, and reads clips in training mode, mix-up and masks included.

Reference: Chan, Golub, LeVeque, "Algorithms for computing the sample
variance", 1983, equation 2.1 (merging the moments of two sets).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from keras_c2f.resolution import Resolution

if TYPE_CHECKING:
    from keras_c2f.data.clips import Clips
    from keras_c2f.data.pipeline import AudioPipeline


@dataclasses.dataclass
class Moments:
    """Count, mean and squared deviation of values that come in parts.

    Attributes:
        count: int.
        mean: float.
        squares: float, sum of squared deviations from the mean.

    Example:
        >>> moments = Moments()
        >>> moments.add([1, 2])
        >>> moments.add([6])
        >>> moments.mean, round(moments.std, 3)
        (3.0, 2.16)
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values):
        """Takes in an array of any shape, in float64."""
        values = np.asarray(values, "float64")
        if not values.size:
            return
        mean = float(values.mean())
        count = self.count + values.size
        gap = mean - self.mean
        self.squares += float(np.square(values - mean).sum())
        self.squares += gap**2 * self.count * values.size / count
        self.mean += gap * values.size / count
        self.count = count

    @property
    def std(self):
        """float, standard deviation of the values (divided by the count)."""
        return float((self.squares / self.count) ** 0.5)


@dataclasses.dataclass(frozen=True)
class FeatureMoments:
    """Statistics of log-mel features at one resolution.

    Attributes:
        mean, std: float, over all values.
        num_clips: int.
        standard_error: float, of the mean, from the means of the clips:
            clips are drawn, values within one are not independent. NaN of a
            single clip.
        padded: float, share of full-resolution frames that are padding. In
            librosa's style digital silence counts too: it looks the same.
    """

    mean: float
    std: float
    num_clips: int
    standard_error: float
    padded: float


def feature_moments(
    pipeline: AudioPipeline,
    clips: Clips,
    resolutions: Iterable[Resolution | str] = ("full",),
) -> list[FeatureMoments]:
    """Statistics of features at several resolutions, in one pass.

    Args:
        pipeline: `AudioPipeline` with compressed outputs; set to full
            resolution. Its front end's mean and std are undone.
        clips: `Clips`; those that cannot be read are not counted if the
            pipeline skips them.
        resolutions: `Resolution`s or texts.

    Returns:
        list of `FeatureMoments`, one per resolution; empty if no clip could
        be read.

    Raises:
        AudioError: if a recording cannot be read and the pipeline does not
            skip.
    """
    frontend = pipeline.frontend
    resolutions = [Resolution.parse(resolution) for resolution in resolutions]
    values = [Moments() for _ in resolutions]
    clip_means = [Moments() for _ in resolutions]
    padded = Moments()
    pipeline.set_phase("full", epoch=0)
    with pipeline.naming_bad_audio():
        for features, _ in pipeline.dataset(clips):
            log_mel = features.numpy().astype("float64")
            # float32 of numbers of about 1
            padding = np.abs(log_mel - frontend.pad_value) < 1e-5
            padded.add(padding.all(axis=2))
            for index, resolution in enumerate(resolutions):
                seen = resolution.compress(log_mel, np)
                values[index].add(seen)
                clip_means[index].add(seen.mean(axis=(1, 2)))
    if not padded.count:
        return []
    scale = 2 * frontend.std
    return [
        FeatureMoments(
            mean=float(moments.mean * scale + frontend.mean),
            std=moments.std * scale,
            num_clips=means.count,
            standard_error=_standard_error(means) * scale,
            padded=float(padded.mean),
        )
        for moments, means in zip(values, clip_means, strict=True)
    ]


def _standard_error(moments):
    """Of the mean of independent values; NaN of a single one."""
    count = moments.count
    if count < 2:
        return float("nan")
    return float((moments.squares / (count - 1) / count) ** 0.5)
