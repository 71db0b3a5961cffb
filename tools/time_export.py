"""Times one exported file with its runtime alone; prints a JSON line.

`benchmark_export.py` starts this in a process for each row.

    python tools/time_export.py MODEL THREADS REPEATS
"""

import json
import re
import sys
import time

import numpy as np


def open_model(path, threads):
    """A function of `(waveform, count)`, and the window's samples."""
    if path.endswith(".tflite"):
        from ai_edge_litert.interpreter import Interpreter

        classify = Interpreter(path, num_threads=threads).get_signature_runner()
        size = classify.get_input_details()["waveform"]["shape"][1]
        return lambda w, n: classify(waveform=w, num_samples=n), size
    if path.endswith(".onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options)
        size = session.get_inputs()[0].shape[1]
        return (
            lambda w, n: session.run(None, {"waveform": w, "num_samples": n}),
            size,
        )
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    model = tf.saved_model.load(path)
    classify = model.signatures["serving_default"]
    size = classify.structured_input_signature[1]["waveform"].shape[1]

    def run(waveform, count, _model=model):
        inputs = tf.constant(waveform), tf.constant(count)
        return classify(waveform=inputs[0], num_samples=inputs[1])

    return run, size


def main(path, threads, repeats):
    run, size = open_model(path, int(threads))
    noise = np.random.default_rng(0).normal(0, 0.05, (1, int(size)))
    inputs = noise.astype("float32"), np.array([size], "int32")
    for _ in range(3):
        run(*inputs)
    seconds = []
    for _ in range(int(repeats)):
        start = time.perf_counter()
        run(*inputs)
        seconds.append(time.perf_counter() - start)
    with open("/proc/self/status") as file:  # `getrusage` counts the parent
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", file.read())
    milliseconds = 1000 * float(np.median(seconds))
    print(
        json.dumps({"milliseconds": milliseconds, "peak_mib": int(peak) / 1024})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
