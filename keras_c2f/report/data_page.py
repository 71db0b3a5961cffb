"""One page about training data: what the network will really be shown."""

from pathlib import Path

import numpy as np

from keras_c2f.data.clips import Clips
from keras_c2f.data.lengths import clip_seconds
from keras_c2f.data.sampling import balancing_weights, class_counts
from keras_c2f.report import data_plots
from keras_c2f.report.data_plots import Panel
from keras_c2f.report.data_sample import (
    samples_of_augmentations,
    samples_of_phases,
)
from keras_c2f.report.plots import frame_step
from keras_c2f.report.rendering import write_page
from keras_c2f.report.words import SPACE, format_count, format_percent
from keras_c2f.training.from_recipe import make_pipeline, recipe_frontend
from keras_c2f.training.recipe import Recipe
from keras_c2f.utils import packages
from keras_c2f.utils.annotations import PathLike

CLIPS_OF_PHASE = 3
EFFECTS = {
    "mixup": "another clip added",
    "gain_db": "louder or softer",
    "time_mask": "a stretch of time hidden",
    "freq_mask": "a band of mel bins hidden",
    "noise": "noise added to the log-mel",
    "roll_frames": "moved in time",
}


def write_data_page(
    folder: PathLike, recipe: Recipe, clips: tuple[Clips, Clips]
) -> Path:
    """Writes `data.html`: clips of each phase, augmentations, classes, lengths.

    Args:
        folder: path; made if missing.
        recipe: `Recipe` of the training to come.
        clips: pair `(train, validation)` of `Clips`.

    Returns:
        `pathlib.Path` of `data.html` inside `folder`.

    Raises:
        ValueError: if no clip can be read, or the recipe cannot be used.
        ImportError: if matplotlib or jinja2 is missing.
    """
    training, validation = clips
    packages.require("matplotlib", "jinja2")
    pipeline = make_pipeline(recipe, recipe.frontend)
    frontend = recipe_frontend(recipe, pipeline, training)
    seconds, bad = clip_seconds(training, frontend.sample_rate)
    phases = samples_of_phases(recipe, frontend, training, CLIPS_OF_PHASE)
    alone = samples_of_augmentations(recipe, frontend, training)
    values = [sample.plain for samples in phases for sample in samples]
    limits = np.percentile(values, (1, 99.7))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return write_page(
        folder / "data.html",
        title=f"Network input: {recipe.data}",
        headline=_headline(recipe, frontend, clips, alone),
        note=_statistics(frontend),
        phases=list(_phases(recipe, frontend, phases, limits)),
        plain_frames=len(phases[0][0].plain),
        alone=[
            _augmentation(setting, sample, frontend, limits)
            for setting, sample in alone.items()
        ],
        clips=list(_clips(recipe, training, validation, seconds)),
        skipped={**bad, **dict(pipeline.skipped)},
    )


def _headline(recipe, frontend, clips, alone):
    training, validation = clips
    frames = recipe.frames(frontend)
    return [
        f"{len(training)} clips of {training.num_classes or 'no'} classes to "
        f"train on, {len(validation)} to validate on.",
        f"Of each, up to {recipe.clip_seconds:g}{SPACE}s: {frames} frames of "
        f"{frontend.num_mel_bins} mel bins at full resolution, and fewer in a "
        "coarse phase. "
        + (
            f"Augmented by {', '.join(alone)}."
            if alone
            else "No augmentation is on."
        ),
    ]


def _statistics(frontend):
    return (
        f"Log-mel has mean {frontend.mean:.2f} and standard deviation "
        f"{frontend.std:.2f}; the network gets (log-mel - mean) / (2 "
        "deviations). All colours share one scale."
    )


def _phases(recipe, frontend, phases, limits):
    """Pairs of a title and figures."""
    first = 1
    for phase, samples in zip(recipe.phases, phases, strict=True):
        text = str(phase.resolution)
        milliseconds = f"{frame_step(text) * frontend.frame_shift_ms:g}"
        frames = len(samples[0].shown)
        last = first + phase.epochs - 1
        epochs = f"epoch {first}" if last == first else f"epochs {first}–{last}"
        yield (
            f"{text}, {epochs}, {frames} frames of {milliseconds}{SPACE}ms",
            [
                (
                    sample.target,
                    _draw(sample, frontend, limits, f"{frames} frames"),
                )
                for sample in samples
            ],
        )
        first = last + 1


def _augmentation(setting, sample, frontend, limits):
    """Its name, and a figure of a clip without it, with it and the change."""
    difference = sample.shown - sample.plain
    effect = EFFECTS[setting.partition("=")[0]]
    change = Panel(
        f"{effect}: changes by up to {np.abs(difference).max():.2g}",
        difference,
        is_change=True,
    )
    return setting, _draw(sample, frontend, limits, setting, change)


def _draw(sample, frontend, limits, what, *more):
    """SVG of a `Sample`, and of `more` panels; `what` was done to it."""
    seconds = len(sample.plain) * frontend.frame_shift_ms / 1000
    panels = [
        Panel(f"raw: {sample.label}", sample.plain),
        Panel(f"{what}: {sample.target}", sample.shown),
    ]
    return data_plots.sample_figure([*panels, *more], seconds, limits)


def _clips(recipe, training, validation, seconds):
    """Triples of a label, a figure and a sentence."""
    if training.num_classes:
        yield "clips per class", *_classes(recipe, training, validation)
    if len(seconds):
        yield (
            "length of training clips",
            data_plots.length_figure(seconds, recipe.clip_seconds),
            _length_sentence(recipe, seconds),
        )


def _classes(recipe, training, validation):
    """SVG and a sentence about clips per class."""
    counts, held_out = class_counts(training), class_counts(validation)
    drawn = None
    if recipe.balanced:
        weights = balancing_weights(training)
        drawn = class_counts(training, len(training) * weights / weights.sum())
    names = training.class_names
    svg = data_plots.class_figure(names, counts, held_out, drawn)
    most, least = int(counts.argmax()), int(counts.argmin())
    if counts[most] == counts[least]:
        return svg, (
            f"Each class has {format_count(counts[most])} training clips."
        )
    return svg, (
        f"Most clips: {names[most]} ({format_count(counts[most])}); fewest: "
        f"{names[least]} ({format_count(counts[least])})."
    )


def _length_sentence(recipe, seconds):
    longer = (seconds > recipe.clip_seconds).mean()
    shorter = (seconds < recipe.clip_seconds).mean()
    where = "at the start" if recipe.crop == "leading" else "anywhere"
    return (
        f"Of {len(seconds)} clips examined, {format_percent(longer)} are "
        f"longer than {recipe.clip_seconds:g}{SPACE}s and cut {where}, "
        f"{format_percent(shorter)} are shorter and padded."
    )
