"""Runs that pre-train a backbone on masked patches, without labels."""

import functools

import keras
import numpy as np

from keras_c2f.evaluation.evaluate import predict_batch
from keras_c2f.models import (
    MaskedPatchLoss,
    MaskedPatchModel,
    masked_patch_metrics,
)
from keras_c2f.training.from_recipe import build_backbone
from keras_c2f.training.run import Run
from keras_c2f.utils.files import atomic_write


class PretrainRun(Run):
    """`Run` whose network guesses masked patches; labels are not looked at.

    At the end its folder also has `reconstruction.npz`, one clip as `original`,
    `masked` and `reconstructed`: see `reconstruct`.

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

    def _validate(self, network, pipeline):
        scores = self._scores(network, pipeline)
        del scores["num_clips"]
        return scores

    def _evaluate(self, network, pipeline):
        scores = self._scores(network, pipeline)
        self._write_reconstruction(network, pipeline)
        return scores, []

    def _score_simple(self, pipeline):
        return {}  # there is nothing to classify

    def _scores(self, network, pipeline):
        weight = self.recipe.generative_weight
        clips = self.validation_clips
        return evaluate_masked_patches(network, pipeline, clips, weight)

    def _write_reconstruction(self, network, pipeline):
        clip = self.validation_clips.subset([0])
        for features, _ in pipeline.dataset(clip):
            pictures = {
                name: picture[0]
                for name, picture in reconstruct(
                    network, features.numpy()
                ).items()
            }
            atomic_write(
                self.path("reconstruction.npz"),
                functools.partial(np.savez, **pictures),
            )


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


def evaluate_masked_patches(network, pipeline, clips, generative_weight=10.0):
    """How well a network guesses the masked patches of `Clips`.

    Args:
        network: `MaskedPatchModel` fed with what `pipeline` makes.
        pipeline: `AudioPipeline`; set to the network's resolution.
        clips: `Clips`, of which the labels are not looked at.
        generative_weight: float, see `MaskedPatchLoss`.

    Returns:
        dict with `num_clips` (those that could be read), and means over all
        masked patches: `accuracy`, `discriminative_loss`, `generative_loss`,
        and of the latter `loss`.

    Raises:
        ValueError: if no clip can be read.
    """
    pipeline.set_phase(network.resolution, epoch=0)
    outcomes = [
        np.asarray(predict_batch(network, features.numpy()))
        for features, _ in pipeline.dataset(clips)
    ]
    if not outcomes:
        raise ValueError(pipeline.no_usable_audio())
    outcomes = np.concatenate(outcomes).astype("float64")
    contrast, error, hit = map(float, outcomes.mean(axis=(0, 1)))
    return {
        "num_clips": len(outcomes),
        "accuracy": hit,
        "discriminative_loss": contrast,
        "generative_loss": error,
        "loss": contrast + generative_weight * error,
    }


def reconstruct(network, log_mel):
    """What a network is shown of clips, and what it makes of the rest.

    Args:
        network: `MaskedPatchModel` with `input_kind="compressed"`.
        log_mel: float array `(batch, frames, mel_bins)`.

    Returns:
        dict of float arrays of that shape, less what fills no whole patch:
        `original`; `masked`, NaN where a patch is masked; and
        `reconstructed`, with those patches as the generative head draws them.
    """
    names = ("mask", "patchify", "generative_head")
    inside = keras.Model(
        network.input, [network.get_layer(name).output for name in names]
    )
    positions, patches, drawn = inside.predict_on_batch(log_mel)
    size = network.get_layer("generative_head").patch_size
    pictures = {"original": patches}
    for name, values in (("masked", np.nan), ("reconstructed", drawn)):
        pictures[name] = patches.copy()
        np.put_along_axis(pictures[name], positions[..., None], values, axis=1)

    def joined(patches):
        # (b, t*f, time*freq) -> (b, t, time, f, freq) -> (b, frames, bins)
        grid = network.backbone.grid_size
        image = patches.reshape(-1, *grid, *size).transpose(0, 1, 3, 2, 4)
        return image.reshape(-1, grid[0] * size[0], grid[1] * size[1])

    return {name: joined(patches) for name, patches in pictures.items()}
