"""Runs that pre-train a backbone on masked patches, without labels."""

import numpy as np

from keras_c2f.models import (
    MaskedPatchLoss,
    MaskedPatchModel,
    masked_patch_metrics,
)
from keras_c2f.training import Run, build_backbone


class PretrainRun(Run):
    """`Run` whose network guesses masked patches; labels are not looked at.

    Args:
        folder, clips, command: as of `Run`.
        recipe: `PretrainRecipe`.
    """

    task = "masked patches"

    def _build(self, frontend):
        return build_masked_patches(self.recipe, frontend)

    def _objective(self):
        loss = MaskedPatchLoss(self.recipe.generative_weight)
        return loss, masked_patch_metrics()

    def _evaluate(self, network, pipeline):
        result = evaluate_masked_patches(
            network, pipeline, self.validation_clips
        )
        weight = self.recipe.generative_weight
        result["loss"] = (
            result["discriminative_loss"] + weight * result["generative_loss"]
        )
        return result


def build_masked_patches(recipe, frontend):
    """The untrained `MaskedPatchModel` of a recipe, at full resolution.

    Raises:
        ValueError: if preset, patch, precision or masks cannot be had.
    """
    return MaskedPatchModel(
        build_backbone(recipe, frontend),
        recipe.mask_ratio,
        recipe.cluster_sizes,
        frontend=frontend,
        dtype=recipe.precision,
    )


def evaluate_masked_patches(network, pipeline, clips):
    """How well a network guesses the masked patches of `Clips`.

    Args:
        network: `MaskedPatchModel` fed with what `pipeline` makes.
        pipeline: `AudioPipeline`; set to the network's resolution.
        clips: `Clips`, of which the labels are not looked at.

    Returns:
        dict with `num_clips` (those that could be read), `accuracy`,
        `discriminative_loss` and `generative_loss`, means over all masked
        patches.
    """
    pipeline.set_phase(network.resolution, epoch=0)
    outcomes = [
        np.asarray(network.predict_on_batch(features.numpy()))
        for features, _ in pipeline.dataset(clips)
    ]
    outcomes = np.concatenate(outcomes).astype("float64")
    contrast, error, hit = outcomes.mean(axis=(0, 1))
    return {
        "num_clips": len(outcomes),
        "accuracy": float(hit),
        "discriminative_loss": float(contrast),
        "generative_loss": float(error),
    }
