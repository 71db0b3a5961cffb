from dataclasses import replace

import keras
from keras import ops

from keras_c2f.frontend import Frontend, LogMel
from keras_c2f.layers import TimeCompression

INPUT_KINDS = ("compressed", "log_mel", "waveform")
POOLINGS = ("prefix", "mean", "token_semantic")


@keras.saving.register_keras_serializable("keras_c2f")
class AudioClassifier(keras.Model):
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
            `"mean"`, the mean of the patch tokens; `"token_semantic"`, as
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
            asked of a backbone without prefix tokens, or `frontend` is
            missing.

    Example:
        >>> from keras_c2f.models import AST
        >>> backbone = AST.from_preset("ast_micro", num_frames=128)
        >>> AudioClassifier(backbone, num_classes=10).output_shape
        (None, 10)

    Reference:
        Gong et al., "AST", section 2.1; Chen et al., "HTS-AT", section 2.2.
    """

    def __init__(
        self,
        backbone,
        num_classes,
        input_kind="compressed",
        frontend=None,
        pooling="prefix",
        dropout=0.0,
        head_epsilon=1e-5,
        dtype=None,
        **kwargs,
    ):
        for name, value, known in (
            ("input_kind", input_kind, INPUT_KINDS),
            ("pooling", pooling, POOLINGS),
        ):
            if value not in known:
                raise ValueError(
                    f"`{name}` is one of {known}. Received: {name}={value!r}."
                )
        if pooling == "prefix" and not backbone.num_prefix_tokens:
            raise ValueError(
                "`pooling='prefix'` needs a backbone with prefix tokens, and "
                "this one has none. Use `pooling='mean'` or "
                "'token_semantic'."
            )
        if input_kind == "waveform" and frontend is None:
            raise ValueError(
                "`input_kind='waveform'` needs `frontend=Frontend(...)`, the "
                "description of the log-mel the model was built for."
            )
        resolution = backbone.resolution
        if input_kind == "compressed":
            shape = backbone.input_shape[1:]
        elif input_kind == "log_mel":
            shape = (backbone.num_frames, backbone.num_mel_bins)
        else:
            shape = (None,)
        features = source = keras.Input(shape, name=input_kind)
        if input_kind == "waveform":
            features = LogMel(
                frontend,
                backbone.num_frames,
                shift=resolution.shift,
                name="frontend",
            )(features)
            resolution = replace(resolution, shift=1)
        if input_kind != "compressed":
            features = TimeCompression(
                resolution, dtype="float32", name="time_compression"
            )(features)
        tokens = backbone(features)
        num_prefix = backbone.num_prefix_tokens
        if pooling == "token_semantic":
            framewise = _token_semantic(
                tokens[:, num_prefix:], backbone, num_classes, dropout, dtype
            )
            logits = ops.mean(framewise, axis=1)
        else:
            if pooling == "prefix":
                pooled = ops.mean(tokens[:, :num_prefix], axis=1)
            else:
                pooled = ops.mean(tokens[:, num_prefix:], axis=1)
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
        super().__init__(inputs=source, outputs=logits, **kwargs)
        if dtype is not None:  # Keras drops it where a model has a graph
            self.dtype_policy = dtype

        self.backbone = backbone
        self.num_classes = num_classes
        self.input_kind = input_kind
        self.frontend = frontend
        self.pooling = pooling
        self.dropout = dropout
        self.head_epsilon = head_epsilon

    @property
    def resolution(self):
        """`Resolution` of the backbone."""
        return self.backbone.resolution

    @property
    def num_tokens(self):
        """int, patches of one clip; prefix tokens not counted."""
        return self.backbone.num_tokens

    def framewise(self):
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

    def at_resolution(self, resolution):
        """A new, randomly initialised copy at another resolution.

        `transplant` fills it with this one's weights; `PhasedModel` takes
        this method as the function it builds its networks with.
        """
        return type(self)(
            **{
                **self._options(),
                "backbone": self.backbone.at_resolution(resolution),
            }
        )

    def _options(self):
        return {
            "backbone": self.backbone,
            "num_classes": self.num_classes,
            "input_kind": self.input_kind,
            "frontend": self.frontend,
            "pooling": self.pooling,
            "dropout": self.dropout,
            "head_epsilon": self.head_epsilon,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy,
        }

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        options = self._options()
        for name in ("backbone", "dtype"):
            options[name] = serialize(options[name])
        if self.frontend is not None:
            options["frontend"] = self.frontend.get_config()
        return options

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["backbone"] = keras.saving.deserialize_keras_object(
            config["backbone"]
        )
        if config["frontend"] is not None:
            config["frontend"] = Frontend.from_config(config["frontend"])
        return cls(**config)


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
        num_classes, 3, padding="same", name="head", dtype="float32"
    )(columns)
