"""What all models share that put something on a backbone."""

from dataclasses import replace
from typing import Any, Self

import keras

from keras_c2f.layers import TimeCompression
from keras_c2f.layers.log_mel import Frontend, LogMel
from keras_c2f.models.phase_network import Backbone, PhaseNetwork
from keras_c2f.resolution import Resolution
from keras_c2f.utils.values import Choice

INPUT_KINDS = ("compressed", "log_mel", "waveform")


class Task(PhaseNetwork):
    """A `PhaseNetwork` on a backbone.

    `backbone` and `frontend` are among its arguments.
    """

    @property
    def resolution(self) -> Resolution:
        """`Resolution` of the backbone."""
        return self.backbone.resolution

    @property
    def num_tokens(self) -> int:
        """int, patches of one clip; prefix tokens not counted."""
        return self.backbone.num_tokens

    def at_resolution(self, resolution: Resolution | str) -> Self:
        """A new, randomly initialised copy at another resolution.

        `transplant` fills it with this one's weights.
        """
        return self.with_backbone(self.backbone.at_resolution(resolution))

    def with_backbone(self, backbone: Backbone) -> Self:
        """A new, randomly initialised copy on another backbone."""
        return type(self)(**{**self._options(), "backbone": backbone})

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["backbone"] = keras.saving.serialize_keras_object(self.backbone)
        if self.frontend is not None:
            config["frontend"] = self.frontend.get_config()
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        config["backbone"] = keras.saving.deserialize_keras_object(
            config["backbone"]
        )
        if config["frontend"] is not None:
            config["frontend"] = Frontend.from_config(config["frontend"])
        return super().from_config(config)


def open_input(backbone, input_kind, frontend):
    """What a model is fed, and what its backbone is.

    Args:
        backbone, input_kind, frontend: as in `AudioClassifier`.

    Returns:
        Two symbolic tensors: the model's input, and compressed log-mel.

    Raises:
        ValueError: if `input_kind` is unknown, or `frontend` is missing.
    """
    Choice(INPUT_KINDS).check("input_kind", input_kind)
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
    return source, features
