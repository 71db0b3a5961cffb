"""What a finished run has learned, read back from its folder."""

import dataclasses
import os

import keras

from keras_c2f.classifier_info import ClassifierInfo
from keras_c2f.frontend import Frontend
from keras_c2f.models import AudioClassifier
from keras_c2f.run_folder import find_run, read_json


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A trained classifier and how it came about.

    Attributes:
        folder: str, the one that holds `model.keras`.
        config: dict, what `config.json` holds.
        network: `AudioClassifier`.
        frontend: `Frontend` that it was trained with.
    """

    folder: str
    config: dict
    network: AudioClassifier
    frontend: Frontend

    @property
    def info(self):
        """`ClassifierInfo`; a window is a clip as long as in training."""
        rate = self.frontend.sample_rate
        return ClassifierInfo(
            self.config["class_names"],
            rate,
            int(self.config["clip_seconds"] * rate),
            self.config["multi_label"],
            str(self.network.resolution),
        )


def read_trained_run(folder):
    """`TrainedRun` of a folder that `keras-c2f train` wrote.

    Raises:
        ValueError: if there is no trained network, or one without classes.
    """
    found = find_run(folder)
    config = read_json(os.path.join(found, "config.json"))
    if config.get("task", "classification") != "classification":
        raise ValueError(
            f"{folder} holds a pre-trained backbone, which knows no "
            "classes yet. Train it: `keras-c2f train --initial "
            f"{folder}`."
        )
    return TrainedRun(
        found,
        config,
        keras.models.load_model(os.path.join(found, "model.keras")),
        Frontend.from_config(config["frontend"]),
    )
