"""Growth with the length of clips: time and memory of training, and a plot.

Run time: five minutes on two free cores. Prints Markdown and writes a plot.
Expected: memory grows faster than length, as attention does, and with
rematerialization (`--remat` of `keras-c2f train`) it is a fraction, at about
a third more time.

    KERAS_BACKEND=jax python tools/benchmark_length.py --plot=length.png

Each row is a process of its own. Memory is what a step needs beside the
weights: on a GPU the peak of what the backend has allocated; on a CPU that of
the process, less what it had before its first step. Time is that of the
fastest step, CPU time (all threads) the median.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from datetime import date

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from absl import app, flags

from keras_c2f import AST, AudioClassifier, PhasedModel
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models import remat_scope
from keras_c2f.utils.environment import hardware, versions

FLAGS = flags.FLAGS
LENGTHS = ("5", "10", "20", "40", "60")
flags.DEFINE_list("seconds", list(LENGTHS), "Lengths of clips.")
flags.DEFINE_string("size", "tiny", "Of AST.")
flags.DEFINE_string("precision", "float32", "Keras' policy.")
flags.DEFINE_integer("batch_size", 1, "Clips a step.")
flags.DEFINE_integer("steps", 3, "Timed steps.")
flags.DEFINE_string("plot", "length.png", "Picture to write.")
flags.DEFINE_float("one", 0, "Length to measure in this process.")
flags.DEFINE_bool("remat", False, "Whether to rematerialize, with --one.")

NUM_CLASSES = 50
WAYS = {"plain": False, "remat": True}


def make_model(num_frames):
    backbone = AST.from_size(
        FLAGS.size, num_frames=num_frames, dtype=FLAGS.precision
    )
    model = PhasedModel(AudioClassifier(backbone, NUM_CLASSES))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(1e-4), loss)
    return model


def peak_memory():
    """Bytes, the most so far: of the first GPU, or else of the process."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        device = jax.local_devices()[0]
        if device.platform != "cpu":
            return device.memory_stats()["peak_bytes_in_use"]
    elif backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
    else:
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["VmHWM"].split()[0]) * 1024


def measure_one():
    """Prints one row as JSON: of a clip, seconds and megabytes."""
    frontend = Frontend()
    samples = int(FLAGS.one * frontend.sample_rate)
    num_frames = -(-frontend.num_frames(samples) // 16) * 16
    with remat_scope() if FLAGS.remat else keras.RematScope(None):
        model = make_model(num_frames)
    rng = np.random.default_rng(0)
    shape = (FLAGS.batch_size, num_frames, frontend.num_mel_bins)
    batch = rng.normal(size=shape).astype("float32"), np.zeros(shape[0], int)
    before = peak_memory()
    wall, cpu = [], []
    for _ in range(1 + FLAGS.steps):
        start = time.perf_counter(), time.process_time()
        loss = float(np.asarray(model.train_on_batch(*batch)).reshape(-1)[0])
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    row = {
        "tokens": model.network.num_tokens,
        "ms": 1000 * min(wall[1:]) / FLAGS.batch_size,
        "cpu_ms": 1000 * statistics.median(cpu[1:]) / FLAGS.batch_size,
        "mb": (peak_memory() - before) / 2**20 / FLAGS.batch_size,
        "loss": loss,
    }
    print(json.dumps(row))


def measure(seconds, remat):
    """The row of a process of its own."""
    command = [
        sys.executable,
        *sys.argv,
        f"--one={seconds}",
        f"--remat={remat}",
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr[-2000:])
    return json.loads(result.stdout.splitlines()[-1])


def print_table(rows):
    print(
        "| clip | tokens | ms | CPU ms | MB | ms, remat | CPU ms | MB | ",
        end="",
    )
    print("memory | CPU time |\n" + "|---" * 10 + "|")
    for seconds, both in rows.items():
        plain, remat = (both[way] for way in WAYS)
        cells = [f"{seconds} s", plain["tokens"]]
        for row in (plain, remat):
            cells += [f"{row['ms']:.0f}", f"{row['cpu_ms']:.0f}"]
            cells += [f"{row['mb']:.0f}"]
        cells += [f"{remat['mb'] / plain['mb']:.2f}"]
        cells += [f"{remat['cpu_ms'] / plain['cpu_ms']:.2f}"]
        print(f"| {' | '.join(map(str, cells))} |")


def plot(rows, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    lengths = [float(seconds) for seconds in rows]
    for axis, column, label in (
        (axes[0], "cpu_ms", "CPU time of a training step, ms a clip"),
        (axes[1], "mb", "memory of a training step, MB a clip"),
    ):
        for way, style in (("plain", "o-"), ("remat", "s--")):
            values = [both[way][column] for both in rows.values()]
            axis.plot(lengths, values, style, label=way)
        axis.set_xlabel("length of a clip, s")
        axis.set_title(label, fontsize="medium")
        axis.set_xlim(0)
        axis.set_ylim(0)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main(_):
    if FLAGS.one:
        measure_one()
        return
    backend = keras.backend.backend()
    print(f"# Growth with length on {backend}, {date.today()}\n")
    found = versions()
    print(", ".join(f"{name} {number}" for name, number in found.items()))
    print(f"{hardware()}, load {os.getloadavg()[0]:.1f}.")
    print(
        f"\nA training step of ast_{FLAGS.size}, {FLAGS.precision}, "
        f"{FLAGS.batch_size} clip(s) a step; memory beside the weights.\n"
    )
    rows = {
        seconds: {way: measure(seconds, on) for way, on in WAYS.items()}
        for seconds in FLAGS.seconds
    }
    print_table(rows)
    plot(rows, FLAGS.plot)
    print(f"\n![Growth with length]({os.path.basename(FLAGS.plot)})")


if __name__ == "__main__":
    app.run(main)
