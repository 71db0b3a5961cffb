"""One saved classifier into files of other runtimes, on TensorFlow.

Conversion starts from the `.keras` archive of what `waveform_classifier`
returned, so a network trained on JAX or PyTorch takes the same way as one
trained on TensorFlow: by a process of its own, with that backend.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import zipfile

import keras
import numpy as np

from keras_c2f.export.litert import (
    convert_to_litert,
    quantize_litert,
    write_litert,
)
from keras_c2f.export.onnx_file import (
    convert_to_onnx,
    quantize_onnx,
    write_onnx,
)
from keras_c2f.export.saved_model import write_saved_model
from keras_c2f.models import AudioClassifier  # noqa: F401  archives hold one
from keras_c2f.models.metadata import FILE_NAME, ClassifierInfo
from keras_c2f.utils.files import atomic_write, atomic_write_folder


def save_archive(model, info, path):
    """Saves a classifier as `.keras`, its description inside.

    Args:
        model: what `waveform_classifier` returned.
        info: `ClassifierInfo`.
        path: str that ends in `.keras`.
    """

    def write(temporary):
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(FILE_NAME, info.to_json())

    atomic_write(path, write)


def convert_archive(archive, paths, format, batch_size=None, calibration=None):
    """Writes the files of one format.

    Starts a process on the TensorFlow backend where that is not in use.

    Args:
        archive: path of what `save_archive` wrote.
        paths: dict from variant to path.
        format: str, `"savedmodel"`, `"litert"` or `"onnx"`.
        batch_size: int, or `None` for any.
        calibration: pair of the inputs of some windows of audio, as
            `Classifier.scores` takes them; `"int8"` needs it.

    Raises:
        RuntimeError: if the other process fails; with what it printed.
    """
    job = {
        "archive": str(archive),
        "paths": {variant: str(path) for variant, path in paths.items()},
        "format": format,
        "batch_size": batch_size,
    }
    if keras.backend.backend() == "tensorflow":
        _convert(**job, calibration=calibration)
        return
    with tempfile.TemporaryDirectory() as folder:
        if calibration is not None:
            job["calibration"] = os.path.join(folder, "calibration.npz")
            waveforms, counts = calibration
            np.savez(job["calibration"], waveforms=waveforms, counts=counts)
        done = subprocess.run(
            [sys.executable, "-m", __name__, json.dumps(job)],
            env={
                **os.environ,
                "KERAS_BACKEND": "tensorflow",
                "CUDA_VISIBLE_DEVICES": "-1",  # the backend here has them
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(
            f"The process on the TensorFlow backend failed:\n{done.stdout}"
        )


def _convert(archive, paths, format, batch_size, calibration=None):
    model = keras.models.load_model(archive)
    with zipfile.ZipFile(archive) as file:
        info = ClassifierInfo.from_json(file.read(FILE_NAME).decode())
    if format == "savedmodel":
        atomic_write_folder(
            paths["float32"],
            lambda to: write_saved_model(model, info, to, batch_size),
        )
        return
    convert, quantize, write = {
        "litert": (convert_to_litert, quantize_litert, write_litert),
        "onnx": (convert_to_onnx, quantize_onnx, write_onnx),
    }[format]
    converted = convert(model, info, batch_size)
    failed = []
    for variant, path in paths.items():
        content = converted
        if variant != "float32":
            windows = _windows(calibration, batch_size)
            content = quantize(converted, variant, windows)
        described = dataclasses.replace(info, variant=variant)
        try:
            atomic_write(path, lambda to: write(content, described, to))  # noqa: B023
        except OSError as error:  # the others are written still
            failed.append(str(error))
    if failed:
        raise OSError("\n".join(failed))


def _windows(calibration, batch_size):
    """Inputs to calibrate with, a batch after the other."""
    if calibration is None:
        return []
    waveforms, counts = calibration
    size = batch_size or 1
    positions = np.arange(-(-len(counts) // size) * size) % len(counts)
    return [
        {"waveform": waveforms[batch], "num_samples": counts[batch]}
        for batch in positions.reshape(-1, size)
    ]


def main(job):
    """What the process on the TensorFlow backend does."""
    job = json.loads(job)
    if "calibration" in job:
        with np.load(job["calibration"]) as windows:
            job["calibration"] = windows["waveforms"], windows["counts"]
    try:
        _convert(**job)
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1])
