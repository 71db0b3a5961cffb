"""Classifiers, and features, from run folders and exported files."""

import os

from keras_c2f.evaluation.cascade import Calibration
from keras_c2f.inference.cascade import Cascade, ExportedCascade
from keras_c2f.inference.classifier import (
    GIVES_SCORES_ALONE,
    Classifier,
    Embedder,
    classifier_of,
)
from keras_c2f.inference.runtimes import OPENERS
from keras_c2f.models import WhisperEncoder
from keras_c2f.training.trained_run import TrainedRun, read_trained_run
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.files import read_json

CASCADE_FILE = "cascade.json"  # in the folder of a run
WHISPER_SECONDS = 10  # of its 30, which few clips fill


def load_embedder(
    path: PathLike,
    depth: int = 0,
    pooling: str = "statistics",
    clip_seconds: float | None = None,
) -> Embedder:
    """Opens what was trained or converted, to get features from it.

    Args:
        path: folder of a run, pre-trained ones too, or one that
            `keras-c2f convert` wrote, backbones too; or a `.keras` file that
            `keras-c2f export` wrote.
        depth, pooling: see `waveform_features`.
        clip_seconds: float, length of a window. Default: that of the clips
            that it was trained on, of a converted Whisper encoder 10 s.
            Shorter recordings are padded, as in training.

    Returns:
        `Embedder`.

    Raises:
        ValueError: if there is no such model, it has no front end, or see
            `waveform_features`.
    """
    path = os.fspath(path)
    if not os.path.isdir(path) or _saved_model_in(path):
        classifier = load_classifier(path)
        if classifier.trained is None:
            raise ValueError(GIVES_SCORES_ALONE)
        trained = TrainedRun(path, vars(classifier.info), *classifier.trained)
    else:
        trained = read_trained_run(path, with_classes=False)
        is_converted = not trained.config["recipe"]["data"]
        is_whisper = isinstance(trained.network, WhisperEncoder)
        if is_converted and is_whisper:
            clip_seconds = clip_seconds or WHISPER_SECONDS
    if clip_seconds:
        trained = trained.with_clips_of(clip_seconds)
    return Embedder(
        trained.network,
        trained.frontend,
        trained.num_samples,
        depth,
        pooling,
    )


def load_classifier(
    path: PathLike, num_threads: int | None = None
) -> Classifier:
    """Opens a trained run, or a file that was exported from one.

    Args:
        path: folder of a run; a `.keras`, `.tflite` or `.onnx` file, or a
            SavedModel folder, that `keras-c2f export` wrote.
        num_threads: int, for LiteRT and ONNX Runtime. Default: theirs.

    Returns:
        `Classifier`; of an exported cascade a `Cascade`, or where its
        networks are not known, an `ExportedCascade`.

    Raises:
        ValueError: if there is no such file, or it holds no classifier.
        ImportError: if its runtime is not installed, with the install line.

    Example:
        >>> load_classifier("phone.tflite")
        Traceback (most recent call last):
        ValueError: There is no file phone.tflite.
    """
    path = os.fspath(path)
    ending = os.path.splitext(path)[1]
    if os.path.isdir(path):
        found = _saved_model_in(path)
        if not found:
            run = read_trained_run(path)
            return classifier_of(run.network, run.frontend, run.info)
        path, ending = found, ""
    elif not os.path.exists(path):
        raise ValueError(f"There is no file {path}.")
    elif ending not in OPENERS or not ending:
        raise ValueError(
            f"{path} ends in none of {', '.join(filter(None, OPENERS))}, which "
            "`keras-c2f export` writes."
        )
    info, *opened = OPENERS[ending](path, num_threads)
    if info.cascade is None:
        return Classifier(info, *opened)
    if ending != ".keras":
        return ExportedCascade(info, *opened)
    calibration = Calibration.from_dict(info.cascade)
    classifier = Classifier(info, *opened)
    return Cascade(classifier, calibration.resolutions, calibration)


def _saved_model_in(folder):
    """str, the SavedModel at or below a folder; `""` if there is none."""
    for inner in (folder, os.path.join(folder, "1")):
        if os.path.exists(os.path.join(inner, "saved_model.pb")):
            return inner
    return ""


def load_cascade(folder: PathLike) -> Cascade:
    """The `Cascade` of a run that `keras-c2f evaluate --cascade` calibrated.

    Args:
        folder: path of the run.

    Raises:
        ValueError: if there is no trained run, or it has no cascade.
    """
    return cascade_of(read_trained_run(folder))


def cascade_of(trained):
    """The calibrated `Cascade` of a `TrainedRun`; see `load_cascade`."""
    folder = trained.folder
    path = os.path.join(folder, CASCADE_FILE)
    advice = (
        "`keras-c2f evaluate --cascade` makes it: "
        f'keras-c2f evaluate --run={folder} --cascade="pool:4, full"'
    )
    if not trained.config["recipe"]["data"]:  # it was converted
        advice += " --data=DATA"
    if not os.path.exists(path):
        raise ValueError(f"{folder} has no {CASCADE_FILE}. {advice}")
    calibration = Calibration.from_dict(read_json(path, advice))
    classifier = classifier_of(trained.network, trained.frontend, trained.info)
    return Cascade(classifier, calibration.resolutions, calibration)
