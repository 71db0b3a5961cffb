"""Training clips as the network is shown them, beside what they were."""

import dataclasses
from typing import NamedTuple

import numpy as np

from keras_c2f.data import Augment
from keras_c2f.training.from_recipe import make_pipeline

AUGMENTATIONS = {
    field.name: field.default
    for field in dataclasses.fields(Augment)
    if field.name != "layers"  # no recipe can name them
}


class Sample(NamedTuple):
    """One training clip.

    Attributes:
        label: str, its classes.
        plain: `(frames, mel_bins)`, normalised log-mel of the same crop at
            full resolution, not augmented.
        target: str, classes that the network is to find, with their shares
            if clips are mixed.
        shown: `(frames, mel_bins)`, what the network is given.
    """

    label: str
    plain: np.ndarray
    target: str
    shown: np.ndarray


def samples_of_phases(recipe, frontend, clips, num_clips):
    """The first clips of each phase's first epoch, as training draws them.

    Args:
        recipe: `Recipe`.
        frontend: `Frontend`, with the statistics of the data.
        clips: `Clips` to train on.
        num_clips: int.

    Returns:
        List of lists of `Sample`, at most `num_clips` a phase.

    Raises:
        ValueError: if no clip can be read.
    """
    phases = recipe.phases
    epochs = [phases.first_epoch(index) for index in range(len(phases))]
    resolutions = [phase.resolution for phase in phases]
    plain = dataclasses.replace(recipe, **AUGMENTATIONS)
    data = (frontend, clips, num_clips)
    # the same draws: order, crops and broken files of both are alike
    originals = _first_batches(plain, *data, ["full"] * len(epochs), epochs)
    shown = _first_batches(recipe, *data, resolutions, epochs)
    return [_pairs(*both) for both in zip(originals, shown, strict=True)]


def samples_of_augmentations(recipe, frontend, clips, num_clips=12):
    """One clip without and with each augmentation of a recipe, by itself.

    Args:
        recipe, frontend, clips: as in `samples_of_phases`.
        num_clips: int; shown is that one of so many which changes most.

    Returns:
        Dict from `"name=value"` to `Sample`, at full resolution.
    """
    plain = dataclasses.replace(recipe, **AUGMENTATIONS)
    data = (frontend, clips, num_clips, ["full"], [0])
    (originals,) = _first_batches(plain, *data)
    samples = {}
    for name, off in AUGMENTATIONS.items():
        value = getattr(recipe, name)
        if value != off:
            alone = dataclasses.replace(plain, **{name: value})
            (shown,) = _first_batches(alone, *data)
            pairs = _pairs(originals, shown)
            samples[f"{name}={value:g}"] = max(pairs, key=_change)
    return samples


def describe_target(target, class_names, most=3):
    """A target in words.

    Example:
        >>> describe_target([0, 1, 1], ["cat", "dog", "rain"])
        'dog, rain'
        >>> describe_target([0.4, 0.6, 0], ["cat", "dog", "rain"])
        'dog 60%, cat 40%'
    """
    target = np.asarray(target)
    order = np.argsort(-target, kind="stable")[: int((target > 0).sum())]
    is_mixed = not np.isin(target, (0, 1)).all()
    words = [
        class_names[i] + (f" {target[i]:.0%}" if is_mixed else "")
        for i in order
    ]
    if len(words) > most:
        words[most:] = [f"{len(words) - most} more"]
    return ", ".join(words) or "no class"


def _change(sample):
    return np.abs(sample.shown - sample.plain).mean()


def _pairs(originals, shown):
    return [
        Sample(*original, *changed)
        for original, changed in zip(originals, shown, strict=True)
    ]


def _first_batches(recipe, frontend, clips, num_clips, resolutions, epochs):
    """For each epoch, pairs of a target in words and a log-mel."""
    recipe = dataclasses.replace(recipe, batch_size=num_clips)
    pipeline = make_pipeline(recipe, frontend)
    dataset = pipeline.dataset(clips, training=True)
    batches = []
    for resolution, epoch in zip(resolutions, epochs, strict=True):
        pipeline.set_phase(resolution, epoch)
        with pipeline.naming_bad_audio():
            batch = next(iter(dataset), None)
        if batch is None:
            raise ValueError(pipeline.no_usable_audio())
        features, targets = (part.numpy() for part in batch)
        words = [describe_target(row, clips.class_names) for row in targets]
        batches.append(list(zip(words, features, strict=True)))
    return batches
