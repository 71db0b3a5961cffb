"""The paper's recipes, a step per phase at full size, on synthetic audio.

    python tools/try_paper_recipes.py --run runs/paper

For each data set of the study `paper`: a folder in its official layout with two
clips of noise to train on and two to validate on; then the study's own settings
for `--method`, with batches of two, an epoch a phase, in float32. It shows that
the recipe runs at its size. Prints a Markdown table; 86 million weights and
clips of 10 s take some minutes a data set on two cores.
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys

import numpy as np
import soundfile
from studies import Cell, read_study

from keras_c2f.training.recipe import Recipe
from keras_c2f.utils.environment import hardware, versions
from keras_c2f.utils.files import read_json, read_rows

SAMPLE_RATE = 16000
CLIP_SECONDS = 10
VIDEOS = [letter * 11 for letter in "abcd"]  # two to train on, two not


def write_lines(root, name, lines):
    """One list of a data set."""
    with open(os.path.join(root, name), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def write_audio(root, name):
    """Ten seconds of noise, another for each name."""
    path = os.path.join(root, "audio", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    rng = np.random.default_rng(list(name.encode()))
    noise = rng.normal(size=CLIP_SECONDS * SAMPLE_RATE)
    soundfile.write(path, 0.1 * noise, SAMPLE_RATE)


def make_audioset(root):
    """Three lists of segments, as AudioSet's."""
    write_lines(
        root,
        "class_labels_indices.csv",
        ["index,mid,display_name", "0,/m/a,Rain", "1,/m/b,Speech"],
    )
    segments = [
        f'{video}, 30.000, 40.000, "/m/{mid}"'
        for video, mid in zip(VIDEOS, "abab", strict=True)
    ]
    write_lines(root, "balanced_train_segments.csv", segments[:1])
    write_lines(root, "unbalanced_train_segments.csv", segments[1:2])
    write_lines(root, "eval_segments.csv", segments[2:])
    for video in VIDEOS:
        write_audio(root, f"{video}_30.wav")


def make_audioset20k(root):
    """The same, both clips in the balanced part."""
    make_audioset(root)
    segments = [f'{v}, 30.000, 40.000, "/m/a"' for v in VIDEOS[:2]]
    write_lines(root, "balanced_train_segments.csv", segments)


def make_vggsound(root):
    """One list with a column for the part."""
    kinds = ("rain,train", "dog,train", "rain,test", "dog,test")
    rows = [f"{v},30,{kind}" for v, kind in zip(VIDEOS, kinds, strict=True)]
    write_lines(root, "vggsound.csv", rows)
    for video in VIDEOS:
        write_audio(root, f"{video}_000030.wav")


def make_voxceleb(root):
    """Two speakers, each in both parts."""
    names = [f"id1000{1 + i % 2}/{v}/00001.wav" for i, v in enumerate(VIDEOS)]
    parts = "1122"
    lines = [f"{part} {name}" for part, name in zip(parts, names, strict=True)]
    write_lines(root, "iden_split.txt", lines)
    for name in names:
        write_audio(root, name)


def make_kinetics_sounds(root):
    """Two lists with numbers for classes."""
    lines = [f"{v}_000030_000040,10,{i % 2}" for i, v in enumerate(VIDEOS)]
    write_lines(root, "my_train.txt", lines[:2])
    write_lines(root, "my_test.txt", lines[2:])
    for video in VIDEOS:
        write_audio(root, f"{video}_000030_000040.wav")


MAKERS = {
    "audioset": make_audioset,
    "audioset20k": make_audioset20k,
    "vggsound": make_vggsound,
    "voxceleb": make_voxceleb,
    "kinetics_sounds": make_kinetics_sounds,
}


def small(cell):
    """The cell with an epoch a phase, and what two clips and a CPU allow."""
    recipe = Recipe(data=cell.data, **cell.settings)
    settings = {
        **cell.settings,
        "schedule": ", ".join(f"{r}@1" for r in recipe.resolutions),
        "budget": 0.0,
        "batch_size": 2,
        "precision": "float32",
    }
    return Cell(cell.method, cell.data, "", cell.seed, settings)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", required=True)
    study = read_study("paper")
    parser.add_argument(
        "--method", default="pool 4-2-1, 42 %", choices=list(study.methods)
    )
    parser.add_argument(
        "--data", nargs="*", default=list(study.data), choices=list(study.data)
    )
    arguments = parser.parse_args()
    lines = []
    for data in arguments.data:
        root = os.path.join(arguments.run, "made", data)
        os.makedirs(root, exist_ok=True)
        MAKERS[data](root)
        cell = small(study.cell(arguments.method, data, "", 1))
        folder = os.path.join(arguments.run, data)
        words = cell.words(data=f"{data}:{root}", run=folder)
        subprocess.run([sys.executable, "-m", "keras_c2f", *words], check=True)
        run = os.path.join(folder, "coarse_to_fine")
        history = read_rows(os.path.join(run, "history.csv"))
        config = read_json(os.path.join(run, "config.json"))
        weights = config["phases"][-1]["num_parameters"] / 1e6
        for row in history:
            lines.append(
                f"| {data} | {row['resolution']} | {row['num_tokens']} "
                f"| {float(row['gmacs']):.1f} | {weights:.1f} "
                f"| {float(row['loss']):.3f} | {float(row['seconds']):.0f} |"
            )
        losses = [float(row["loss"]) for row in history]
        if not np.isfinite(statistics.mean(losses)):
            sys.exit(f"{data}: the loss is not finite: {losses}")
    print(f"`{shlex.join(['python', *sys.argv])}`\n")
    print(", ".join(f"{k} {v}" for k, v in versions().items()), hardware())
    print(
        "\n| data | phase | tokens | GMACs a clip | million weights "
        "| loss of the step | seconds, compiling and validating too |"
    )
    print("|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
