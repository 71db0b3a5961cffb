"""The looks of a cascade as one ONNX file, in which weights stand once."""

import numpy as np

from keras_c2f.utils.optional import LazyModule

onnx = LazyModule("onnx")


def join_looks(looks, threshold):
    """One model, whose finer looks are branches of `If`.

    The windows that no look has been sure of are gathered, looked at again,
    and scattered back; where there are none, the branch is not computed.
    Weights stand in the main graph, once however many looks use them.

    Args:
        looks: list of `onnx.ModelProto`, coarse to fine, one for each function
            of `signatures_of`, maybe quantized; not changed.
        threshold: float, the confidence from which on an answer stands.

    Returns:
        `onnx.ModelProto` from `waveform` and `num_samples` to `scores`, and
        int32 `ended`, the index of the look at which each window ended.
    """
    looks = [
        onnx.compose.add_prefix(look, f"look_{index}/", rename_inputs=index > 0)
        for index, look in enumerate(looks)
    ]
    graphs = [look.graph for look in looks]
    weights = _shared_weights(graphs)
    threshold = np.float32(threshold)
    weights.append(onnx.numpy_helper.from_array(threshold, "threshold"))
    nodes = [*graphs[0].node, *_start()]
    for index, graph in enumerate(graphs[1:], 1):
        nodes += _look_again(graph, index)
    last = len(looks) - 1
    node = onnx.helper.make_node
    nodes.append(node("Identity", [f"scores_{last}"], ["scores"]))
    nodes.append(node("Identity", [f"ended_{last}"], ["ended"]))
    size = {
        output.name.split("/")[-1]: output.type.tensor_type.shape.dim
        for output in graphs[0].output
    }["scores"]
    batch, classes = (d.dim_param or d.dim_value for d in size)
    float32, int32 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32
    value = onnx.helper.make_tensor_value_info
    outputs = [
        value("scores", float32, [batch, classes]),
        value("ended", int32, [batch]),
    ]
    joined = onnx.ModelProto()
    joined.CopyFrom(looks[0])
    joined.graph.CopyFrom(
        onnx.helper.make_graph(
            nodes, "cascade", graphs[0].input, outputs, weights
        )
    )
    return joined


def _shared_weights(graphs):
    """Initializers of all graphs, equal ones once; nodes refer to these."""
    kept, names = {}, {}
    for graph in graphs:
        for weight in graph.initializer:
            content = onnx.numpy_helper.to_array(weight).tobytes()
            key = weight.data_type, tuple(weight.dims), content
            names[weight.name] = kept.setdefault(key, weight).name
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
    return list(kept.values())


def _start():
    """Nodes behind the first look: where each window is after it.

    `rows_I` are the indices of the windows, `(windows, 1)`, that look I was
    given, `confidence_I` what it found of these; `scores_I` and `ended_I` are
    of all windows.
    """
    node = onnx.helper.make_node
    return [
        node("Identity", ["look_0/scores"], ["scores_0"]),
        node("Identity", ["look_0/confidence"], ["confidence_0"]),
        *_filled("confidence_0", np.int32(0), "ended_0"),
        *_filled("confidence_0", np.bool_(True), "all"),
        node("NonZero", ["all"], ["indices"]),
        node("Transpose", ["indices"], ["rows_0"]),
    ]


def _look_again(graph, index):
    """Nodes that look again at windows of which look `index - 1` is unsure."""
    node, boolean = onnx.helper.make_node, onnx.TensorProto.BOOL
    before = {n: f"{n}_{index - 1}" for n in ("scores", "ended", "confidence")}
    rows, unsure = f"rows_{index}", f"unsure_{index}"
    finer = [f"finer_{name}_{index}" for name in before]
    coarser = [f"coarser_{name}_{index}" for name in before]
    found = {n: f"look_{index}/{n}" for n in ("log_mel", *before)}
    goes_on = [
        node("GatherND", ["look_0/log_mel", rows], [found["log_mel"]]),
        *graph.node,
        *_filled(found["confidence"], np.int32(index), found["ended"]),
        *(
            node("ScatterND", [before[name], rows, found[name]], [to])
            for name, to in zip(("scores", "ended"), finer, strict=False)
        ),
        node("Identity", [found["confidence"]], finer[2:]),
    ]
    ends = [
        node("Identity", [before["scores"]], coarser[:1]),
        node("Identity", [before["ended"]], coarser[1:2]),
        node("Compress", [before["confidence"], unsure], coarser[2:]),  # none
    ]
    after = [f"{name}_{index}" for name in before]
    branches = {
        "then_branch": _branch(goes_on, finer),
        "else_branch": _branch(ends, coarser),
    }
    return [
        node("Less", [before["confidence"], "threshold"], [unsure]),
        node("Compress", [f"rows_{index - 1}", unsure], [rows], axis=0),
        node("Size", [rows], [f"size_{index}"]),
        node(
            "Cast",
            [f"size_{index}"],
            [f"any_{index}"],
            to=boolean,
        ),
        node("If", [f"any_{index}"], after, **branches),
    ]


def _branch(nodes, outputs):
    """A graph of an `If`, with `scores`, `ended` and `confidence`."""
    float32, int32 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32
    values = [
        onnx.helper.make_tensor_value_info(name, kind, [None] * rank)
        for name, kind, rank in zip(
            outputs, (float32, int32, float32), (2, 1, 1), strict=True
        )
    ]
    return onnx.helper.make_graph(nodes, outputs[0], [], values)


def _filled(like, value, name):
    """Nodes that make a tensor of one value, in the shape of another."""
    content = onnx.numpy_helper.from_array(np.array([value]))
    node = onnx.helper.make_node
    return [
        node("Shape", [like], [f"{name}_shape"]),
        node("ConstantOfShape", [f"{name}_shape"], [name], value=content),
    ]
