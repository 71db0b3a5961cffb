"""Classifiers, and features, from run folders and exported files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_c2f.audio.decode import audio_blocks
from keras_c2f.inference.runtimes import OPENERS, in_batches, keras_scores
from keras_c2f.inference.stream import Stream, as_floats
from keras_c2f.models import (
    WhisperEncoder,
    waveform_classifier,
    waveform_features,
)
from keras_c2f.models.metadata import ClassifierInfo
from keras_c2f.training.trained_run import TrainedRun, read_trained_run

if TYPE_CHECKING:
    from keras_c2f.inference.stream import Window
    from keras_c2f.layers.log_mel import Frontend
    from keras_c2f.models import AudioClassifier
    from keras_c2f.models.phase_network import PhaseNetwork
    from keras_c2f.utils.annotations import PathLike


class Classifier:
    """A trained classifier, in this process.

    Args:
        info: `ClassifierInfo`.
        run: function from waveforms `(batch, info.num_samples)` and counts
            `(batch,)` to scores.
        batch_size: int that `run` insists on, or `None`.
        trained: pair of `AudioClassifier` and `Frontend`, where they are
            known: for `embed`.

    Attributes:
        info: `ClassifierInfo`: `class_names`, `sample_rate` and more.
        batch_size: int, windows that are scored at once without waste.
        trained: see above.
    """

    def __init__(
        self,
        info: ClassifierInfo,
        run: Callable[[np.ndarray, np.ndarray], np.ndarray],
        batch_size: int | None = None,
        trained: tuple[AudioClassifier, Frontend] | None = None,
    ):
        self.info = info
        self.trained = trained
        self._embedders = {}
        self.batch_size = batch_size or 1
        self._run = run if batch_size is None else in_batches(run, batch_size)

    def scores(
        self, waveforms: np.ndarray, counts: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores of windows.

        Args:
            waveforms: float `(batch, samples)` in [-1, 1], at the model's
                sample rate; shorter than a window they count as padded.
            counts: int `(batch,)`, how many samples of each row are audio;
                `None`, all.

        Returns:
            float32 `(batch, num_classes)`: probabilities.

        Raises:
            ValueError: if rows are longer than a window, or no floats.
        """
        waveforms = as_floats(waveforms, 2)
        batch, num_samples = waveforms.shape
        size = self.info.num_samples
        if num_samples > size:
            raise ValueError(
                f"A window has {size} samples. Received: {num_samples}. "
                "`predict` takes recordings of any length."
            )
        if counts is None:
            counts = np.full(batch, num_samples)
        waveforms = np.pad(waveforms, [[0, 0], [0, size - num_samples]])
        scores = self._run(waveforms, np.asarray(counts, "int32"))
        return np.asarray(scores, "float32")

    def stream(self, overlap: float = 0.0) -> Stream:
        """A `Stream` to feed audio to as it comes."""
        return Stream(self, overlap)

    def predict(
        self, audio: PathLike | np.ndarray, overlap: float = 0.0
    ) -> Iterator[Window]:
        """Classifies a recording of any length, window by window.

        A file is decoded a minute at a time, so hours take no more memory.

        Args:
            audio: path, or float `(samples,)` at the model's sample rate.
            overlap: float, see `Stream`.

        Yields:
            `Window`: the first begins with the recording, the last ends with
            it.

        Raises:
            AudioError: if the file cannot be read, or no further.
            ValueError: see `Stream.feed`.
        """
        stream = self.stream(overlap)
        parts = [audio]
        if isinstance(audio, (str, os.PathLike)):
            parts = audio_blocks(audio, self.info.sample_rate)
        for samples in parts:
            yield from stream.feed(samples)
        yield from stream.finish()

    def embed(
        self,
        audio: PathLike | np.ndarray,
        overlap: float = 0.0,
        depth: int = 0,
        pooling: str = "statistics",
    ) -> np.ndarray:
        """Features of a recording of any length, window by window.

        Args:
            audio, overlap: see `predict`.
            depth, pooling: see `waveform_features`.

        Returns:
            float32 `(num_windows, num_features)`; their mean over the windows
            is a vector for the whole recording.

        Raises:
            AudioError: if the file cannot be read, or not to its end.
            ValueError: if this was opened from a file that gives scores
                alone; or see `waveform_features`.
        """
        if self.trained is None:
            raise ValueError(GIVES_SCORES_ALONE)
        key = depth, pooling
        if key not in self._embedders:
            size = self.info.num_samples
            self._embedders[key] = Embedder(*self.trained, size, *key)
        return self._embedders[key].embed(audio, overlap)


class Embedder:
    """A trained network that gives features of windows of audio.

    Args:
        network, frontend, num_samples, depth, pooling: see
            `waveform_features`.

    Attributes:
        info: `ClassifierInfo` without classes: sample rate and window.
        num_features: int.

    Raises:
        ValueError: see `waveform_features`.
    """

    def __init__(
        self,
        network: PhaseNetwork,
        frontend: Frontend,
        num_samples: int,
        depth: int = 0,
        pooling: str = "statistics",
    ):
        model = waveform_features(
            network, frontend, num_samples, depth, pooling
        )
        self.num_features = model.output_shape[-1]
        self.info = ClassifierInfo(
            (),
            frontend.sample_rate,
            num_samples,
            resolution=str(network.resolution),
        )
        self._windows = Classifier(self.info, keras_scores(model))

    def windows(
        self, audio: PathLike | np.ndarray, overlap: float = 0.0
    ) -> Iterator[Window]:
        """As `Classifier.predict`; `scores` of a `Window` are features."""
        return self._windows.predict(audio, overlap)

    def embed(
        self, audio: PathLike | np.ndarray, overlap: float = 0.0
    ) -> np.ndarray:
        """float32 `(num_windows, num_features)`; see `Classifier.embed`."""
        rows = [window.scores for window in self.windows(audio, overlap)]
        return np.reshape(rows, (len(rows), self.num_features))


GIVES_SCORES_ALONE = (
    "This classifier was opened from a file that gives scores alone. For "
    "features take the run that it was exported from, or its export in Keras' "
    "own format (--format keras)."
)
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
        `Classifier`.

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
            return _of_run(path)
        path, ending = found, ""
    elif not os.path.exists(path):
        raise ValueError(f"There is no file {path}.")
    elif ending not in OPENERS or not ending:
        raise ValueError(
            f"{path} ends in none of {', '.join(filter(None, OPENERS))}, which "
            "`keras-c2f export` writes."
        )
    return Classifier(*OPENERS[ending](path, num_threads))


def _saved_model_in(folder):
    """str, the SavedModel at or below a folder; `""` if there is none."""
    for inner in (folder, os.path.join(folder, "1")):
        if os.path.exists(os.path.join(inner, "saved_model.pb")):
            return inner
    return ""


def _of_run(folder):
    """`Classifier` of the network that a run has trained."""
    trained = read_trained_run(folder)
    return classifier_of(trained.network, trained.frontend, trained.info)


def classifier_of(network, frontend, info, batch_size=None):
    """A network in this process as a `Classifier`.

    Args:
        network: `AudioClassifier`.
        frontend: `Frontend` that it was trained with.
        info: `ClassifierInfo`.
        batch_size: int, windows to score at once, however many are given.
            Default: as many as are given.
    """
    model = waveform_classifier(
        network, frontend, info.num_samples, info.multi_label
    )
    return Classifier(
        info, keras_scores(model), batch_size, (network, frontend)
    )
