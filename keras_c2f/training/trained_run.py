"""What a finished run has learned, read back from its folder."""

from __future__ import annotations

import dataclasses
import os

from keras_c2f.convert import CARD, load_preset
from keras_c2f.convert.geometry import refuse_squeezed
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models import AudioClassifier, of_compressed
from keras_c2f.models.metadata import ClassifierInfo
from keras_c2f.phases import transplant
from keras_c2f.training.run_folder import (
    find_run,
    load_run_model,
    read_config,
    refuse_unknown,
)
from keras_c2f.utils.annotations import PathLike


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A trained classifier and how it came about.

    Attributes:
        folder: str, the one that holds `model.keras`.
        config: dict, what `config.json` holds.
        network: `AudioClassifier`; of `read_trained_run(with_classes=False)`
            also a backbone, or another model on one.
        frontend: `Frontend` that it was trained with.
    """

    folder: str
    config: dict
    network: AudioClassifier
    frontend: Frontend

    @property
    def num_samples(self) -> int:
        """int, samples of a clip as long as in training."""
        given = self.config.get("num_samples")
        rate = self.frontend.sample_rate
        return given or int(self.config["clip_seconds"] * rate)

    @property
    def info(self) -> ClassifierInfo:
        """`ClassifierInfo`; a window is a clip as long as in training."""
        return ClassifierInfo(
            self.config["class_names"],
            self.frontend.sample_rate,
            self.num_samples,
            self.config["multi_label"],
            str(self.network.resolution),
        )

    def with_clips_of(self, seconds: float) -> TrainedRun:
        """A `TrainedRun` of the same weights for clips of another length.

        A table of positions is resized, as for another resolution.

        Raises:
            ValueError: if an HTS-AT would squeeze them.
        """
        network, frontend = self.network, self.frontend
        backbone = getattr(network, "backbone", network)
        num_samples = max(int(seconds * frontend.sample_rate), 1)
        whole = backbone.patch_size[0] * backbone.resolution.factor
        frames = max(frontend.num_frames(num_samples), 1)
        frames = -(-frames // whole) * whole
        if frames != backbone.num_frames:
            other = backbone.with_arguments(num_frames=frames)
            refuse_squeezed(other)
            if network is not backbone:
                other = network.with_backbone(other)
            transplant(network, other)
            network = other
        config = {
            **self.config,
            "clip_seconds": seconds,
            "num_samples": num_samples,
        }
        return dataclasses.replace(self, network=network, config=config)


def read_trained_run(folder: PathLike, with_classes: bool = True) -> TrainedRun:
    """`TrainedRun` of a folder that `keras-c2f train` or `convert` wrote.

    Args:
        folder: path.
        with_classes: bool, whether a network without classes is refused;
            else its `network` may be a backbone, or a model on one.

    Raises:
        ValueError: if there is no trained network, one without classes, one
            that was converted without its front end or class names, or a
            file is damaged or of another version.
    """
    if os.path.isfile(os.path.join(folder, CARD)):
        return _converted(folder, with_classes)
    found = find_run(folder)
    config = read_config(found)
    task = config.get("task", "classification")
    if with_classes and task != "classification":
        raise ValueError(
            f"{folder} holds a pre-trained backbone without "
            "classes. Train it: `keras-c2f train --init-from "
            f"{folder}`."
        )
    frontend = read_frontend(config, found)
    network, _ = load_run_model(
        os.path.join(found, "model.keras"),
        found,
        f"Delete {found} and train again.",
    )
    return TrainedRun(found, config, network, frontend)


def read_frontend(config, folder):
    """`Frontend` that a run was trained with.

    Args:
        config: dict, what its `config.json` holds.
        folder: path of the run.

    Raises:
        ValueError: if it has settings that are not known here.
    """
    known = Frontend().get_config()
    where = f"The front end in {os.path.join(folder, 'config.json')}"
    refuse_unknown(config["frontend"], known, where)
    return Frontend.from_config(config["frontend"])


def _converted(folder, with_classes):
    """`TrainedRun` of a folder that `convert` wrote; it has no data set."""
    found = load_preset(os.fspath(folder))
    if with_classes and not isinstance(found.model, AudioClassifier):
        raise ValueError(
            f"{folder} holds a converted backbone without classes. "
            f"Train it: `keras-c2f train --init-from {folder}`."
        )
    for missing, flag in (
        (not isinstance(found.frontend, Frontend), "frontend"),
        (with_classes and not found.class_names, "class-names"),
    ):
        if missing:
            raise ValueError(
                f"{folder} has no {flag.replace('-', ' ')} that can be used "
                f"here. Convert it again with --{flag}."
            )
    network, frontend = found.model, found.frontend
    if isinstance(network, AudioClassifier):
        network = of_compressed(network)
    num_frames = getattr(network, "backbone", network).num_frames
    # the longest clip whose frames are all looked at
    num_samples = frontend.num_samples(num_frames + 1) - 1
    seconds = num_samples / frontend.sample_rate
    config = {
        "class_names": found.class_names or [],
        "clip_seconds": seconds,
        "num_samples": num_samples,
        "multi_label": found.multi_label,
        "frontend": frontend.get_config(),
        "recipe": {
            "data": "",
            "held_out": "",
            "clip_seconds": seconds,
            "num_frames": num_frames,
            "schedule": f"{network.resolution}@1",
        },
    }
    return TrainedRun(str(folder), config, network, frontend)
