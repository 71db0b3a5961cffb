"""What each runtime needs to turn windows of audio into scores.

Every function here opens a file and returns its description, a function from
`(waveforms, counts)` to scores, and the batch size that it insists on; that of
Keras also the network and its front end. The scores of a cascade have the index
of the look at which a window ended behind them.
"""

import os
import zipfile

import keras
import numpy as np

from keras_c2f.models import AudioClassifier
from keras_c2f.models.metadata import FILE_NAME, PROPERTY, ClassifierInfo
from keras_c2f.resolution import Resolution
from keras_c2f.utils.optional import LazyModule, tf

litert = LazyModule("ai_edge_litert.interpreter")
onnxruntime = LazyModule("onnxruntime")


def open_keras(path, num_threads=None):
    """A `.keras` archive that `export_classifier` wrote.

    Threads are Keras' backend's affair.
    """
    info = _archived_info(path)
    model = keras.models.load_model(path)
    (network,) = (x for x in model.layers if isinstance(x, AudioClassifier))
    trained = network, model.get_layer("frontend").frontend
    return info, keras_scores(model), None, trained


def keras_scores(model):
    """The function of what `waveform_classifier` returned, or its like."""

    def run(waveforms, counts):
        inputs = {"waveform": waveforms, "num_samples": counts}
        return model.predict_on_batch(inputs)

    return run


def open_saved_model(path, num_threads=None):
    """A SavedModel folder; threads are TensorFlow's affair."""
    description = os.path.join(path, "assets.extra", FILE_NAME)
    if not os.path.exists(description):
        raise ValueError(NOT_OURS.format(path))
    with open(description) as file:
        info = ClassifierInfo.from_json(file.read())
    loaded = tf.saved_model.load(str(path))  # has to outlive its signature
    serve = loaded.signatures["serving_default"]

    def run(waveforms, counts, _loaded=loaded):
        inputs = tf.constant(waveforms), tf.constant(counts)
        found = serve(waveform=inputs[0], num_samples=inputs[1])
        return _with_ended(*map(found.get, OUTPUTS))

    _, inputs = serve.structured_input_signature
    return info, run, inputs["waveform"].shape[0]


def open_litert(path, num_threads=None):
    """A `.tflite` file."""
    info = _archived_info(path)
    interpreter = litert.Interpreter(
        model_path=str(path), num_threads=num_threads
    )
    first, *finer = map(interpreter.get_signature_runner, _signatures(info))
    shape = first.get_input_details()["waveform"]["shape_signature"]
    batch_size = None if shape[0] < 0 else int(shape[0])

    def run(waveforms, counts):
        found = first(waveform=waveforms, num_samples=counts)
        if not finer:
            return found["scores"]
        return _look_again(found, finer, info.cascade["threshold"], batch_size)

    return info, run, batch_size


def _signatures(info):
    """Signatures of a `.tflite` file, in turn; `None` is the only one."""
    if info.cascade is None:
        return [None]
    return [Resolution.parse(r).name for r in info.cascade["resolutions"]]


def _look_again(found, finer, threshold, batch_size):
    """Scores with where they ended, after finer looks at unsure windows.

    Args:
        found: dict of what the first look gave.
        finer: list of functions from log-mel to such a dict.
        threshold: float.
        batch_size: int that these insist on, or `None`.
    """
    scores, log_mel = found["scores"], found["log_mel"]
    rows, ended = np.arange(len(scores)), np.zeros(len(scores), "int32")
    for index, look in enumerate(finer, 1):
        rows = rows[found["confidence"][: len(rows)] < threshold]
        if not len(rows):
            break
        batch = np.resize(rows, batch_size or len(rows))  # repeats some
        found = look(log_mel=log_mel[batch])
        scores[rows], ended[rows] = found["scores"][: len(rows)], index
    return _with_ended(scores, ended)


def open_onnx(path, num_threads=None):
    """An `.onnx` file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or 0
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    properties = session.get_modelmeta().custom_metadata_map
    if PROPERTY not in properties:
        raise ValueError(NOT_OURS.format(path))
    info = ClassifierInfo.from_json(properties[PROPERTY])
    outputs = OUTPUTS[: 1 if info.cascade is None else 2]

    def run(waveforms, counts):
        inputs = {"waveform": waveforms, "num_samples": counts}
        return _with_ended(*session.run(outputs, inputs))

    (batch, *_), *_ = (entry.shape for entry in session.get_inputs())
    return info, run, batch if isinstance(batch, int) else None


def _with_ended(scores, ended=None):
    """The scores of a cascade with a column of where each window ended."""
    if ended is None:
        return scores
    return np.column_stack([scores, ended])


OUTPUTS = ("scores", "ended")
NOT_OURS = (
    "{} does not say what its classes are: it was not written by `keras-c2f "
    "export`."
)
OPENERS = {
    ".keras": open_keras,
    ".tflite": open_litert,
    ".onnx": open_onnx,
    "": open_saved_model,
}


def in_batches(run, batch_size):
    """Lets a function that insists on a batch size take any number.

    Args:
        run: function of `(waveforms, counts)`.
        batch_size: int.

    Returns:
        function of the same.
    """

    def run_all(waveforms, counts):
        missing = -len(counts) % batch_size
        waveforms = np.pad(waveforms, [[0, missing], [0, 0]])
        padded = np.pad(counts, [0, missing])
        scores = [
            run(waveforms[start:end], padded[start:end])
            for start in range(0, len(padded), batch_size)
            for end in [start + batch_size]
        ]
        return np.concatenate(scores)[: len(counts)]

    return run_all


def _archived_info(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return ClassifierInfo.from_json(archive.read(FILE_NAME).decode())
    except (KeyError, zipfile.BadZipFile):
        raise ValueError(NOT_OURS.format(path)) from None
