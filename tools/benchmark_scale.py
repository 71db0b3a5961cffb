"""200,000 files: start-up, memory over 20,000 batches, quality of shuffling.

Run time: about ten minutes; the files are hard links to 48 audio. Expected: a
first batch within 5 s of naming the data set; memory that grows by less than
50 MB once the cache is full; an order like chance, and
workers whose parts neither overlap nor miss a clip. Needs Linux and the
TensorFlow backend; each measurement has a process of its own.

    python tools/benchmark_scale.py --classes=200 --clips_per_class=1000
"""

import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import keras
import numpy as np
import soundfile
from absl import app, flags

from keras_c2f import AST, AudioClassifier
from keras_c2f.data import AudioPipeline, Clips
from keras_c2f.datasets import open_dataset
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.utils.environment import hardware, versions

FLAGS = flags.FLAGS
flags.DEFINE_integer("classes", 200, "Number of class folders.")
flags.DEFINE_integer("clips_per_class", 1000, "Number of files in each.")
flags.DEFINE_integer("batches", 20_000, "Batches of training for memory.")
flags.DEFINE_integer("epochs", 4, "Epochs that these are spread over.")

FRONTEND = Frontend()
NUM_FRAMES = 32
BATCH_SIZE = 8
NUM_RECORDINGS = 48
SECONDS = 0.4  # a recording; a clip of 32 frames takes 0.335


def make_tree(root):
    """A folder per class of hard links, and three lists of the same files.

    Names have the eleven characters of a YouTube video, so the tree is laid
    out like AudioSet too.
    """
    recordings = make_audio(root / "_audio")
    names = [f"class_{label:04}" for label in range(FLAGS.classes)]
    rows = []
    for label, name in enumerate(names):
        folder = root / name
        folder.mkdir()
        for i in range(FLAGS.clips_per_class):
            audio = recordings[len(rows) % NUM_RECORDINGS]
            path = folder / f"{len(rows):011}{audio.suffix}"
            path.hardlink_to(audio)
            other = names[(label + i) % len(names)]
            rows.append((f"{name}/{path.name}", path.stem, {name, other}))
    write_lists(root, names, rows)


def make_audio(folder):
    """Paths of short noises, WAV and FLAC in turn."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = [
        folder / f"{i}.{('wav', 'flac')[i % 2]}" for i in range(NUM_RECORDINGS)
    ]
    for path in paths:
        noise = rng.normal(0, 0.05, int(SECONDS * FRONTEND.sample_rate))
        soundfile.write(path, noise, FRONTEND.sample_rate)
    return paths


def write_lists(root, names, rows):
    """CSV, JSON Lines and AudioSet's segments; one clip in ten validates."""
    splits = ["validation" if i % 10 == 9 else "train" for i in range(10)]
    with (root / "list.csv").open("w") as file:
        file.write("path,labels,split\n")
        for i, (path, _, labels) in enumerate(rows):
            file.write(f"{path},{';'.join(labels)},{splits[i % 10]}\n")
    with (root / "list.jsonl").open("w") as file:
        for i, (path, _, labels) in enumerate(rows):
            row = {"path": path, "labels": list(labels)}
            file.write(json.dumps({**row, "split": splits[i % 10]}) + "\n")
    with (root / "class_labels_indices.csv").open("w") as file:
        file.write("index,mid,display_name\n")
        file.writelines(f"{i},{n},{n}\n" for i, n in enumerate(names))
    parts = {"eval": rows[9::10], "balanced_train": rows[:1]}
    parts["unbalanced_train"] = [
        row for i, row in enumerate(rows) if i and i % 10 != 9
    ]
    for part, listed in parts.items():
        with (root / f"{part}_segments.csv").open("w") as file:
            file.write("# YTID, start_seconds, end_seconds, labels\n")
            for _, video, labels in listed:
                file.write(f'{video}, 0.0, 10.0, "{",".join(labels)}"\n')


def in_new_process(function, *args):
    """What `function(*args)` returns, called in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def resident_mb():
    """Resident memory of this process, MB of 2**20 bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def start_up(asked, spec, balanced):
    """Seconds of each step up to the first batch, and all but the first's
    seconds on processors; number of clips; resident MB.

    Args:
        asked: float, `time.time()` before the process began.
        spec: str, data set.
        balanced: bool, as for `AudioPipeline`.
    """
    times, processors = [asked, time.time()], time.process_time()
    train, _ = open_dataset(spec)
    times.append(time.time())
    pipeline = AudioPipeline(
        FRONTEND, NUM_FRAMES, BATCH_SIZE, balanced=balanced
    )
    dataset = pipeline.dataset(train, training=True)
    times.append(time.time())
    next(iter(dataset))
    times.append(time.time())
    processors = time.process_time() - processors
    return np.diff(times), processors, len(train), resident_mb()


def show_start_up(root):
    """Prints seconds to the first batch, reader by reader."""
    print("\nSeconds, and for the last three together those of one core.\n")
    print("| data set | process, imports | its list | pipeline", end="")
    print(" | first batch | last three | core | clips | resident MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for spec, balanced in (
        (f"folder:{root}", False),
        (f"folder:{root}", True),
        (f"csv:{root}/list.csv", False),
        (f"jsonl:{root}/list.jsonl", False),
        (f"audioset:{root}", False),
        (f"audioset:{root}", True),
    ):
        seconds, core, clips, memory = in_new_process(
            start_up, time.time(), spec, balanced
        )
        name = spec.partition(":")[0] + (", balanced" if balanced else "")
        cells = [f"{s:.2f}" for s in (*seconds, seconds[1:].sum(), core)]
        print(f"| {name} | {' | '.join(cells)} | {clips:,} | {memory:.0f} |")


class Memory(keras.callbacks.Callback):
    """Notes resident memory at some batches of a `fit`."""

    def __init__(self, every):
        super().__init__()
        self.every = every
        self.seen = 0
        self.found = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen % self.every == 0:
            self.found.append(resident_mb())


def training_memory(root, cache_mb, batches, epochs):
    """Resident MB after each quarter of an epoch, and the seconds of it all."""
    train, _ = open_dataset(f"folder:{root}")
    per_epoch = batches // epochs
    positions = np.linspace(0, len(train) - 1, per_epoch * BATCH_SIZE)
    train = train.subset(positions.astype(int))
    pipeline = AudioPipeline(
        FRONTEND, NUM_FRAMES, BATCH_SIZE, cache_mb=cache_mb
    )
    backbone = AST(num_frames=NUM_FRAMES, width=16, depth=1, num_heads=1)
    model = AudioClassifier(backbone, train.num_classes)
    model.compile("adamw", keras.losses.CategoricalCrossentropy(True))
    memory = Memory(per_epoch // 4)
    start = time.perf_counter()
    model.fit(
        pipeline.dataset(train, training=True),
        epochs=epochs,
        verbose=0,
        callbacks=[memory],
    )
    return memory.found, time.perf_counter() - start


def show_memory(root):
    """Prints resident memory over a long training run."""
    print(f"\nTraining: {FLAGS.batches:,} batches of {BATCH_SIZE}", end=" ")
    print(f"clips in {FLAGS.epochs} epochs; resident memory in MB.\n")
    ends = [f"epoch {i + 1}" for i in range(FLAGS.epochs)]
    print(f"| cache_mb | first quarter of epoch 1 | {' | '.join(ends)}", end="")
    print(" | growth after epoch 1 | minutes |")
    print("|---" * (FLAGS.epochs + 4) + "|")
    for cache_mb in (0, 512):
        found, seconds = in_new_process(
            training_memory, root, cache_mb, FLAGS.batches, FLAGS.epochs
        )
        cells = [f"{mb:.0f}" for mb in (found[0], *found[3::4])]
        growth = max(found[4:]) - found[3]
        print(f"| {cache_mb} | {' | '.join(cells)}", end="")
        print(f" | {growth:.0f} | {seconds / 60:.1f} |")


def orders(num_clips, epochs, shard=(0, 1)):
    """Clip numbers as an `AudioPipeline` gives them, an array per epoch.

    Each clip is a single sample that says its number, exact in float32.
    """
    numbers = np.arange(num_clips, dtype="float32") / 2**24
    clips = Clips(numbers[:, None], np.arange(num_clips) % 2, ("even", "odd"))
    pipeline = AudioPipeline(
        FRONTEND,
        NUM_FRAMES,
        256,
        outputs="waveform",
        clip_seconds=1 / FRONTEND.sample_rate,
        shard=shard,
    )
    dataset = pipeline.dataset(clips, training=True)
    found = []
    for _ in range(epochs):
        batches = [samples.numpy()[:, 0] for samples, _ in dataset]
        found.append((2**24 * np.concatenate(batches)).astype(int))
    return found


def show_shuffling(workers=3, batch_size=32):
    """Prints how an epoch's order compares to chance, and workers' parts."""
    num_clips = FLAGS.classes * FLAGS.clips_per_class
    first, second = in_new_process(orders, num_clips, 2)
    labels = first // FLAGS.clips_per_class
    ratio, deviation = chi_square(labels, FLAGS.classes, batch_size)
    neighbours = np.count_nonzero(np.abs(np.diff(first)) == 1)
    chance = num_clips**-0.5
    print("\n| an epoch's order | found | by chance |\n|---|---|---|")
    everyone = np.array_equal(np.sort(first), np.arange(num_clips))
    print(f"| every clip once | {everyone} | |")
    print("| correlation of place and file number | ", end="")
    print(f"{correlation(first, np.arange(num_clips)):.4f} | ±{chance:.4f} |")
    print(f"| neighbours that are neighbours as files | {neighbours} | 2 |")
    print(f"| classes in batches of {batch_size}, chi-square / df | ", end="")
    print(f"{ratio:.4f} | 1 |")
    print(f"| the same, standard deviations from it | {deviation:.1f} | ±1 |")
    print("| correlation with the next epoch | ", end="")
    print(f"{correlation(first, second):.4f} | ±{chance:.4f} |")
    print(f"| clips at the same place in it | {np.sum(first == second)} | 1 |")
    parts = [
        in_new_process(orders, num_clips, 1, (index, workers))[0]
        for index in range(workers)
    ]
    together = np.concatenate(parts)
    sizes = ", ".join(f"{len(part):,}" for part in parts)
    print(f"\n{workers} workers read {sizes} clips, ", end="")
    print(f"{len(together) - len(set(together))} of them twice; ", end="")
    print(f"{num_clips - len(set(together))} are left out ", end="")
    print(f"({num_clips % workers} should be).")


def correlation(x, y):
    return float(np.corrcoef(x, y)[0, 1])


def chi_square(labels, num_classes, batch_size):
    """Classes in batches against drawing without replacement.

    Returns:
        Pearson's statistic of the table of batches and classes over its
        degrees of freedom, and how many standard deviations that is from 1.
    """
    batches = len(labels) // batch_size
    labels = labels[: batches * batch_size]
    rows = np.repeat(np.arange(batches), batch_size)
    counts = np.zeros((batches, num_classes))
    np.add.at(counts, (rows, labels), 1)
    expected = counts.mean(axis=0)
    freedom = (batches - 1) * (num_classes - 1)
    statistic = (np.square(counts - expected) / expected).sum()
    # of fixed margins: the mean is n / (n - 1) of independent draws'
    statistic *= (len(labels) - 1) / len(labels)
    return statistic / freedom, (statistic - freedom) / (2 * freedom) ** 0.5


def main(_):
    num_clips = FLAGS.classes * FLAGS.clips_per_class
    print(f"# Scale, {num_clips:,} files in {FLAGS.classes} classes\n")
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print(f"{hardware()}, load {os.getloadavg()[0]:.1f}.")
    with tempfile.TemporaryDirectory() as folder:
        make_tree(Path(folder))
        show_start_up(folder)
        show_memory(folder)
    show_shuffling()
    print(f"\nLoad at the end {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    app.run(main)
