"""What a run folder holds: names of its files, keys of its config."""

import contextlib
import json
import math
import os
import re
import zipfile

from keras_c2f.utils.file_names import file_name
from keras_c2f.utils.files import (
    atomic_write,
    read_json,
    write_json,
    write_rows,
)

NOTES = "run.json"  # inside the `.keras` archives of a run
CONFIG_KEYS = (
    *("name", "task", "command", "recipe", "data", "schedule"),
    *("clip_seconds", "batch_size", "seed", "class_names", "multi_label"),
    *("num_train_clips", "num_validation_clips", "frontend", "model"),
    *("phases", "versions", "hardware", "digests", "head"),
    *("chosen", "baseline_gmacs"),
)
NEEDED_KEYS = ("recipe", "class_names", "clip_seconds", "frontend", "phases")


def phase_file(number):
    """Name of the file with the network at the end of a phase, from 1."""
    return f"phase-{number}.keras"


def find_run(folder):
    """The folder below `folder`, or itself, that holds a trained model.

    Raises:
        ValueError: if there is none.
    """
    for inner in ("", "coarse_to_fine"):
        if os.path.exists(os.path.join(folder, inner, "model.keras")):
            return os.path.join(folder, inner)
    raise ValueError(
        f"There is no trained model in {folder}. Give the folder that "
        "`keras-c2f train --run FOLDER` wrote, after it has finished."
    )


def read_config(folder):
    """What `config.json` of a run holds.

    Raises:
        ValueError: if it is missing or damaged, or has keys that are not
            known here.
    """
    path = os.path.join(folder, "config.json")
    advice = f"Bring back a copy of it, or delete {folder} and train again."
    if not os.path.exists(path):
        raise ValueError(f"{folder} has no config.json. {advice}")
    config = read_json(path, advice)
    if not isinstance(config, dict):
        raise ValueError(f"{path} is damaged (it holds no object). {advice}")
    refuse_unknown(config, CONFIG_KEYS, path)
    missing = [name for name in NEEDED_KEYS if name not in config]
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}. {advice}")
    return config


def refuse_unknown(found, known, where):
    """Refuses settings that another version wrote, or that are damaged.

    Args:
        found: dict.
        known: collection of str, its keys that mean something here.
        where: str, what holds them.

    Raises:
        ValueError: names the keys.
    """
    unknown = [name for name in found if name not in known]
    if unknown:
        raise ValueError(
            f"{where} has settings that this version of keras_c2f does not "
            f"know: {', '.join(map(repr, unknown))}. Use the version named "
            "there under `versions`, or delete the run and train again."
        )


def save_model(path, model, config, rows=()):
    """Saves a model whole, with metadata that show whether its folder fits.

    Args:
        path: str that ends in `.keras`.
        model: Keras model.
        config: dict, what `config.json` of the run holds.
        rows: list of dicts, its history, to go on from.
    """
    history = [  # as in a CSV
        {name: "" if value is None else str(value) for name, value in r.items()}
        for r in rows
    ]
    notes = {"config": _weighty(config), "history": history}

    def write(temporary):
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(NOTES, json.dumps(notes))

    atomic_write(path, write)


def load_model(path, advice):
    """Loads a `.keras` file whose checksums are right.

    Args:
        path: str.
        advice: str, what to do where that fails, to end the error with.

    Returns:
        Pair of the Keras model and the `notes` of `save_model`, empty where
        an earlier version saved it.

    Raises:
        ValueError: if the file is damaged, or cannot be loaded here.
    """
    import keras  # reading CSVs needs none

    damage, notes = "a checksum is wrong", {}
    try:
        with zipfile.ZipFile(path) as archive:
            if not archive.testzip():
                damage = ""
            if NOTES in archive.namelist():
                notes = json.loads(archive.read(NOTES))
    except FileNotFoundError as error:
        raise ValueError(f"There is no file {path}. {advice}") from error
    except Exception as error:  # a damaged archive may raise anything
        damage = f"{type(error).__name__}: {error}"
    if damage:
        raise ValueError(f"{path} is damaged ({damage}). {advice}")
    try:
        return keras.models.load_model(path), notes
    except Exception as error:  # of Keras, or of any layer
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{path} is intact, but cannot be loaded here "
            f"({type(error).__name__}: {reason}). Use the versions that its "
            f"config.json names. Else: {advice}"
        ) from error


def load_run_model(path, folder, advice):
    """Loads a model of a run, if `config.json` there is that of its training.

    Args:
        path: str.
        folder: path of the run.
        advice: str, see `load_model`.

    Returns:
        Pair of the Keras model and a list of dicts, the history that it was
        saved with; empty where an earlier version saved it.

    Raises:
        ValueError: if the file is damaged, or the config is that of another
            training.
    """
    model, notes = load_model(path, advice)
    _refuse_other_config(read_config(folder), notes, folder)
    return model, notes.get("history", [])


def _refuse_other_config(config, notes, folder):
    """Refuses a `config.json` that a model was not trained with.

    Args:
        config: dict, what the file holds.
        notes: dict, what `load_model` returned.
        folder: path of the run.

    Raises:
        ValueError: if values that scores or training depend on differ.
    """
    kept = dict(notes.get("config", {}))
    costs = "gmacs of phases"
    if costs in kept:  # of an earlier version one for each phase
        kept[costs] = list(dict.fromkeys(kept[costs]))
    for name, value in _weighty(config).items():
        if name in kept and kept[name] != value:
            raise ValueError(
                f"{os.path.join(folder, 'config.json')} has changed since "
                f"training: its {name} was {kept[name]!r} and is {value!r}. "
                f"Bring back a copy of it, or delete {folder} and train again."
            )


def _weighty(config):
    """What of a `config.json` no other file says, as JSON holds it."""
    names = ("class_names", "multi_label", "clip_seconds")
    kept = {name: config[name] for name in names if name in config}
    for name, value in config["frontend"].items():
        kept[f"{name} of the front end"] = value
    costs = [phase["gmacs"] for phase in config["phases"]]
    kept["gmacs of phases"] = list(dict.fromkeys(costs))
    return json.loads(json.dumps(kept))


def write_example(folder, pipeline, clips, phases):
    """Writes `example.npz`: the first of the clips at each resolution.

    Args:
        folder: path.
        pipeline: `AudioPipeline`; set to the last resolution.
        clips: `Clips`.
        phases: `PhaseSchedule`.
    """
    import numpy as np  # the command line reads names and keys alone

    clips = clips.subset([0])
    dataset, pictures = pipeline.dataset(clips), {}
    for phase in phases:
        pipeline.set_phase(phase.resolution, epoch=0)
        for features, _ in dataset:
            pictures[str(phase.resolution)] = features.numpy()[0]
    target, label = clips.target(0), "unlabelled"
    if target.any():
        label = clips.class_names[int(target.argmax())]
    atomic_write(
        os.path.join(folder, "example.npz"),
        lambda path: np.savez(path, label=label, **pictures),
    )


def write_evaluation(folder, summary, classes, name="evaluation"):
    """Writes what `evaluate` returned as `NAME.json` and `NAME.csv`.

    Args:
        folder: path.
        summary: dict. A figure that is infinite or not a number is `null` in
            the file: JSON has neither.
        classes: list of dicts, the rows of the CSV; empty where there is
            nothing to classify, and then no CSV is written.
        name: str.
    """
    summary = {
        key: None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for key, value in summary.items()
    }
    try:
        if classes:
            write_rows(os.path.join(folder, f"{name}.csv"), classes)
    finally:
        write_json(os.path.join(folder, f"{name}.json"), summary)


def evaluation_name(folder, **settings):
    """The `name` for `write_evaluation` of scores with such settings.

    `evaluation` of a run's own data; others do not replace it, nor each other.

    Args:
        folder: path of the run.
        settings: `data` and `held_out`, str; `crops`, int; `corruption`, str;
            those that the files are to note, too.
    """
    parts = [settings.get("data"), settings.get("held_out")]
    if settings.get("crops", 1) > 1:
        parts.append(f"{settings['crops']} crops")
    text = re.sub(r"\W+", "_", " ".join(["evaluation", *filter(None, parts)]))
    if settings.get("corruption"):
        # signs and points stay: -5 dB is not 5 dB
        text += f"_{settings['corruption']}".replace(":", "_")
    name = file_name(text, ".json")
    path = os.path.join(folder, name)
    if text != "evaluation" and os.path.exists(path):
        with contextlib.suppress(OSError, ValueError):
            kept = read_json(path)
            if any(kept.get(k, v) != v for k, v in settings.items() if v):
                name = file_name(text, ".json", json.dumps(settings))
    return name.removesuffix(".json")
