"""Classifiers from run folders and exported files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_c2f.audio.decode import audio_blocks
from keras_c2f.inference.runtimes import OPENERS, in_batches, keras_scores
from keras_c2f.inference.stream import Stream, as_floats
from keras_c2f.models import waveform_classifier
from keras_c2f.training.trained_run import read_trained_run

if TYPE_CHECKING:
    from keras_c2f.inference.stream import Window
    from keras_c2f.models.metadata import ClassifierInfo
    from keras_c2f.utils.annotations import PathLike


class Classifier:
    """A trained classifier, in this process.

    Args:
        info: `ClassifierInfo`.
        run: function from waveforms `(batch, info.num_samples)` and counts
            `(batch,)` to scores.
        batch_size: int that `run` insists on, or `None`.

    Attributes:
        info: `ClassifierInfo`: `class_names`, `sample_rate` and more.
        batch_size: int, windows that are scored at once without waste.
    """

    def __init__(
        self,
        info: ClassifierInfo,
        run: Callable[[np.ndarray, np.ndarray], np.ndarray],
        batch_size: int | None = None,
    ):
        self.info = info
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
        versions = (path, os.path.join(path, "1"))
        found = [v for v in versions if _is_saved_model(v)]
        if not found:
            return _of_run(path)
        path, ending = found[0], ""
    elif not os.path.exists(path):
        raise ValueError(f"There is no file {path}.")
    elif ending not in OPENERS or not ending:
        raise ValueError(
            f"{path} ends in none of {', '.join(filter(None, OPENERS))}, which "
            "`keras-c2f export` writes."
        )
    return Classifier(*OPENERS[ending](path, num_threads))


def _is_saved_model(folder):
    return os.path.exists(os.path.join(folder, "saved_model.pb"))


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
    return Classifier(info, keras_scores(model), batch_size)
