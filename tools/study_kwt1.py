"""Accuracy of a trained network made coarser, without training.

    python tools/study_kwt1.py --checkpoint PATH/kwt1.npz --out FOLDER

KWT-1, trained on real words, is scored on synthesised ones at C = 1, 2, 4
without any further training. Its kernel of one frame and its 98
positions are resized in three ways each. Prints a Markdown table and writes
`kwt1.png` to the folder.

Kernel, one frame -> C frames. `pi`: pseudo-inverse, each frame a C-th of it.
`bilinear`: each frame the whole of it. `naive`: the first frame has it, zeros
follow. Positions, 98 -> 98 / C. `bilinear`; `pi`: pseudo-inverse of the
interpolation's transpose; `naive`: the first ones. Minutes on two cores.
"""

import argparse
import os
import shlex
import sys

import numpy as np

from keras_c2f.convert import load_checkpoint
from keras_c2f.datasets import synthesize_keywords
from keras_c2f.layers.resizing import kernel_matrix, resize_axes
from keras_c2f.phases import transplant
from keras_c2f.phases.transplant import weights_by_path
from keras_c2f.utils.environment import hardware, versions

FACTORS = (1, 2, 4)
WAYS = ("bilinear", "pi", "naive")
# (method, how the kernel is resized)
METHODS = [
    *(("patch", way) for way in WAYS),
    ("pool mean", None),
    ("pool max", None),
    ("shift", None),
]


def naive_matrix(old, new):
    """The first `min(old, new)` points as they are, then zeros."""
    return np.eye(new, old)


def resize(array, size, way):
    """First two axes of `array` to `size`, in one of `WAYS`."""
    if way == "naive":
        return resize_axes(array, size, naive_matrix)
    return resize_axes(array, size, lambda a, b: kernel_matrix(a, b, way))


def coarser(classifier, method, kernel_way, position_way, factor):
    """`classifier` at a coarser resolution, its weights resized as said."""
    name, _, pool_type = method.partition(" ")
    text = f"{name}:{factor}" + (f":{pool_type}" if pool_type else "")
    target = classifier.at_resolution(text if factor > 1 else "full")
    transplant(classifier, target)
    old, new = weights_by_path(classifier), weights_by_path(target)
    for path, way in (
        ("patch_embedding/kernel", kernel_way),
        ("positions/grid", position_way),
    ):
        if way is not None:
            value = np.asarray(old[path][0])
            size = tuple(new[path][0].shape[:2])
            new[path][0].assign(resize(value, size, way))
    return target


def accuracy(network, features, labels):
    """Share of clips whose highest of all twelve logits is their word's."""
    features = network.resolution.compress(features, np)
    guesses = network.predict(features, verbose=0).argmax(-1)
    return float((guesses == labels).mean())


def plot(rows, path, num_clips):
    """One panel per way with positions, one line per method."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(WAYS), figsize=(11, 3.6), sharey=True, layout="constrained"
    )
    for panel, way in zip(panels, WAYS, strict=True):
        for index, (method, kernel) in enumerate(METHODS):
            label = f"{method}, kernel {kernel}" if kernel else method
            panel.plot(
                FACTORS,
                [100 * a for a in rows[method, kernel, way]],
                marker="osv^Dx"[index],
                linestyle=("-", "--", ":")[index % 3],
                label=label,
            )
        panel.set_xscale("log", base=2)
        panel.set_xticks(FACTORS, [f"C = {c}" for c in FACTORS])
        panel.set_title(f"positions {way}")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(f"accuracy on {num_clips} clips, %")
    panels[0].set_ylim(0, 100)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right")
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="kwt1.npz")
    parser.add_argument("--out", required=True, help="folder of the plot")
    parser.add_argument("--clips_per_word", type=int, default=50)
    arguments = parser.parse_args()

    kwt = load_checkpoint(arguments.checkpoint, preset="kwt1")
    words = [name for name in kwt.class_names if not name.startswith("_")]
    _, clips = synthesize_keywords(words, 1, arguments.clips_per_word)
    features = kwt.frontend(np.stack(clips.audio))
    numbers = [kwt.class_names.index(word) for word in words]
    labels = np.array(numbers)[clips.labels]

    rows = {}
    for method, kernel in METHODS:
        for way in WAYS:
            rows[method, kernel, way] = [
                accuracy(
                    coarser(kwt.model, method, kernel, way, factor),
                    features,
                    labels,
                )
                for factor in FACTORS
            ]
    print(f"`{shlex.join(['python', *sys.argv])}`\n")
    print(", ".join(f"{k} {v}" for k, v in versions().items()), hardware())
    print(f"\n{len(labels)} clips of {len(words)} words, unseen voices\n")
    print("| compression | kernel | positions | C = 1 | C = 2 | C = 4 |")
    print("|---|---|---|---|---|---|")
    for (method, kernel, way), shares in rows.items():
        cells = " | ".join(f"{share:.1%}" for share in shares)
        print(f"| {method} | {kernel or 'as it is'} | {way} | {cells} |")
    os.makedirs(arguments.out, exist_ok=True)
    plot(rows, os.path.join(arguments.out, "kwt1.png"), len(labels))


if __name__ == "__main__":
    main()
