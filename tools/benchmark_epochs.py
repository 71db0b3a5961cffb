"""What TensorFlow's rewriting of graphs costs and gains a small training.

Run time: three minutes. Expected: an epoch of few clips, without a network,
takes half as long again or more with it, and a step the same. `keras-c2f train`
therefore goes without (`utils.compilation.skip_graph_rewrites`).

    KERAS_BACKEND=tensorflow python tools/benchmark_epochs.py

Pairs of processes in turns, with and without. An epoch is one of 32 clips of
noise of half a second, in batches of 16; a step is one of AdamW.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
from absl import app, flags

from keras_c2f.utils.environment import hardware, versions

FLAGS = flags.FLAGS
flags.DEFINE_integer("pairs", 3, "Processes of each kind, in turns.")
flags.DEFINE_bool("rewrites", None, "Measures in this process: with, without.")
CLIPS, BATCH_SIZE, SECONDS = 32, 16, 0.5


def processor_seconds(function, repeats):
    """Median of several calls, after two."""
    seconds = []
    for _ in range(2 + repeats):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds[2:])


def epochs():
    """An epoch of a training set, and one of a set to validate on."""
    from keras_c2f import Frontend
    from keras_c2f.data import AudioPipeline, Augment, Clips

    samples = int(SECONDS * Frontend().sample_rate)
    noise = np.random.default_rng(0).normal(0, 0.1, (CLIPS, samples))
    clips = Clips(noise.astype("float32"), np.arange(CLIPS) % 2, "ab")
    pipeline = AudioPipeline(
        *(Frontend(), 48, BATCH_SIZE), augment=Augment(mixup=0.5, time_mask=16)
    )
    for name, training in (("training", True), ("validation", False)):
        dataset = pipeline.dataset(clips, training=training)
        yield (
            f"an epoch of {name}, no network",
            lambda dataset=dataset: list(dataset),
        )


def steps():
    """A step of AST-micro with 64 tokens."""
    import keras

    from keras_c2f import AST, AudioClassifier

    backbone = AST.from_size("micro", num_frames=64, patch_size=(8, 16))
    network = AudioClassifier(backbone, 2, "log_mel")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adamw", loss)
    log_mel = np.ones((32, 64, 128), "float32")
    labels = np.arange(32) % 2
    yield (
        "a step of AST-micro, 64 tokens, 32 clips",
        lambda: network.train_on_batch(log_mel, labels),
    )


def measure():
    """Prints the figures of this process."""
    from keras_c2f.utils.compilation import skip_graph_rewrites

    if not FLAGS.rewrites:
        skip_graph_rewrites()
    calls = {**dict(epochs()), **dict(steps())}
    found = {name: processor_seconds(call, 20) for name, call in calls.items()}
    print(json.dumps(found))


def main(_):
    if FLAGS.rewrites is not None:
        measure()
        return
    print("# Graphs of TensorFlow, rewritten or not\n")
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print(f"{hardware()}, load {os.getloadavg()[0]:.1f}.\n")
    figures = {"--rewrites": [], "--norewrites": []}
    for option in FLAGS.pairs * [*figures]:
        words = [sys.executable, __file__, option]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE)
        figures[option].append(json.loads(done.stdout))
    print("| processor seconds | rewritten | not | ratio |\n|---|---|---|---|")
    for name in figures["--rewrites"][0]:
        rewritten, plain = (
            statistics.median(each[name] for each in rows)
            for rows in figures.values()
        )
        ratio = plain / rewritten
        print(f"| {name} | {rewritten:.3f} | {plain:.3f} | {ratio:.2f} |")


if __name__ == "__main__":
    app.run(main)
