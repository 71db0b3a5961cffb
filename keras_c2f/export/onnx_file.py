"""ONNX: servers, desktops and browsers."""

import logging
import os
import re
import tempfile

import numpy as np

from keras_c2f.export.onnx_cascade import join_looks
from keras_c2f.export.signatures import IN_FLOAT32, signatures_of
from keras_c2f.models.metadata import PROPERTY
from keras_c2f.utils.optional import LazyModule

OPSET = 18
INTEGER_OPERATIONS = ("MatMul", "Gemm", "Conv")

onnx = LazyModule("onnx")
onnxruntime = LazyModule("onnxruntime")
quantization = LazyModule("onnxruntime.quantization")
tf2onnx = LazyModule("tf2onnx")


def convert_to_onnx(model, info, batch_size):
    """A classifier as float32 `onnx.ModelProto`s. TensorFlow backend only.

    Args:
        model, info, batch_size: as in `write_saved_model`.

    Returns:
        list of one; of a cascade one for each look, which `write_onnx` joins.
    """
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    return [
        _converted(function)
        for function in signatures_of(model, info, batch_size).values()
    ]


def _converted(function):
    """A `tf.function` with a signature as `onnx.ModelProto`."""
    specs = function.input_signature
    proto, _ = tf2onnx.convert.from_function(
        function,
        specs,
        opset=OPSET,
        custom_op_handlers={"Erfc": (_erfc_as_erf, [])},
    )
    if specs[0].shape[0] is None:
        for value in (*proto.graph.input, *proto.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return proto


def _erfc_as_erf(context, node, name, arguments):
    """TensorFlow's GELU has `Erfc`, ONNX has `Erf`: 1 - erf."""
    node.type = "Erf"
    one = context.make_const(f"{name}_one", np.float32(1)).output[0]
    erf = node.output[0]
    difference = context.insert_new_node_on_output(
        "Sub", erf, name=f"{name}_complement"
    )
    context.replace_inputs(difference, [one, erf])


def quantize_onnx(protos, variant, calibration):
    """What `convert_to_onnx` returned in other numbers.

    Front end and head stay as they are.

    Args:
        protos: list of `onnx.ModelProto`; not changed.
        variant, calibration: as in `quantize_litert`.

    Returns:
        list of `onnx.ModelProto`.
    """
    first, *finer = protos
    log_mel = []
    if finer and variant == "int8":
        session = onnxruntime.InferenceSession(first.SerializeToString())
        log_mel = [
            {"log_mel": session.run(["log_mel"], row)[0]} for row in calibration
        ]
    return [
        _quantized(first, variant, calibration),
        *(_quantized(look, variant, log_mel) for look in finer),
    ]


def _quantized(proto, variant, calibration):
    if variant == "float16":
        return _with_float16_weights(proto)
    spared = [node.name for node in _in_float32(proto.graph)]
    options = {
        "weight_type": quantization.QuantType.QInt8,
        "op_types_to_quantize": list(INTEGER_OPERATIONS),
        "nodes_to_exclude": spared,
        "per_channel": True,
        # 7 bits: where a processor has no instruction for products of 8-bit
        # numbers (AVX2), sums of two of them saturate at 16 bits
        "reduce_range": True,
    }
    with tempfile.TemporaryDirectory() as folder:
        prepared = os.path.join(folder, "prepared.onnx")
        path = os.path.join(folder, "quantized.onnx")
        quantization.quant_pre_process(
            proto, prepared, skip_optimization=True, skip_symbolic_shape=True
        )
        if variant == "dynamic":
            quantization.quantize_dynamic(prepared, path, **options)
        else:
            quantization.quantize_static(
                prepared, path, _Reader(calibration), **options
            )
        return onnx.load(path)


def _in_float32(graph):
    """Nodes whose numbers stay as they are."""
    return [node for node in graph.node if re.match(IN_FLOAT32, node.name)]


def _with_float16_weights(proto):
    """Weights are kept in half the space, and cast back when loaded.

    ONNX Runtime's own converter lets what passes between float32 nodes
    through float16, in which spectra overflow.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    spared = {n for node in _in_float32(copy.graph) for n in node.input}
    casts = []
    for weight in copy.graph.initializer:
        value = onnx.numpy_helper.to_array(weight)
        if value.dtype != np.float32 or weight.name in spared:
            continue
        name, half = weight.name, f"{weight.name}_float16"
        weight.CopyFrom(
            onnx.numpy_helper.from_array(value.astype("float16"), half)
        )
        casts.append(
            onnx.helper.make_node(
                "Cast", [half], [name], to=onnx.TensorProto.FLOAT
            )
        )
    for node in reversed(casts):
        copy.graph.node.insert(0, node)
    return copy


class _Reader:
    """What ONNX Runtime calls a calibration data reader."""

    def __init__(self, inputs):
        self._inputs = iter(inputs)

    def get_next(self):
        return next(self._inputs, None)


def write_onnx(protos, info, path):
    """Writes a model, its description as metadata.

    Args:
        protos: list of `onnx.ModelProto`, of a cascade several; one by
            itself gets the metadata too.
        info: `ClassifierInfo`.
        path: str.
    """
    proto = protos[0]
    if info.cascade is not None:
        proto = join_looks(protos, info.cascade["threshold"])
    onnx.helper.set_model_props(proto, {PROPERTY: info.to_json()})
    onnx.save(proto, path)
