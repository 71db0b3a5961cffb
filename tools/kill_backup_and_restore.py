"""Does a killed `fit` with `BackupAndRestore` end like one that was not?

Trains a tiny network through three phases, once to the end, and then in
processes that are killed (SIGKILL) at random moments, resumed and killed
again. Whenever a run gets to its end, its weights are compared with those of
the uninterrupted one. Expected: every line says `equal`. About 10 s a kill on
two cores.

    KERAS_BACKEND=jax python tools/kill_backup_and_restore.py --kills=10
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import keras
import numpy as np
from absl import app, flags

from keras_c2f.models import AST, AudioClassifier
from keras_c2f.phases import PhasedModel, PhaseScheduler, with_cosine

FLAGS = flags.FLAGS
flags.DEFINE_integer("kills", 10, "How often a process is killed.")
flags.DEFINE_integer("seed", 0, "Of the moments.")
flags.DEFINE_string("folder", None, "Of the backup; set for one training.")
flags.DEFINE_float("after", 0.0, "Seconds of training before the kill.")

SCHEDULE = "pool:4@6, pool:2@6, full@6"
TOLERANCE = 1e-6  # float32; processes may differ in the order of sums


def train(folder, after):
    """Trains, and writes `final.npz` with weights and seconds of `fit`."""
    keras.utils.set_random_seed(0)
    backbone = AST(
        32, 8, (4, 4), width=8, depth=2, num_heads=2, drop_path=0.2, name="ast"
    )
    model = PhasedModel(AudioClassifier(backbone, 3, input_kind="log_mel"))
    model.compile(
        keras.optimizers.AdamW(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() == "jax",
    )
    rng = np.random.default_rng(0)
    log_mel = rng.normal(size=(16, 32, 8)).astype("float32")
    schedule = with_cosine(SCHEDULE, 0.01, 4)
    if after:
        kill = (os.getpid(), signal.SIGKILL)
        threading.Timer(after, os.kill, kill).start()
    start = time.monotonic()
    model.fit(
        log_mel,
        rng.integers(0, 3, 16),
        batch_size=4,
        shuffle=False,
        verbose=0,
        callbacks=[
            PhaseScheduler(schedule, verbose=0),
            keras.callbacks.BackupAndRestore(os.path.join(folder, "backup")),
        ],
    )
    seconds = time.monotonic() - start
    weights = {v.path: keras.ops.convert_to_numpy(v) for v in model.variables}
    weights = {path: w for path, w in weights.items() if "seed" not in path}
    np.savez(os.path.join(folder, "final.npz"), seconds=seconds, **weights)
    os._exit(0)  # whatever the timer has left


def process(folder, after=0.0):
    """Exit status of a training in a process of its own."""
    command = [sys.executable, __file__, f"--folder={folder}"]
    return subprocess.run([*command, f"--after={after}"]).returncode


def compare(folder, expected):
    """Prints whether a run ended as the uninterrupted one."""
    final = np.load(os.path.join(folder, "final.npz"))
    difference = max(
        np.abs(final[path] - expected[path]).max()
        for path in expected.files
        if path != "seconds"
    )
    verdict = "equal" if difference <= TOLERANCE else "DIFFERENT"
    print(f"run ended: {verdict}, largest difference {difference:.1e}")
    return difference <= TOLERANCE


def main(_):
    if FLAGS.folder:
        return train(FLAGS.folder, FLAGS.after)
    moments = random.Random(FLAGS.seed)
    with tempfile.TemporaryDirectory() as whole:
        if process(whole):
            sys.exit("The uninterrupted run failed.")
        expected = np.load(os.path.join(whole, "final.npz"))
        seconds = float(expected["seconds"])
        kills, right = 0, True
        while kills < FLAGS.kills:
            with tempfile.TemporaryDirectory() as folder:
                status = None
                while status != 0:
                    after = moments.uniform(0, seconds)
                    if kills == FLAGS.kills:
                        after = 0.0  # to the end
                    status = process(folder, after)
                    if status == -signal.SIGKILL:
                        kills += 1
                        print(f"kill {kills}: {after:.2f} s into `fit`")
                    elif status:
                        sys.exit(f"A resumed run failed: status {status}.")
                right &= compare(folder, expected)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    app.run(main)
