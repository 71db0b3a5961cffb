"""Loaders of waveforms: `tf.data`, Keras' threads, a DataLoader and grain.

Run time: three minutes on two free cores. Prints Markdown. Expected: reading
WAV and FLAC is most of the work, so all loaders that use both cores come
within a factor of two of each other, and training waits for none of them.

    KERAS_BACKEND=jax python tools/benchmark_loaders.py --clips=512

Loaders run in turns. A clip is cut to 10 s and comes out as float32 with its
target, in batches of 16.
"""

import itertools
import os
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import torch
from absl import app, flags
from benchmark_pipeline import (
    FRONTEND,
    clips_per_second,
    make_audio,
    num_frames,
)

from keras_c2f import AST, AudioClassifier, PhasedModel
from keras_c2f.data import AudioPipeline, Clips, WaveformBatches, WaveformSource
from keras_c2f.utils.environment import hardware, versions
from keras_c2f.utils.packages import is_there

FLAGS = flags.FLAGS
BATCH_SIZE = 16


def tf_data(clips):
    pipeline = AudioPipeline(
        *(FRONTEND, num_frames(), BATCH_SIZE),
        outputs="waveform",
        cache_mb=0,
        clip_seconds=FLAGS.seconds,
    )
    return pipeline.dataset(clips)


def loaders(clips):
    """dict from a name to what yields batches, as often as it is asked."""
    source = WaveformSource(
        clips, FRONTEND, int(FLAGS.seconds * FRONTEND.sample_rate)
    )
    found = {
        "tf.data, AudioPipeline": tf_data(clips),
        "WaveformBatches": WaveformBatches(source, BATCH_SIZE),
        "WaveformBatches, 2 threads": threaded(source),
        "DataLoader": torch.utils.data.DataLoader(source, BATCH_SIZE),
        "DataLoader, 2 processes": torch.utils.data.DataLoader(
            source,
            BATCH_SIZE,
            num_workers=2,
            persistent_workers=True,
            multiprocessing_context="spawn",
        ),
    }
    if is_there("grain"):
        import grain

        batches = grain.MapDataset.source(source).batch(BATCH_SIZE)
        found["grain, 16 threads"] = batches.to_iter_dataset()
    return found


class Threaded:
    """What `fit` makes of a `PyDataset` with workers."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        from keras.src.trainers.data_adapters import get_data_adapter

        adapter = get_data_adapter(self.batches)
        adapter.on_epoch_begin()
        yield from adapter.get_numpy_iterator()
        adapter.on_epoch_end()


def threaded(source):
    return Threaded(WaveformBatches(source, BATCH_SIZE, workers=2))


def waiting(batches):
    """Share of an epoch of AST-micro that training waits for batches."""
    backbone = AST.from_size("micro", num_frames=num_frames() // 16 * 16)
    network = AudioClassifier(backbone, 2, "waveform", FRONTEND)
    model = PhasedModel(network)
    model.compile(
        "adamw", keras.losses.CategoricalCrossentropy(from_logits=True)
    )
    waits, steps = [], []
    for batch in itertools.islice(timed(batches, waits), 9):
        start = time.perf_counter()
        x, y = (np.asarray(part) for part in batch)
        model.train_on_batch(x, y)
        steps.append(time.perf_counter() - start)
    waits, steps = sum(waits[1:]), sum(steps[1:])  # the first one compiles
    return waits / (waits + steps)


def timed(batches, waits):
    batches = iter(batches)
    while True:
        start = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        waits.append(time.perf_counter() - start)
        yield batch


def main(_):
    print(f"# Waveforms, {FLAGS.clips} clips of {FLAGS.seconds:g} s\n")
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print(f"{hardware()}, load {os.getloadavg()[0]:.1f}.")
    with tempfile.TemporaryDirectory() as folder:
        recordings = make_audio(Path(folder))
        for kind in ("WAV", "FLAC"):
            paths = recordings[kind]
            clips = Clips(paths, np.arange(len(paths)) % 2, "ab")
            print(f"\n| {kind} | clips/s | times tf.data | training waits |")
            print("|---|---|---|---|")
            baseline = None
            for name, batches in loaders(clips).items():
                speed, _ = clips_per_second(lambda b=batches: list(b) and None)
                baseline = baseline or speed
                share = waiting(batches)
                print(f"| {name} | {speed:.0f} | ", end="")
                print(f"{speed / baseline:.2f} | {share:.1%} |", flush=True)


if __name__ == "__main__":
    app.run(main)
