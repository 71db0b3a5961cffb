"""Training step, stall at a phase change, and the originals beside ours.

Run time: about ten minutes on two free cores. Prints Markdown. Expected on
a CPU: a coarse network saves at least 0.9 of the time its multiply-accumulates
promise; a phase change stalls `fit` for less than 5 s on TensorFlow and 1.5 s
on torch; TensorFlow is faster than the original (Hugging Face's AST, torch
eager): 1.6 times on Zen 5, where torch leaves AVX-512 unused, 1.1 on Zen 4.

    KERAS_BACKEND=tensorflow python tools/benchmark_training.py

Networks run in turns, so that a busy machine is fair to all. Wall clock is
the fastest turn, CPU time (all threads) the median; with `--threads=1` CPU
time hardly depends on what else is running.
"""

import os
import time
from datetime import date
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import torch
from absl import app, flags
from transformers import (
    ASTConfig,
    ASTForAudioClassification,
    ClapAudioConfig,
    ClapAudioModel,
)

from keras_c2f import AST, HTSAT, AudioClassifier, PhasedModel, PhaseScheduler
from keras_c2f.cost import PASSES, network_cost
from keras_c2f.layers import enable_fused_training
from keras_c2f.utils.environment import hardware, versions

FLAGS = flags.FLAGS
flags.DEFINE_integer("turns", 8, "Timed steps of each network.")
flags.DEFINE_integer("threads", os.cpu_count(), "Threads of every framework.")
flags.DEFINE_integer("frames", 512, "Frames of a clip; 800 beside HF's AST.")
flags.DEFINE_integer("batch_size", 16, "Clips a step; 8 beside HF's AST.")
flags.DEFINE_string("size", "tiny", "Of AST; tiny beside HF's AST.")
flags.DEFINE_string("precision", "float32", "Keras' policy, beside HF's both.")
TABLES = ("saving", "stall", "original", "hts_at", "fused", "products")
flags.DEFINE_multi_enum("table", TABLES, TABLES, "Tables to print.")

NUM_CLASSES, NUM_MEL_BINS = 50, 128
COARSE = [f"{m}:{c}" for m in ("shift", "pool", "patch") for c in (2, 4)]
flags.DEFINE_multi_string("resolution", COARSE, "Beside full resolution.")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def set_threads(backend):
    torch.set_num_threads(FLAGS.threads)
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
        tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)


def describe(backend):
    """Prints date, hardware and versions."""
    print(f"# Training on {backend}, {date.today()}\n")
    found = {**versions(), "transformers": version("transformers")}
    print(", ".join(f"{name} {number}" for name, number in found.items()))
    threads, load = FLAGS.threads, os.getloadavg()[0]
    print(f"{hardware()}, {threads} thread(s), load {load:.1f}.")


def noise(batch_size, num_frames, num_mel_bins=NUM_MEL_BINS):
    """A batch: `(log_mel, labels)`."""
    rng = np.random.default_rng(0)
    log_mel = rng.normal(size=(batch_size, num_frames, num_mel_bins))
    labels = rng.integers(0, NUM_CLASSES, batch_size)
    return log_mel.astype("float32"), labels


def classifier(num_frames, resolution="full", dtype=None, **options):
    backbone = AST.from_size(
        FLAGS.size, num_frames=num_frames, resolution=resolution, dtype=dtype
    )
    return AudioClassifier(backbone, NUM_CLASSES, dtype=dtype, **options)


def compiled(network):
    model = PhasedModel(network)
    optimizer = keras.optimizers.AdamW(1e-4, weight_decay=1e-4)
    model.compile(optimizer, LOSS)
    return model


def keras_step(network, batch_size):
    """A function that trains on one batch."""
    model = compiled(network)
    batch = noise(batch_size, *network.input_shape[1:])
    return lambda: float(model.train_on_batch(*batch))


def original_ast(num_frames):
    """The original AST in torch, of the size of ours."""
    config = AST.from_size("tiny").get_config()
    return ASTForAudioClassification(
        ASTConfig(
            hidden_size=config["width"],
            num_hidden_layers=config["depth"],
            num_attention_heads=config["num_heads"],
            intermediate_size=int(config["width"] * config["mlp_ratio"]),
            patch_size=16,
            time_stride=16,
            frequency_stride=16,
            max_length=num_frames,
            num_mel_bins=NUM_MEL_BINS,
            num_labels=NUM_CLASSES,
        )
    )


class OriginalHTSAT(torch.nn.Module):
    """The audio tower of CLAP, which is HTS-AT, and HTS-AT's head."""

    def __init__(self):
        super().__init__()
        config = ClapAudioConfig(hidden_dropout_prob=0.0)
        self.tower = ClapAudioModel(config)
        self.head = torch.nn.Conv2d(
            config.hidden_size, NUM_CLASSES, (2, 3), padding=(0, 1)
        )

    def forward(self, log_mel):
        maps = self.tower(log_mel[:, None]).last_hidden_state
        return self.head(maps).mean(dim=(2, 3))


def torch_step(model, batch, half):
    """A function that trains on one batch, eager; bfloat16 if `half`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=1e-4)

    def step():
        log_mel, labels = (torch.tensor(array).to(device) for array in batch)
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=half):
            logits = model(log_mel)
            logits = getattr(logits, "logits", logits)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def in_turns(steps):
    """`{name: (wall, cpu)}` in milliseconds; all take one step, in turns."""
    for step in steps.values():
        step(), step()  # traces and warms up
    times = {name: [] for name in steps}
    for _ in range(FLAGS.turns):
        for name, step in steps.items():
            start = time.perf_counter(), time.process_time()
            step()
            end = time.perf_counter(), time.process_time()
            times[name].append(1000 * np.subtract(end, start))
    return {
        name: (np.min(both, 0)[0], np.median(both, 0)[1])
        for name, both in times.items()
    }


def saving():
    """Prints how much of the saving in multiply-accumulates the clock sees."""
    networks = {
        name: classifier(FLAGS.frames, name, FLAGS.precision)
        for name in ("full", *FLAGS.resolution)
    }
    macs = {name: network_cost(n).macs for name, n in networks.items()}
    times = in_turns(
        {name: keras_step(n, FLAGS.batch_size) for name, n in networks.items()}
    )
    full = times["full"]
    sizes = f"{FLAGS.frames} frames, batch {FLAGS.batch_size}"
    print(f"\n## Step of AST-{FLAGS.size}, {sizes}, {FLAGS.precision}\n")
    print(
        "| resolution | GMACs a clip | MACs saved | wall ms | CPU ms "
        "| TMACs/s | wall saved / MACs saved | CPU saved / MACs saved |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, (wall, cpu) in times.items():
        rate = PASSES * macs[name] * FLAGS.batch_size / wall / 1e9
        promised = 1 - macs[name] / macs["full"]
        ratios = [
            f"{(1 - mine / whole) / promised:.2f}" if promised else ""
            for mine, whole in zip((wall, cpu), full, strict=True)
        ]
        print(f"| {name} | {macs[name] / 1e9:.3f} | {promised:.1%} |", end="")
        print(f" {wall:.1f} | {cpu:.1f} | {rate:.3g} | {' | '.join(ratios)} |")


class BatchEnds(keras.callbacks.Callback):
    """Wall clock and CPU time at the end of every batch, by epoch."""

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append([])

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # JAX would run on
        self.epochs[-1].append((time.perf_counter(), time.process_time()))


def stall():
    """Prints the time between two phases, less an ordinary step."""
    schedule = "pool:4@1, pool:2@1, full@1"
    network = classifier(
        FLAGS.frames, "pool:4", FLAGS.precision, input_kind="log_mel"
    )
    ends = BatchEnds()
    x, y = noise(4 * FLAGS.batch_size, FLAGS.frames)
    scheduler = PhaseScheduler(schedule, verbose=0)
    model = compiled(network)
    model.fit(x, y, FLAGS.batch_size, verbose=0, callbacks=[scheduler, ends])
    epochs = np.array(ends.epochs)  # (epochs, steps, wall and CPU)
    ordinary = np.median(np.diff(epochs, axis=1), axis=1)
    stalls = epochs[1:, 0] - epochs[:-1, -1] - ordinary[1:]
    print(f"\n## Stall at a phase change in one `fit`, {schedule}\n")
    print("| from | to | wall s | CPU s | ordinary step, wall ms |")
    print("|---|---|---|---|---|")
    names = [str(phase.resolution) for phase in scheduler.schedule]
    for i, (wall, cpu) in enumerate(stalls):
        row = f"| {names[i]} | {names[i + 1]} | {wall:.2f} | {cpu:.2f} |"
        print(row, f"{1000 * ordinary[i + 1, 0]:.0f} |")


def original():
    """Prints ours beside the original AST of the same sizes."""
    batch = noise(8, 800)
    steps = {}
    for name, dtype in (("", None), (", bfloat16", "mixed_bfloat16")):
        network = classifier(800, dtype=dtype)
        steps["ours" + name] = keras_step(network, 8)
        steps["original" + name] = torch_step(
            original_ast(800), batch, bool(dtype)
        )
    print("\n## Beside the original AST, tiny, 400 tokens, batch 8\n")
    print_beside(steps)


def hts_at():
    """Prints ours beside the original HTS-AT: 10 s clips, batch 4."""
    batch = noise(4, 1024, 64)
    steps = {}
    for name, dtype in (("", None), (", bfloat16", "mixed_bfloat16")):
        backbone = HTSAT.from_size("tiny", drop_path=0.0, dtype=dtype)
        network = AudioClassifier(
            backbone, NUM_CLASSES, pooling="token_semantic", dtype=dtype
        )
        steps["ours" + name] = keras_step(network, 4)
        steps["original" + name] = torch_step(
            OriginalHTSAT(), batch, bool(dtype)
        )
    print("\n## Beside the original HTS-AT, 4096 tokens, batch 4\n")
    print_beside(steps)


SMALL_NETWORKS = {  # size of AST, frames, patch, batch, precision
    "AST-tiny, 400 tokens, batch 8": ("tiny", 800, (16, 16), 8, None),
    "AST-micro, 64 tokens, batch 16": ("micro", 512, (8, 128), 16, None),
    "ast_conv, 32 tokens, batch 16, bfloat16": (
        "conv",
        256,
        (8, 128),
        16,
        "mixed_bfloat16",
    ),
}


def small_network(size, num_frames, patch_size, dtype):
    backbone = AST.from_size(
        size, num_frames=num_frames, patch_size=patch_size, dtype=dtype
    )
    return AudioClassifier(backbone, NUM_CLASSES, dtype=dtype)


def fused():
    """Prints fused training operations beside those of Keras."""
    steps = {}
    for name, (*shape, batch_size, dtype) in SMALL_NETWORKS.items():
        for kind, enabled in (("fused", True), ("Keras'", False)):
            step = keras_step(small_network(*shape, dtype), batch_size)
            steps[f"{kind}, {name}"] = set_before(step, enabled)
    print("\n## Fused training operations beside those of Keras\n")
    print_beside(steps, "fused", "Keras'")
    enable_fused_training()


def set_before(step, enabled):
    """`step` with operations fused or not: traced so, or run so if eager."""

    def run():
        enable_fused_training(enabled)
        step()

    return run


def products():
    """Prints steps beside their matrix products alone, in float32."""
    steps = {}
    for name, (*shape, batch_size, dtype) in SMALL_NETWORKS.items():
        if dtype is None:  # convolutions are no matrix products
            network = small_network(*shape, dtype)
            steps[f"step, {name}"] = keras_step(network, batch_size)
            steps[f"products, {name}"] = products_step(network, batch_size)
    times = in_turns(steps)
    print("\n## A step over its matrix products alone\n")
    print("| network | step, wall ms | over products, wall | CPU |")
    print("|---|---|---|---|")
    for name in SMALL_NETWORKS:
        if f"step, {name}" in times:
            step = times[f"step, {name}"]
            wall, cpu = np.divide(step, times[f"products, {name}"])
            print(f"| {name} | {step[0]:.0f} | {wall:.2f} | {cpu:.2f} |")


def product_shapes(network, batch_size):
    """`(count, rows, inner, columns)` of each product of a forward pass."""
    config = network.backbone.get_config()
    width, num_heads = config["width"], config["num_heads"]
    hidden = int(width * config["mlp_ratio"])
    num_tokens = network_cost(network).num_tokens
    rows, head = batch_size * num_tokens, width // num_heads
    block = [
        *((1, rows, width, columns) for columns in (3 * width, width, hidden)),
        (1, rows, hidden, width),
        (batch_size * num_heads, num_tokens, head, num_tokens),
        (batch_size * num_heads, num_tokens, num_tokens, head),
    ]
    patch = (1, rows, np.prod(config["patch_size"]), width)
    return [*block * config["depth"], patch]


def products_step(network, batch_size):
    """A function that computes the products of a training step.

    And means of them, so that none is left out by a compiler.
    """
    pairs = []
    for count, rows, inner, columns in product_shapes(network, batch_size):
        shapes = (count, rows, inner), (count, inner, columns)
        pairs.append([keras.random.normal(shape) for shape in shapes])

    def step(*pairs):
        last = len(pairs) - 1
        return [
            keras.ops.mean(product)
            for index, pair in enumerate(pairs)
            for product in training_products(*pair, is_patch=index == last)
        ]

    step = compiled_function(step)
    return lambda: [float(mean) for mean in step(*pairs)]


def training_products(left, right, is_patch):
    """The product, and those of the gradients of both factors.

    Of patches, which are the network's input, no gradient is needed.
    """
    product = keras.ops.matmul(left, right)
    yield product
    yield keras.ops.matmul(keras.ops.transpose(left, (0, 2, 1)), product)
    if not is_patch:
        yield keras.ops.matmul(product, keras.ops.transpose(right, (0, 2, 1)))


def compiled_function(function):
    """`function` as the backend trains: a graph, jitted, or eager."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return torch.no_grad()(function)


def print_beside(steps, ours="ours", original="original"):
    """Times steps named `ours...` and `original...`, and prints a table."""
    times = in_turns(steps)
    print("| network | wall ms | CPU ms | as fast, wall | as fast, CPU |")
    print("|---|---|---|---|---|")
    for name, (wall, cpu) in times.items():
        theirs = times[name.replace(ours, original)]
        print(f"| {name} | {wall:.0f} | {cpu:.0f} |", end="")
        print(f" {theirs[0] / wall:.2f} | {theirs[1] / cpu:.2f} |")


def main(_):
    backend = keras.backend.backend()
    set_threads(backend)
    describe(backend)
    functions = (saving, stall, original, hts_at, fused, products)
    tables = dict(zip(TABLES, functions, strict=True))
    for name in FLAGS.table:
        keras.utils.set_random_seed(0)
        tables[name]()


if __name__ == "__main__":
    app.run(main)
