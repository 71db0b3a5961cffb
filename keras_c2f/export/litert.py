"""LiteRT, TensorFlow Lite's successor: phone and small computers."""

import contextlib
import io
import os
import tempfile
import warnings
import zipfile

from keras_c2f.export.saved_model import save_signatures
from keras_c2f.export.signatures import IN_FLOAT32, signatures_of
from keras_c2f.models.metadata import FILE_NAME
from keras_c2f.utils.optional import LazyModule, tf

LABELS = "labels.txt"  # where tools of LiteRT look for class names
INTEGER_OPERATIONS = ("FULLY_CONNECTED", "CONV_2D")

litert = LazyModule("ai_edge_litert.interpreter")
aeq = LazyModule("ai_edge_quantizer.quantizer")
qtyping = LazyModule("ai_edge_quantizer.qtyping")
algorithms = LazyModule("ai_edge_quantizer.algorithm_manager")


def convert_to_litert(model, info, batch_size):
    """A classifier as the bytes of a float32 file, without description.

    By way of a SavedModel, which gives a faster file than a Keras model does.
    TensorFlow backend only.

    Args:
        model, info, batch_size: as in `write_saved_model`.

    Returns:
        bytes. Weights that several signatures use are in them once.
    """
    signatures = signatures_of(model, info, batch_size, batch_size)
    with tempfile.TemporaryDirectory() as folder:
        save_signatures(folder, signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        return converter.convert()


def quantize_litert(content, variant, calibration):
    """A float32 file in other numbers.

    Front end and head stay in float32.

    Args:
        content: bytes, as `convert_to_litert` returns.
        variant: `"float16"`, weights alone; `"dynamic"`, weights in 8 bits
            and activations where they are multiplied; or `"int8"`, with the
            scale of each activation fixed by calibration.
        calibration: list of dicts of the inputs, for `"int8"`.

    Returns:
        bytes.
    """
    every = qtyping.TFLOperationName.ALL_SUPPORTED
    quantizer = aeq.Quantizer(content)
    if variant == "float16":
        quantizer.update_quantization_recipe(
            ".*",
            every,
            _float16_weights(),
            algorithms.AlgorithmName.FLOAT_CASTING,
        )
    elif variant == "dynamic":
        quantizer.add_dynamic_config(".*", every, 8)
    else:
        for name in INTEGER_OPERATIONS:
            operation = getattr(qtyping.TFLOperationName, name)
            quantizer.add_static_config(".*", operation, 8, 8)
    quantizer.update_quantization_recipe(
        IN_FLOAT32, every, algorithm_key=algorithms.AlgorithmName.NO_QUANTIZE
    )
    with _silence(), tempfile.TemporaryDirectory() as folder:
        result = None
        if variant == "int8":
            result = quantizer.calibrate(_by_signature(content, calibration))
        path = os.path.join(folder, "quantized.tflite")
        quantizer.quantize(result, enable_progress_report=False).export_model(
            path
        )
        with open(path, "rb") as file:
            return file.read()


def _by_signature(content, calibration):
    """What each signature is calibrated with: finer looks with log-mel."""
    interpreter = litert.Interpreter(model_content=content)
    inputs = {
        name: signature["inputs"]
        for name, signature in interpreter.get_signature_list().items()
    }
    (first,) = (name for name, names in inputs.items() if "waveform" in names)
    by_signature = {first: calibration}
    if finer := inputs.keys() - {first}:
        look = interpreter.get_signature_runner(first)
        log_mel = [{"log_mel": look(**row)["log_mel"]} for row in calibration]
        by_signature |= dict.fromkeys(finer, log_mel)
    return by_signature


@contextlib.contextmanager
def _silence():
    """Without the quantizer's progress bars and advice to its developers."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _float16_weights():
    return qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=16, dtype=qtyping.TensorDataType.FLOAT
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )


def write_litert(content, info, path):
    """Writes a file with its description, as LiteRT's associated files.

    Behind the model is a ZIP archive, which other programs open by itself.

    Args:
        content: bytes of the model.
        info: `ClassifierInfo`.
        path: str.
    """
    with open(path, "wb") as file:
        file.write(content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "\n".join(info.class_names) + "\n")
        archive.writestr(FILE_NAME, info.to_json())
