"""A trained run as files for other programs, and what each is worth."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Sequence
from typing import Any

from keras_c2f.export.classifier import export_classifier, refuse_cascade
from keras_c2f.export.comparison import (
    INT8_POINTS,
    compare,
    leading_windows,
    scores_of,
)
from keras_c2f.export.formats import choose_format
from keras_c2f.inference.classifier import classifier_of
from keras_c2f.inference.loading import cascade_of
from keras_c2f.phases import at_resolution
from keras_c2f.training.pretrain_recipe import recipe_settings
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run_clips import refuse_changed_clips
from keras_c2f.training.trained_run import read_trained_run
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.files import read_rows, write_rows
from keras_c2f.utils.folder_lock import alone_in
from keras_c2f.utils.optional import tqdm

FOLDER, TABLE = "export", "exports.csv"
CALIBRATION_CLIPS = 128
BATCH_SIZE = 8  # of Keras, in measuring


def export_run(
    folder: PathLike,
    format: str = "litert",
    variants: Sequence[str] | None = None,
    out: PathLike | None = None,
    resolution: str | None = None,
    batch_size: int | None = None,
    num_clips: int = 400,
    num_threads: int | None = None,
    cascade: bool = False,
) -> list[dict[str, Any]]:
    """Exports the classifier of a run, and measures each file beside Keras.

    Nobody else may train or score the run, or write to `out`, meanwhile.

    Notes the rows in `exports.csv` of the run, which its report shows when it
    is next written. A file in `int8` that loses more than two points is not
    kept; its row is.

    Args:
        folder: path of a run that `keras-c2f train` wrote.
        format: str, a key of `FORMATS`.
        variants: str or list of str; `None`, all that the format has.
        out: folder to write; default `export` beside `model.keras`.
        resolution, batch_size: as in `export_classifier`.
        num_clips: int, clips of the run's validation part to measure on; 0
            for none, and then `int8` is kept whatever it loses.
        num_threads: int, of the runtimes, in measuring.
        cascade: bool, whether the cascade is exported that `keras-c2f
            evaluate --cascade` has calibrated; see `export_classifier`.

    Returns:
        list of dicts of `file`, `format`, `variant`, `resolution`, and, if
        measured, what `compare` returns and `kept`, 1 or 0.

    Raises:
        ImportError, ValueError, RuntimeError: as `export_classifier`; also if
            the run's data are needed and cannot be read, or are to be
            measured on and have changed: see `refuse_changed_clips`; or
            if another process works in the folder.
        OSError: if a file cannot be written; those of other variants are.
        NotNotedError: if that is `exports.csv`; has the rows.
    """
    _, variants = choose_format(format, variants)
    trained = read_trained_run(folder)
    out = os.path.abspath(out or os.path.join(trained.folder, FOLDER))
    folders = dict.fromkeys(map(os.path.realpath, (trained.folder, out)))
    with contextlib.ExitStack() as stack:
        for path in folders:
            stack.enter_context(alone_in(path))
        keras, calibration, name = _chosen(trained, resolution, cascade)
        windows, others = _windows(trained, variants, num_clips)
        info = keras.info
        paths = export_classifier(
            *(trained.network, trained.frontend, info.class_names),
            *(os.path.join(out, name), info.num_samples),
            format=format,
            variants=variants,
            multi_label=info.multi_label,
            resolution=resolution,
            batch_size=batch_size,
            calibration=others,
            cascade=calibration,
        )
        text = info.resolution
        if calibration:
            text = ", ".join(calibration.resolutions)
        rows = [
            {
                "file": path,
                "format": format,
                "variant": variant,
                "resolution": text,
            }
            for variant, path in paths.items()
        ]
        if windows is not None:
            _measure(rows, keras, windows, num_threads)
        try:
            _note(trained.folder, rows)
        except OSError as error:
            raise NotNotedError(str(error), rows) from error
    return rows


class NotNotedError(OSError):
    """Exported and measured, but `exports.csv` could not be written.

    Attributes:
        rows: what `export_run` would have returned.
    """

    def __init__(self, text: str, rows: Sequence[dict[str, Any]]):
        super().__init__(text)
        self.rows = rows


def _chosen(trained, resolution, cascade):
    """What is exported: in Keras, a `Calibration` or `None`, a file name."""
    if cascade:
        found = cascade_of(trained)
        refuse_cascade(found.calibration, resolution)
        return found, found.calibration, "classifier-cascade"
    network, name = trained.network, "classifier"
    if resolution is not None:
        network = at_resolution(network, resolution)
        name += f"-{network.resolution.name}"
    info = dataclasses.replace(trained.info, resolution=str(network.resolution))
    return classifier_of(network, trained.frontend, info), None, name


def _windows(trained, variants, num_clips):
    """Windows to measure on, and to calibrate int8 with, where it is wanted."""
    clips = calibration = windows = None
    if num_clips or "int8" in variants:
        if not trained.config["recipe"]["data"]:
            raise ValueError(
                f"{trained.folder} was converted, and has no data set to "
                "measure on or to calibrate int8 with. Measure nothing, "
                "`num_clips` (--clips) of 0, and name `variants` (--variant) "
                f"other than int8. Received: num_clips={num_clips}, "
                f"variants={', '.join(variants)}."
            )
        recipe = Recipe(**recipe_settings(trained.config, trained.folder))
        clips = recipe.open_data()
    of = trained.frontend, trained.num_samples
    if num_clips:
        instead = "measure nothing: `num_clips` (--clips) of 0"
        refuse_changed_clips(
            trained.folder,
            trained.config,
            recipe,
            {"validation": clips[1]},
            instead,
        )
        windows = leading_windows(clips[1], *of, num_clips)
    if "int8" in variants:
        *calibration, _ = leading_windows(clips[0], *of, CALIBRATION_CLIPS)
    return windows, calibration


def _measure(rows, keras, windows, num_threads):
    """Compares files with Keras; removes those in int8 that lose too much."""
    scores = scores_of(keras, windows, BATCH_SIZE)
    bar = tqdm.tqdm(rows, "measuring", unit="file", leave=False, disable=None)
    for row in bar:
        row |= compare(row["file"], scores, windows, num_threads)
        stays = row["variant"] != "int8" or row["points_lost"] <= INT8_POINTS
        row["kept"] = int(stays)
        if not stays:
            _remove(row["file"])


def _note(folder, rows):
    """Puts measured rows in place of those of the same files."""
    path = os.path.join(folder, TABLE)
    written = {row["file"] for row in rows}
    kept = [row for row in read_rows(path) if row["file"] not in written]
    kept += [row for row in rows if "kept" in row]
    names = dict.fromkeys(name for row in kept for name in row)
    if kept or os.path.exists(path):
        write_rows(path, [{n: row.get(n, "") for n in names} for row in kept])


def _remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        os.remove(path)
