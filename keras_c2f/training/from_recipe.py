"""What a recipe stands for: budget, network, pipeline and front end."""

import dataclasses
import functools

import keras

from keras_c2f.cost import mean_cost, network_cost
from keras_c2f.data import AudioPipeline, Augment
from keras_c2f.models import AudioClassifier, backbone_from_size
from keras_c2f.models.presets import AST_PRESETS
from keras_c2f.phases import (
    PhaseSchedule,
    rate_scale,
    share_budget,
    with_cosine,
)
from keras_c2f.phases.schedule import elastic_text
from keras_c2f.resolution import Resolution
from keras_c2f.training.initial import initial_frontend, initial_prefix_tokens
from keras_c2f.training.recipe import parse_pair


def spend_budget(recipe):
    """The recipe with epochs in its schedule, where it had a budget.

    A clip costs what the backbone does in training (`NetworkCost.macs`); the
    head on top is small. With `tokens_per_step` phases get batch sizes, too.
    """
    recipe = _spend_compute(recipe)
    if not recipe.tokens_per_step:
        return recipe
    phases = [
        phase
        if phase.batch_size
        else dataclasses.replace(phase, batch_size=_batch_size(recipe, phase))
        for phase in recipe.phases
    ]
    schedule = str(PhaseSchedule(phases))
    return dataclasses.replace(recipe, schedule=schedule, tokens_per_step=0)


def _batch_size(recipe, phase):
    """Clips that have about `tokens_per_step` tokens in a phase."""
    cost, _ = _count_backbone(recipe, phase.resolution)
    return max(recipe.tokens_per_step // cost.num_tokens, 1)


def _spend_compute(recipe):
    if not recipe.budget:
        return recipe
    text = recipe.schedule
    if elastic := recipe.phases[-1].elastic:
        text += f" elastic={elastic_text(elastic, '/')}"
    schedule = share_budget(
        text, recipe.budget, lambda r: backbone_cost(recipe, r)[0]
    )
    _, num_frames = backbone_cost(recipe, "full")
    return dataclasses.replace(
        recipe, schedule=str(schedule), budget=0.0, num_frames=num_frames
    )


def backbone_cost(recipe, resolution):
    """`(multiply-accumulates of a clip, frames)` of the recipe's backbone.

    Counting needs a built network, so what was counted is kept.
    """
    cost, num_frames = _count_backbone(recipe, resolution)
    return cost.macs, num_frames


def _count_backbone(recipe, resolution):
    options = _backbone_options(recipe, recipe.frontend)
    return _count(tuple(options.items()), Resolution.parse(resolution))


@functools.cache
def _count(options, resolution):
    backbone = backbone_from_size(**dict(options), resolution=resolution)
    return network_cost(backbone), backbone.num_frames


def phase_costs(recipe, network):
    """list of `NetworkCost`, of a recipe's network in each of its phases."""
    return [
        mean_cost(
            [
                (network_cost(network.at_resolution(resolution)), share)
                for resolution, share in phase.parts
            ]
        )
        for phase in recipe.phases
    ]


def baseline_cost(recipe, network):
    """`NetworkCost` of a network without the padding for coarse phases.

    Args:
        recipe: `Recipe` with epochs in its schedule; see `Recipe.baseline`.
        network: of that recipe, at full resolution.
    """
    cost, baseline = network_cost(network), recipe.baseline()
    if baseline.frames(recipe.frontend) == recipe.frames(recipe.frontend):
        return cost
    padded, _ = backbone_cost(recipe, "full")
    unpadded, _ = backbone_cost(baseline, "full")
    macs = round(cost.macs * unpadded / padded)
    return dataclasses.replace(cost, macs=macs)


def with_rates(recipe, phases, num_clips, cost):
    """Phases with the recipe's learning rates.

    Args:
        recipe: `Recipe`.
        phases: its `PhaseSchedule`, or one of other epochs.
        num_clips: int, clips of an epoch.
        cost: function from a `Resolution` to what a clip costs there.

    Returns:
        `PhaseSchedule`, each phase with a `Cosine`. Its peak is the rate of
        the phase, or else that of the recipe for the batch size of the phase.
    """

    def peaked(phase):
        if phase.learning_rate is not None or phase.batch_size is None:
            return phase
        scale = rate_scale("AdamW", phase.batch_size / recipe.batch_size)
        peak = scale * recipe.learning_rate
        return dataclasses.replace(phase, learning_rate=peak)

    return with_cosine(
        [peaked(phase) for phase in phases],
        recipe.learning_rate,
        lambda phase: -(-num_clips // (phase.batch_size or recipe.batch_size)),
        warmup=recipe.warmup,
        cost=None if recipe.warm_restarts else cost,
    )


def build_backbone(recipe, frontend):
    """The untrained backbone of a recipe, at full resolution.

    Raises:
        ValueError: if preset or patch cannot be had.
    """
    return backbone_from_size(**_backbone_options(recipe, frontend))


def _backbone_options(recipe, frontend):
    prefix_tokens = None
    if recipe.backbone in AST_PRESETS:
        prefix_tokens = initial_prefix_tokens(recipe.init_from)
    return {
        "name": recipe.backbone,
        "num_frames": recipe.frames(frontend),
        "num_mel_bins": frontend.num_mel_bins,
        "depth": recipe.depth or None,
        "patch_size": parse_pair(recipe.patch_size),
        "patch_stride": parse_pair(recipe.patch_stride),
        "kernel_resize": recipe.kernel_resize,
        "position_resize": recipe.position_resize or None,
        "dropout": recipe.dropout,
        "drop_path": recipe.drop_path,
        "patchout": recipe.patchout or None,
        "token_merging": recipe.token_merging or None,
        "frozen_blocks": recipe.frozen_blocks or None,
        "lora_rank": recipe.lora or None,
        "num_prefix_tokens": prefix_tokens,
        "dtype": recipe.precision,
    }


def build_classifier(recipe, num_classes, frontend):
    """The untrained `AudioClassifier` of a recipe, at full resolution.

    Raises:
        ValueError: if there are no classes, or preset or patch cannot be had.
    """
    if not num_classes:
        raise ValueError(
            f"{recipe.data} has no labels, so no classes can be learned. "
            "Pre-train on it (`keras-c2f pretrain`), then train on labelled "
            "recordings with --init-from."
        )
    backbone = build_backbone(recipe, frontend)
    if recipe.freeze:  # else what the backbone has frozen stays so
        backbone.trainable = False
    options = {}
    if recipe.freeze or recipe.pooling == "statistics":
        # a head that is solved is linear, and may be trained on afterwards
        options["head_epsilon"] = None
    return AudioClassifier(
        backbone,
        num_classes,
        frontend=frontend,
        pooling=recipe.pooling,
        dropout=recipe.dropout,
        dtype=recipe.precision,
        **options,
    )


def make_optimizer(recipe):
    """The AdamW of a recipe."""
    return keras.optimizers.AdamW(
        recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        global_clipnorm=1.0,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema,
    )


def make_pipeline(recipe, frontend, devices=None):
    """The `AudioPipeline` of a recipe.

    Args:
        recipe: `Recipe`.
        frontend: `Frontend`.
        devices: `Devices` that share a training batch; default: one.
    """
    sharing = {}
    if devices and devices.number > 1:
        shard = devices.process, devices.processes
        sharing = {"shard": shard, "pad_batches": True}
    augment = Augment(
        mixup=recipe.mixup,
        gain_db=recipe.gain_db,
        time_mask=recipe.time_mask,
        freq_mask=recipe.freq_mask,
        noise=recipe.noise,
        roll_frames=recipe.roll_frames,
    )
    return AudioPipeline(
        frontend,
        recipe.frames(frontend),
        recipe.batch_size // sharing.get("shard", (0, 1))[1],
        augment=augment,
        on_error=recipe.on_error,
        seed=recipe.seed,
        clip_seconds=recipe.clip_seconds,
        crop=recipe.crop,
        balanced=recipe.balanced,
        **sharing,
    )


def recipe_frontend(recipe, pipeline, clips):
    """The pipeline's front end, with the recipe's mean and deviation.

    With those of `clips` where the recipe gives none, by
    `AudioPipeline.adapt`. Whisper's is the same for all data, and weights that
    stay as they are keep the one that they were trained with.
    """
    if not recipe.std:
        is_kept = recipe.freeze and initial_frontend(recipe.init_from)
        if is_kept or pipeline.frontend.style == "whisper":
            return pipeline.frontend
        return pipeline.adapt(clips)
    given = {"mean": recipe.mean, "std": recipe.std}
    return dataclasses.replace(pipeline.frontend, **given)
