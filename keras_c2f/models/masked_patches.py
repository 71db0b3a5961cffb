from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_c2f.layers import (
    MaskEmbedding,
    PatchComparison,
    Patchify,
    PatchMask,
    PatchPrediction,
)
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models.ast_model import AST
from keras_c2f.models.task import Task, open_input


@keras.saving.register_keras_serializable("keras_c2f")
class MaskedPatchModel(Task):
    """A backbone that learns from audio alone, by guessing masked patches.

    Most patches of a spectrogram are replaced by one learned embedding. Of
    each, the backbone shall say which of the masked patches of its clip it
    is, and what it looks like. Compile with `MaskedPatchLoss` and
    `masked_patch_metrics`; whatever targets the data has are ignored. Then
    `transplant` it into an `AudioClassifier`.

    Both predictions come from one forward pass (Algorithm 1 of the paper);
    the original's code makes two, with a mask each. The targets are values
    of the normalised log-mel itself, as compressed as the phase has it.
    Accuracies of phases are not comparable: a coarse phase has fewer patches
    to choose from. With `Patch` the heads are resized with the patch.

    Args:
        backbone: `AST` whose patches do not overlap.
        mask_ratio: float, share of the patches that is masked.
        cluster_sizes: sequence of int or `None`: see `PatchMask`.
        input_kind: `"compressed"`, `"log_mel"` or `"waveform"`: see
            `AudioClassifier`.
        frontend: `Frontend`, needed with `input_kind="waveform"`.

    Input shape:
        `(batch, frames, mel_bins)`, or `(batch, samples)` of any length.

    Output shape:
        `(batch, num_masked, 3)`, float32: contrastive loss, squared error
        and hit of each masked patch: see `PatchComparison`. The masks are
        random in training and the same in every call otherwise.

    Raises:
        ValueError: if the backbone is no `AST`, its patches overlap, or it
            leaves some out, merges or pools them, or an argument is outside
            its range.

    Example:
        >>> from keras_c2f.models import AST
        >>> backbone = AST.from_size("micro", num_frames=128)
        >>> MaskedPatchModel(backbone).output_shape  # 78 % of 64 patches
        (None, 50, 3)

    Reference:
        Gong, Lai, Chung, Glass, "SSAST: Self-Supervised Audio Spectrogram
        Transformer", AAAI 2022, section 2.
    """

    def __init__(
        self,
        backbone: AST,
        mask_ratio: float = 400 / 512,
        cluster_sizes: Sequence[int] | None = None,
        input_kind: str = "compressed",
        frontend: Frontend | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs: Any,
    ):
        _check(backbone)
        source, features = open_input(backbone, input_kind, frontend)
        embed, *encoder = backbone.layers[1:]  # a chain, behind its input
        size = embed.current_size
        patches = embed(features)
        mask = PatchMask(mask_ratio, cluster_sizes, name="mask")
        masked = mask(patches)
        tokens = MaskEmbedding(name="mask_embedding", dtype=dtype)(
            patches, masked
        )
        for layer in encoder:
            tokens = layer(tokens)
        tokens = _at(tokens[:, backbone.num_prefix_tokens :], masked)
        matched = PatchPrediction(
            size, resize="pi", name="discriminative_head", dtype=dtype
        )(tokens)
        reconstructed = PatchPrediction(
            size, resize="bilinear", name="generative_head", dtype=dtype
        )(tokens)
        truth = Patchify(size, dtype="float32", name="patchify")(features)
        outputs = PatchComparison(dtype="float32", name="comparison")(
            _at(truth, masked), matched, reconstructed
        )
        super().__init__(inputs=source, outputs=outputs, dtype=dtype, **kwargs)
        self.backbone = backbone
        self.mask_ratio = mask_ratio
        self.cluster_sizes = mask.cluster_sizes
        self.input_kind = input_kind
        self.frontend = frontend


def _check(backbone):
    """Refuses backbones of which a masked patch cannot be guessed."""
    if not isinstance(backbone, AST):
        raise ValueError(
            "Masked patches are tokens of one grid from first to last, "
            "which only an AST has. Received: "
            f"{type(backbone).__name__}."
        )
    if backbone.patch_stride != backbone.patch_size:
        raise ValueError(
            "A masked patch must not be visible in its neighbours, so "
            "patches may not overlap. Received a backbone with "
            f"patch_size={backbone.patch_size} and "
            f"patch_stride={backbone.patch_stride}. Leave `patch_stride` "
            "out; after pre-training a backbone of another stride can "
            "take over the weights."
        )
    if backbone.stem_channels:
        raise ValueError(
            "A masked patch must not be visible in its neighbours, and "
            "the convolutions of a stem see beyond a patch. Received a "
            f"backbone with stem_channels={backbone.stem_channels}. Leave "
            "them out."
        )
    if backbone.resolution.token > 1:
        raise ValueError(
            "Tokens are pooled with their neighbours, so that a masked "
            "patch has no token of its own. Received a backbone with "
            f"resolution={str(backbone.resolution)!r}. Use shift, pool or "
            "patch in pre-training; token:C is for training on labels."
        )
    if backbone.patchout or backbone.token_merging:
        raise ValueError(
            "Masked patches that are left out or merged cannot be "
            "guessed. Received a backbone with "
            f"patchout={backbone.patchout} and "
            f"token_merging={backbone.token_merging}. Leave both out; "
            "after pre-training a backbone that has one can take over the "
            "weights."
        )


def _at(tokens, indices):
    """`(batch, n, width)` at int `(batch, m)` -> `(batch, m, width)`."""
    return ops.take_along_axis(tokens, indices[..., None], axis=1)
