"""From a trained network to files that audio goes into and names come out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_c2f.export.conversion import convert_archive, save_archive
from keras_c2f.export.formats import choose_format
from keras_c2f.models import waveform_classifier
from keras_c2f.models.metadata import ClassifierInfo
from keras_c2f.phases import at_resolution

if TYPE_CHECKING:
    import numpy as np

    from keras_c2f.evaluation import Calibration
    from keras_c2f.layers.log_mel import Frontend
    from keras_c2f.models.classifier import AudioClassifier
    from keras_c2f.resolution import Resolution
    from keras_c2f.utils.annotations import PathLike


def export_classifier(
    network: AudioClassifier,
    frontend: Frontend,
    class_names: Sequence[str],
    path: PathLike,
    num_samples: int,
    *,
    format: str = "litert",
    variants: str | Sequence[str] = "float32",
    multi_label: bool = False,
    resolution: Resolution | str | None = None,
    batch_size: int | None = None,
    calibration: np.ndarray | None = None,
    cascade: Calibration | None = None,
) -> dict[str, str]:
    """Writes front end, compression and network as one file.

    Any runtime of `FORMATS` then takes audio and gives scores; what they are
    called, and the sample rate, are in the file. See
    `models.waveform_classifier` for inputs and output.

    Args:
        network: `AudioClassifier`, trained on any backend.
        frontend: `Frontend` that it was trained with.
        class_names: list of str.
        path: str, without ending; `-VARIANT` is added too, where the format
            has several.
        num_samples: int, samples of a window: of the clips in training.
        format: str, a key of `FORMATS`.
        variants: str or collection of str, of `VARIANTS`; `None`, all that
            the format has.
        multi_label: bool, whether a recording may have several labels.
        resolution: `Resolution` or text; another one than the network's, for
            a device that is too slow for it. Position grid and kernels are
            resized, nothing is trained.
        batch_size: int, windows at once, 0 for any number. Default: that of
            the format, 1 for LiteRT and any for the others.
        calibration: pair of arrays, windows as `Classifier.scores` takes
            them, needed for `"int8"`: a hundred of the training set will do.
        cascade: `Calibration` of a `Cascade` of this network, which is
            exported then: all looks over one set of weights. A SavedModel and
            an ONNX file also give `ended`, the index of the look at which a
            window ended; a LiteRT file has a signature for each look.

    Returns:
        dict from variant to path.

    Raises:
        ImportError: if a converter is not installed, with the install line.
        ValueError: if there is no such format or variant, or no calibration;
            or the cascade looks at every window at its finest resolution.
        RuntimeError: if conversion fails in its own process; with what that
            printed.
    """
    kind, variants = choose_format(format, variants)
    if "int8" in variants and (calibration is None or not len(calibration[0])):
        raise ValueError(
            "variant='int8' fixes the scale of each activation, so it needs "
            "`calibration`: windows of the training set."
        )
    if cascade is not None:
        refuse_cascade(cascade, resolution)
    if resolution is not None:
        network = at_resolution(network, resolution)
    info = ClassifierInfo(
        tuple(class_names),
        frontend.sample_rate,
        num_samples,
        multi_label,
        cascade.resolutions[-1] if cascade else str(network.resolution),
        cascade=cascade and cascade.to_dict(),
    )
    model = waveform_classifier(
        network, frontend, num_samples, multi_label, kind.use_fft(frontend)
    )
    several = len(kind.variants) > 1
    paths = {
        variant: f"{path}{f'-{variant}' if several else ''}{kind.ending}"
        for variant in variants
    }
    for position in paths.values():
        os.makedirs(os.path.dirname(position) or ".", exist_ok=True)
    if format == "keras":
        save_archive(model, info, paths["float32"])
        return paths
    if batch_size is None:
        batch_size = kind.batch_size
    with tempfile.TemporaryDirectory() as folder:
        archive = os.path.join(folder, "classifier.keras")
        save_archive(model, info, archive)
        convert_archive(archive, paths, format, batch_size or None, calibration)
    return paths


def refuse_cascade(cascade, resolution=None):
    """Refuses a cascade of no use, and one with another resolution.

    Args:
        cascade: `Calibration`.
        resolution: what an export was asked for.

    Raises:
        ValueError: if it cannot be exported.
    """
    texts = cascade.resolutions
    if resolution is not None:
        raise ValueError(
            f"A cascade has resolutions of its own: {', '.join(texts)}. Leave "
            f"`resolution` (--resolution) out. Received: {resolution}."
        )
    if cascade.threshold is None:
        raise ValueError(
            f"In this cascade every clip goes on to {texts[-1]}, so its file "
            "would do what the classifier does alone. Export that, without "
            "the cascade; or allow a greater loss and calibrate again: "
            "`max_loss` (evaluate --cascade --max-loss)."
        )
