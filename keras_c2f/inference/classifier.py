"""Classifiers of windows of audio, and features of these."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_c2f.audio.decode import audio_blocks
from keras_c2f.inference.runtimes import in_batches, keras_scores
from keras_c2f.inference.stream import Stream, as_floats
from keras_c2f.models import waveform_classifier, waveform_features
from keras_c2f.models.metadata import ClassifierInfo

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
