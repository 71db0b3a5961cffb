"""Every export of trained runs beside Keras, on real clips.

Each run is exported in a process with the backend it was trained on, at every
resolution of its schedule, in every format and variant, and scored by the
format's own runtime. One row gives the worst of all backends and resolutions.

Run time: half a minute a run and resolution, a run on each core. Expected:
float32 within 1e-4 of Keras' scores, float16 within 1e-2.

    python tools/check_exports.py --runs=runs/ast_tensorflow,runs/ast_jax
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from absl import app, flags

from keras_c2f.export import FORMATS, at_resolution, export_classifier
from keras_c2f.export.comparison import compare, leading_windows
from keras_c2f.inference.classifier import classifier_of
from keras_c2f.training.pretrain_recipe import recipe_settings
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run_folder import find_run
from keras_c2f.training.trained_run import read_trained_run
from keras_c2f.utils.environment import hardware, versions
from keras_c2f.utils.files import read_json

FLAGS = flags.FLAGS
flags.DEFINE_list("runs", [], "Folders of trained runs.")
flags.DEFINE_integer("clips", 50, "Validation clips of each to score.")
flags.DEFINE_string("one", "", "A run to print the rows of, as JSON.")

NAMES = ("largest_difference", "same_class", "points_lost")


def export_all(folder):
    """Yields a dict for each resolution, format and variant of a run."""
    trained = read_trained_run(folder)
    recipe = Recipe(**recipe_settings(trained.config, folder))
    info = trained.info
    train, validation = recipe.open_data()
    *calibration, _ = leading_windows(
        train, trained.frontend, info.num_samples, 100
    )
    windows = leading_windows(
        validation, trained.frontend, info.num_samples, FLAGS.clips
    )
    for resolution in dict.fromkeys(str(p.resolution) for p in recipe.phases):
        network = at_resolution(trained.network, resolution)
        reference = classifier_of(network, trained.frontend, info, 8)
        scores = reference.scores(*windows[:2])
        for name in FORMATS:
            with tempfile.TemporaryDirectory() as out:
                paths = export_classifier(
                    *(network, trained.frontend, info.class_names),
                    *(os.path.join(out, "a"), info.num_samples),
                    format=name,
                    variants=None,
                    calibration=calibration,
                )
                for variant, path in paths.items():
                    row = compare(path, scores, windows)
                    what = {"format": name, "variant": variant}
                    yield {**what, **{key: row[key] for key in NAMES}}


def export_elsewhere(folder):
    """Kind of model, backend, and rows of a run, exported with that backend."""
    config = read_json(os.path.join(find_run(folder), "config.json"))
    backend, model = config["versions"]["backend"], config["model"]
    kind = model["preset"]
    if model["init_from"]:
        kind += ", from SSAST"
    done = subprocess.run(
        [sys.executable, __file__, f"--one={folder}", f"--clips={FLAGS.clips}"],
        env={**os.environ, "KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        check=True,
    )
    return kind, backend, json.loads(done.stdout.splitlines()[-1])


def main(_):
    if FLAGS.one:
        print(json.dumps(list(export_all(FLAGS.one))))
        return
    worst = defaultdict(list)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(export_elsewhere, FLAGS.runs)
        for kind, backend, rows in found:
            for row in rows:
                position = kind, row["format"], row["variant"]
                worst[position].append((backend, row))
    print(f"`{' '.join(['python', *sys.argv])}`\n")
    print(", ".join(f"{name} {found}" for name, found in versions().items()))
    print(f"{hardware()}\n")
    print(f"The worst of all, on {FLAGS.clips} clips of each run.\n")
    print("| model | format | weights | trained on | exports |", end="")
    print(" largest difference of a score | same class | points lost |")
    print("|---|---|---|---|---|---|---|---|")
    for (kind, name, variant), rows in worst.items():
        backends = ", ".join(dict.fromkeys(backend for backend, _ in rows))
        rows = [row for _, row in rows]
        print(
            f"| {kind} | {name} | {variant} | {backends} | {len(rows)}", end=""
        )
        print(f" | {max(r['largest_difference'] for r in rows):.1e}", end="")
        print(f" | {min(r['same_class'] for r in rows):.1%}", end="")
        print(f" | {max(r['points_lost'] for r in rows):.1f} |")


if __name__ == "__main__":
    app.run(main)
