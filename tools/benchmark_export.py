"""Exported files: size, time for 1 s and 10 s of audio, memory, threads.

Weights are random, which costs the same. Each row is a process of its own with
the runtime alone, so that its memory is the runtime's; rows are repeated in
turn, and the fastest counts.

Run time: about fifteen minutes. Expected: LiteRT in dynamic range at least 1.5
times as fast as in float32.

    python tools/benchmark_export.py --model=ast_tiny
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version

import keras
import numpy as np
from absl import app, flags

from keras_c2f import AudioClassifier, LogMel
from keras_c2f.export import FORMATS, export_classifier
from keras_c2f.export.comparison import size_of
from keras_c2f.export.conversion import convert_archive, save_archive
from keras_c2f.models import backbone_from_size
from keras_c2f.models.backbones import preset_frontend
from keras_c2f.models.metadata import ClassifierInfo
from keras_c2f.utils.environment import hardware, versions

FLAGS = flags.FLAGS
flags.DEFINE_string("model", "ast_tiny", "Preset.")
flags.DEFINE_integer("rounds", 3, "Processes of each row; the fastest counts.")
flags.DEFINE_integer("repeats", 20, "Windows in each process.")

SECONDS = (1, 10)
NUM_CLASSES = 50
PACKAGES = ("ai-edge-litert", "onnxruntime", "ai-edge-quantizer", "tf2onnx")
RUNNERS = ("savedmodel", "litert", "onnx")


def make_files(folder, seconds):
    """dict from `(format, variant)` to path; the front end alone among them."""
    frontend = preset_frontend(FLAGS.model)
    num_samples = seconds * frontend.sample_rate
    num_frames = -(-frontend.num_frames(num_samples) // 32) * 32
    backbone = backbone_from_size(
        FLAGS.model,
        num_frames=num_frames,
        num_mel_bins=frontend.num_mel_bins,
    )
    network = AudioClassifier(backbone, NUM_CLASSES, pooling="mean")
    names = [f"class {index}" for index in range(NUM_CLASSES)]
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.05, (16, num_samples)).astype("float32")
    calibration = noise, np.full(16, num_samples, "int32")
    files = {}
    for name in RUNNERS:
        paths = export_classifier(
            *(network, frontend, names),
            *(os.path.join(folder, f"{seconds}-{name}"), num_samples),
            format=name,
            variants=None,
            calibration=calibration,
        )
        files |= {(name, variant): path for variant, path in paths.items()}
    info = ClassifierInfo(names, frontend.sample_rate, num_samples)
    for name in ("litert", "onnx"):
        kind = FORMATS[name]
        path = os.path.join(folder, f"{seconds}-frontend{kind.ending}")
        inputs = (
            keras.Input((num_samples,), name="waveform"),
            keras.Input((), dtype="int32", name="num_samples"),
        )
        layer = LogMel(
            frontend,
            num_frames,
            use_fft=kind.use_fft(frontend),
            name="frontend",
        )
        archive = os.path.join(folder, "frontend.keras")
        save_archive(keras.Model(inputs, layer(*inputs)), info, archive)
        batch = 1 if name == "litert" else None
        convert_archive(archive, {"float32": path}, name, batch)
        files[name, "front end alone"] = path
    return files


def measure(path, threads):
    """dict of `milliseconds` and `peak_mib` of a fresh process."""
    script = os.path.join(os.path.dirname(__file__), "time_export.py")
    done = subprocess.run(
        [sys.executable, script, path, str(threads), str(FLAGS.repeats)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main(_):
    found = {**versions(), **{name: version(name) for name in PACKAGES}}
    print(f"`{' '.join(['python', *sys.argv])}`\n")
    print(", ".join(f"{name} {number}" for name, number in found.items()))
    print(f"{hardware()}, load {os.getloadavg()[0]:.1f}.\n")
    with tempfile.TemporaryDirectory() as folder:
        files = {seconds: make_files(folder, seconds) for seconds in SECONDS}
        best = {}
        for _ in range(FLAGS.rounds):
            for seconds, paths in files.items():
                for key, path in paths.items():
                    for threads in (1, 2):
                        new = measure(path, threads)
                        position = (*key, seconds, threads)
                        old = best.get(position, new)
                        best[position] = min(old, new, key=_milliseconds)
        sizes = {key: size_of(path) for key, path in files[10].items()}
    show(best, sizes)


def _milliseconds(row):
    return row["milliseconds"]


def show(best, sizes):
    """Prints the tables."""
    print("| format | weights | MB | ms for 1 s: 1, 2 threads |", end="")
    print(" ms for 10 s: 1, 2 threads | seconds of audio a second |", end="")
    print(" times float32 | front end's share | peak memory, MiB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (name, variant), size in sizes.items():
        times = [
            [
                best[name, variant, s, threads]["milliseconds"]
                for threads in (1, 2)
            ]
            for s in SECONDS
        ]
        cells = [" ".join(f"{t:.1f}" for t in row) for row in times]
        plain = [
            best[name, "float32", 10, threads]["milliseconds"]
            for threads in (1, 2)
        ]
        faster = " ".join(
            f"{p / t:.2f}" for p, t in zip(plain, times[1], strict=True)
        )
        share = "–"
        if (name, "front end alone") in sizes:
            alone = [best[name, "front end alone", 10, k] for k in (1, 2)]
            share = " ".join(
                f"{row['milliseconds'] / t:.0%}"
                for row, t in zip(alone, times[1], strict=True)
            )
        speed = " ".join(f"{10000 / t:.0f}" for t in times[1])
        peak = best[name, variant, 10, 2]["peak_mib"]
        print(f"| {name} | {variant} | {size / 1e6:.1f} | {cells[0]} |", end="")
        print(f" {cells[1]} | {speed} | {faster} | {share} | {peak:.0f} |")


if __name__ == "__main__":
    app.run(main)
