from typing import Any

import keras
from keras import ops

from keras_c2f.layers import TokenStatistics
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models.phase_network import Backbone
from keras_c2f.models.task import Task, open_input
from keras_c2f.utils.values import Choice

POOLINGS = ("prefix", "mean", "statistics", "token_semantic")


@keras.saving.register_keras_serializable("keras_c2f")
class AudioClassifier(Task):
    """A backbone with a classification head; optionally the front end too.

    Args:
        backbone: a backbone such as `AST` or `HTSAT`; its `resolution` is the
            model's.
        num_classes: int.
        input_kind: what the model is fed. `"compressed"`: log-mel at the
            backbone's resolution, as `AudioPipeline` makes it; cheapest.
            `"log_mel"`: log-mel at full resolution, compressed inside; for
            arrays and generators, which cannot change shape between phases.
            `"waveform"`: samples in [-1, 1]; front end and compression
            inside.
        frontend: `Frontend`, needed with `input_kind="waveform"`.
        pooling: `"prefix"`, the mean of the prefix tokens as AST does, or
            `"mean"`, the mean of the patch tokens; `"statistics"`, their mean
            and standard deviation, side by side; `"token_semantic"`, as
            HTS-AT: no norm, a convolution gives each step in time logits of
            its own, and their mean is the clip's. See `framewise`.
        dropout: float, before the last layer.
        head_epsilon: float, of the head's layer norm: 1e-5 as AST's code
            has, 1e-12 for the same numbers as Hugging Face's port; `None`
            leaves the norm out.

    Input shape:
        `(batch, frames, mel_bins)`, or `(batch, samples)` of any length.

    Output shape:
        `(batch, num_classes)`, logits.

    Raises:
        ValueError: if `input_kind` or `pooling` is unknown, prefix pooling is
            asked of a backbone without prefix tokens, token-semantic pooling
            of one with `patchout` or `token_merging`, or `frontend` is missing.

    Example:
        >>> from keras_c2f.models import AST
        >>> backbone = AST.from_size("micro", num_frames=128)
        >>> AudioClassifier(backbone, num_classes=10).output_shape
        (None, 10)

    Reference:
        Gong et al., "AST", section 2.1; Chen et al., "HTS-AT", section 2.2.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        input_kind: str = "compressed",
        frontend: Frontend | None = None,
        pooling: str = "prefix",
        dropout: float = 0.0,
        head_epsilon: float | None = 1e-5,
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs: Any,
    ):
        source, features = open_input(backbone, input_kind, frontend)
        _check_pooling(pooling, backbone)
        tokens = backbone(features)
        num_prefix = backbone.num_prefix_tokens
        if pooling == "token_semantic":
            framewise = _token_semantic(
                tokens[:, num_prefix:], backbone, num_classes, dropout, dtype
            )
            logits = ops.mean(framewise, axis=1)
        else:
            patches = tokens[:, num_prefix:]
            if pooling == "prefix":
                pooled = ops.mean(tokens[:, :num_prefix], axis=1)
            elif pooling == "statistics":
                pooled = TokenStatistics(name="statistics", dtype=dtype)(
                    patches
                )
            else:
                pooled = ops.mean(patches, axis=1)
            if head_epsilon is not None:
                pooled = keras.layers.LayerNormalization(
                    epsilon=head_epsilon, name="head_norm", dtype=dtype
                )(pooled)
            pooled = keras.layers.Dropout(
                dropout, name="head_dropout", dtype=dtype
            )(pooled)
            logits = keras.layers.Dense(
                num_classes, name="head", dtype="float32"
            )(pooled)
        super().__init__(inputs=source, outputs=logits, dtype=dtype, **kwargs)
        self.backbone = backbone
        self.num_classes = num_classes
        self.input_kind = input_kind
        self.frontend = frontend
        self.pooling = pooling
        self.dropout = dropout
        self.head_epsilon = head_epsilon

    def framewise(self) -> keras.Model:
        """A `keras.Model` with these weights that says what sounds when.

        Returns:
            Model with this one's input and `(batch, time, num_classes)`
            logits, one row for each step of `backbone.grid_size[0]`.

        Raises:
            ValueError: if `pooling` is not `"token_semantic"`.
        """
        if self.pooling != "token_semantic":
            raise ValueError(
                "Only a model with `pooling='token_semantic'` has logits for "
                f"each step in time. This one has pooling={self.pooling!r}."
            )
        return keras.Model(self.input, self.get_layer("head").output)


def _check_pooling(pooling, backbone):
    """Refuses a pooling that is unknown, or that the backbone cannot have."""
    Choice(POOLINGS).check("pooling", pooling)
    if pooling == "prefix" and not backbone.num_prefix_tokens:
        raise ValueError(
            "`pooling='prefix'` needs a backbone with prefix tokens, and "
            "this one has none. Use `pooling='mean'` or "
            "'token_semantic'."
        )
    fewer = {
        name: getattr(backbone, name, 0.0)
        for name in ("patchout", "token_merging")
    }
    if pooling == "token_semantic" and any(fewer.values()):
        raise ValueError(
            "`pooling='token_semantic'` lays all tokens out in time, and "
            f"this backbone has not all of them: {fewer}. Use "
            "`pooling='mean'` or 'prefix', or set both to 0."
        )


def _token_semantic(tokens, backbone, num_classes, dropout, dtype):
    """`(batch, time * freq, width)` -> logits `(batch, time, num_classes)`.

    A kernel of 3 steps in time, over all of the frequency side: with its
    rows side by side, a convolution of one dimension.
    """
    time, freq = backbone.grid_size
    columns = keras.layers.Reshape(
        (time, freq * tokens.shape[-1]), name="columns", dtype=dtype
    )(tokens)
    columns = keras.layers.Dropout(dropout, name="head_dropout", dtype=dtype)(
        columns
    )
    return keras.layers.Conv1D(
        num_classes,
        3,
        padding="same",
        data_format="channels_last",
        name="head",
        dtype="float32",
    )(columns)
