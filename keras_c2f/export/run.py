"""A trained run as files for other programs, and what each is worth."""

import os
import shutil

from keras_c2f.data.lazy import tqdm
from keras_c2f.export.classifier import at_resolution, export_classifier
from keras_c2f.export.comparison import (
    INT8_POINTS,
    compare,
    leading_windows,
    score,
)
from keras_c2f.export.formats import FORMATS
from keras_c2f.inference.classifier import classifier_of
from keras_c2f.recipes import Recipe
from keras_c2f.resolution import Resolution
from keras_c2f.run_folder import read_rows, write_rows
from keras_c2f.trained_run import read_trained_run

FOLDER, TABLE = "export", "exports.csv"
CALIBRATION_CLIPS = 128


def export_run(
    folder,
    format="litert",
    variants=None,
    out=None,
    resolution=None,
    batch_size="default",
    num_clips=400,
    num_threads=None,
):
    """Exports the classifier of a run, and measures each file beside Keras.

    Adds the rows to `exports.csv`, which `report.html` shows. A file in
    `int8` that loses more than two points is not kept; its row is.

    Args:
        folder: path of a run that `keras-c2f train` wrote.
        format: str, a key of `FORMATS`.
        variants: list of str; `None`, all that the format has.
        out: folder to write; default `export` in the run's.
        resolution: as in `export_classifier`.
        batch_size: as in `export_classifier`.
        num_clips: int, clips of the run's validation part to measure on, 0
            for none.
        num_threads: int, of the runtimes, in measuring.

    Returns:
        Pair of a list of rows and a dict. A row is a dict of `file`, `format`,
        `variant`, `resolution`, and, if measured, what `compare` returns and
        `kept`. The dict has `num_clips`, `score` of the Keras network at that
        resolution, and `metric`, what the score is.

    Raises:
        ValueError: as `export_classifier`, or if the run's data are needed
            and cannot be read.
        ImportError: if a converter is not installed, with the install line.
    """
    trained = read_trained_run(folder)
    info = trained.info
    variants = list(variants or FORMATS[format].variants)
    network, name = trained.network, "classifier"
    if resolution is not None:
        resolution = Resolution.parse(resolution)
        network = at_resolution(network, resolution)
        name += f"-{resolution}".replace(":", "_").replace("+", "-")
    clips = calibration = None
    if num_clips or "int8" in variants:
        clips = Recipe(**trained.config["recipe"]).open_data()
    if "int8" in variants:
        *calibration, _ = leading_windows(clips[0], info, CALIBRATION_CLIPS)
    out = os.fspath(out or os.path.join(trained.folder, FOLDER))
    os.makedirs(out, exist_ok=True)
    paths = export_classifier(
        network,
        trained.frontend,
        info.class_names,
        os.path.join(out, name),
        info.num_samples,
        format=format,
        variants=variants,
        multi_label=info.multi_label,
        batch_size=batch_size,
        calibration=calibration,
    )
    rows = [
        {
            "file": path,
            "format": format,
            "variant": variant,
            "resolution": str(network.resolution),
        }
        for variant, path in paths.items()
    ]
    if not num_clips:
        return rows, {"num_clips": 0}
    windows = leading_windows(clips[1], info, num_clips)
    keras_scores = classifier_of(network, trained.frontend, info).scores(
        *windows[:2]
    )
    for row in tqdm.tqdm(rows, "measuring", unit="file", leave=False):
        row |= compare(row["file"], keras_scores, windows, num_threads)
        spared = row["variant"] != "int8" or row["points_lost"] <= INT8_POINTS
        row["kept"] = int(spared)
        if not row["kept"]:
            _remove(row["file"])
    summary = {
        "num_clips": len(windows[1]),
        "score": score(windows[2], keras_scores, info.multi_label),
        "metric": "mean average precision" if info.multi_label else "accuracy",
    }
    _note(trained.folder, rows, summary)
    return rows, summary


def _note(folder, rows, summary):
    """Puts rows in place of those of the same files, behind the others."""
    path = os.path.join(folder, TABLE)
    new = {row["file"] for row in rows}
    others = [row for row in read_rows(path) if row["file"] not in new]
    before = {"keras_score": summary["score"], **summary}
    del before["score"]
    write_rows(path, [*others, *({**row, **before} for row in rows)])


def _remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        os.remove(path)
