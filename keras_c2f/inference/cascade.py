"""Answers from a coarse look, and from a finer one where that is unsure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_c2f.cost import count_macs
from keras_c2f.evaluation.cascade import (
    MAX_LOSS,
    Calibration,
    calibrate,
    confidence,
    log_scores,
    relative_cost,
)
from keras_c2f.inference.classifier import Classifier
from keras_c2f.models.metadata import ClassifierInfo
from keras_c2f.models.waveform_classifier import log_mel_input, of_compressed
from keras_c2f.phases import at_resolution
from keras_c2f.resolution import Resolution


class CountingCascade(Classifier):
    """What cascades share: they count where windows end."""

    calibration: Calibration | None
    gmacs: Sequence[float]
    num_ended: np.ndarray

    @property
    def relative_cost(self) -> float:
        """float, mean cost of the windows so far over a finest look."""
        shares = self.num_ended / max(self.num_ended.sum(), 1)
        threshold = self.calibration and self.calibration.threshold
        return relative_cost(shares, self.gmacs, threshold)

    def _count(self, ended):
        self.num_ended += np.bincount(ended, minlength=len(self.num_ended))


class ExportedCascade(CountingCascade):
    """A cascade in a file that another runtime runs; see `load_classifier`.

    Args:
        info: `ClassifierInfo` with `cascade`.
        run: as that of a `Classifier`; behind the scores of a window it gives
            the index of the look at which this ended.
        batch_size: see `Classifier`.

    Attributes:
        calibration, gmacs, num_ended: as those of `Cascade`.
    """

    def __init__(
        self,
        info: ClassifierInfo,
        run: Callable[[np.ndarray, np.ndarray], np.ndarray],
        batch_size: int | None = None,
    ):
        super().__init__(info, run, batch_size)
        self.calibration = Calibration.from_dict(info.cascade)
        self.gmacs = self.calibration.gmacs
        self.num_ended = np.zeros(len(self.gmacs), int)

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """tuple of `Resolution`, coarse to fine."""
        return tuple(map(Resolution.parse, self.calibration.resolutions))

    def scores(
        self, waveforms: np.ndarray, counts: np.ndarray | None = None
    ) -> np.ndarray:
        """See `Classifier.scores`."""
        found = super().scores(waveforms, counts)
        self._count(found[:, -1].astype(int))
        return found[:, :-1]


class Cascade(CountingCascade):
    """A classifier that looks coarsely, and finer only when unsure.

    Used as any `Classifier`: files, folders, streams. The front end runs once,
    at the finest resolution; coarser looks compress its log-mel. A window
    whose coarse answer is sure enough ends there. Before `calibrate` all go
    on to the finest resolution.

    Args:
        classifier: `Classifier` of a run, best of one trained with
            `Phase(elastic=...)`, as its network is used at all resolutions.
        resolutions: two or more `Resolution`s or texts, coarse to fine.
        calibration: `Calibration` of these resolutions.

    Attributes:
        calibration: `Calibration` or `None`.
        gmacs: tuple of float, 10^9 multiply-accumulates of a look at each
            resolution; the front end is not counted.
        num_ended: int array, windows that ended at each so far.

    Raises:
        ValueError: if the classifier was opened from a file that gives scores
            alone, a resolution cannot be computed from the last one or costs
            no less, or the calibration is of others.

    Example:
        >>> import keras_c2f
        >>> network = keras_c2f.AudioClassifier(
        ...     keras_c2f.AST.from_size("micro", num_frames=64), 2)
        >>> info = keras_c2f.models.metadata.ClassifierInfo(
        ...     ("no", "yes"), 16000, 10240)
        >>> from keras_c2f.inference.classifier import classifier_of
        >>> classifier = classifier_of(network, keras_c2f.Frontend(), info)
        >>> Cascade(classifier, ["pool:4", "full"]).scores(
        ...     np.zeros((3, 10240), "float32")).shape
        (3, 2)

    Reference:
        Chen et al., "CF-ViT: A General Coarse-to-Fine Method for Vision
        Transformer", AAAI 2023. Calibration with a bound is ours.
    """

    def __init__(
        self,
        classifier: Classifier,
        resolutions: Sequence[Resolution | str],
        calibration: Calibration | None = None,
    ):
        if classifier.trained is None:
            raise ValueError(
                "A cascade needs the network itself, and this classifier was "
                "opened from a file that gives scores alone. Open the run "
                "that it was exported from, or its .keras file."
            )
        network, frontend = classifier.trained
        self._looks = _looks(of_compressed(network), resolutions)
        finest = self._looks[-1].network
        super().__init__(
            classifier.info, self._scores, trained=(finest, frontend)
        )
        self._frontend = keras.Model(
            *log_mel_input(finest.backbone, frontend, self.info.num_samples)
        )
        self.gmacs = tuple(count_macs(x.network) / 1e9 for x in self._looks)
        if list(self.gmacs) != sorted(set(self.gmacs)):
            raise ValueError(
                "The looks of a cascade go from coarse to fine, each more "
                f"expensive than the one before. Received: {self._texts}, of "
                f"{', '.join(f'{g:.3g}' for g in self.gmacs)} GMACs."
            )
        self.num_ended = np.zeros(len(self._looks), int)
        self.calibration = None
        if calibration is not None:
            self._take(calibration)

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """tuple of `Resolution`, coarse to fine."""
        return tuple(look.network.resolution for look in self._looks)

    def calibrate(
        self, dataset: Iterable[Any], max_loss: float = MAX_LOSS
    ) -> tuple[Calibration, list[dict[str, Any]]]:
        """Chooses temperatures and threshold, and keeps them.

        Args:
            dataset: batches `(log_mel, targets)` of clips that were not
                trained on, log-mel at the finest resolution, as
                `AudioPipeline.dataset` has after `set_phase` to it.
            max_loss: float, what may be lost of accuracy (mean average
                precision where clips have several labels), with a confidence
                of 95 %.

        Returns:
            What `keras_c2f.evaluation.calibrate` returns.
        """
        logits, targets = self.measure(dataset)
        calibration, curve = calibrate(
            logits,
            targets,
            self._texts,
            self.gmacs,
            self.info.multi_label,
            max_loss,
        )
        self._take(calibration)
        return calibration, curve

    def measure(self, dataset: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Logits of all clips at all resolutions, whatever the threshold.

        Args:
            dataset: see `calibrate`.

        Returns:
            `(resolutions, clips, num_classes)`, and targets.
        """
        logits, targets = [], []
        for features, target in dataset:
            features = np.asarray(features)
            logits.append([look(features) for look in self._looks])
            targets.append(np.asarray(target))
        if not logits:
            raise ValueError("There is no clip to calibrate a cascade on.")
        return np.concatenate(logits, axis=1), np.concatenate(targets)

    def look(self, log_mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Looks at clips until each is answered.

        Args:
            log_mel: `(batch, frames, mel_bins)` at the finest resolution.

        Returns:
            float64 `(batch, num_classes)`, logits over their temperature, and
            int `(batch,)`, the index of the look at which each ended.
        """
        last, known = len(self._looks) - 1, self.calibration
        threshold = known and known.threshold
        temperatures = known.temperatures if known else [1.0] * (last + 1)
        shape = len(log_mel), len(self.info.class_names)
        logits, ended = np.zeros(shape), np.full(len(log_mel), last)
        open_rows = np.arange(len(log_mel))
        for index, look in enumerate(self._looks):
            if threshold is None and index < last or not len(open_rows):
                continue
            found = look(log_mel[open_rows]) / temperatures[index]
            logits[open_rows], ended[open_rows] = found, index
            if index < last:
                sure = confidence(found, self.info.multi_label) >= threshold
                open_rows = open_rows[~sure]
        return logits, ended

    def _scores(self, waveforms, counts):
        log_mel = self._frontend.predict_on_batch(
            {"waveform": waveforms, "num_samples": counts}
        )
        logits, ended = self.look(np.asarray(log_mel))
        self._count(ended)
        if self.info.multi_label:
            return 1 / (1 + np.exp(-logits))
        return np.exp(log_scores(logits, False))

    def _take(self, calibration):
        if list(calibration.resolutions) != self._texts:
            raise ValueError(
                f"The calibration is of {', '.join(calibration.resolutions)}; "
                f"this cascade has {', '.join(self._texts)}."
            )
        self.calibration = calibration

    @property
    def _texts(self):
        return [str(resolution) for resolution in self.resolutions]


class Look:
    """Logits of a network, from log-mel at a finer resolution.

    Args:
        network: `AudioClassifier` fed with log-mel at its resolution.
        finest: `Resolution` of what it is given.
    """

    def __init__(self, network, finest):
        self.network = network
        self._compression = network.resolution.relative_to(finest)

    def __call__(self, log_mel):
        features = self._compression.compress(log_mel, np)
        # numbers of rows that are powers of two: few programs for JAX
        missing = (1 << (len(features) - 1).bit_length()) - len(features)
        padded = np.pad(features, [[0, missing], [0, 0], [0, 0]])
        logits = self.network.predict_on_batch(padded)
        return np.asarray(logits, "float64")[: len(features)]


def _looks(network, resolutions):
    resolutions = [Resolution.parse(r) for r in resolutions]
    if len(resolutions) < 2:
        raise ValueError(
            "A cascade has two or more resolutions, such as pool:4 and full. "
            f"Received: {', '.join(map(str, resolutions)) or 'none'}."
        )
    return [
        Look(
            network
            if resolution == network.resolution
            else at_resolution(network, resolution),
            resolutions[-1],
        )
        for resolution in resolutions
    ]
