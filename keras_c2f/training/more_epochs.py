"""Going on with a run that is done."""

import dataclasses
import os
import shutil

from keras_c2f.convert.published_file import CARD
from keras_c2f.phases import PhaseSchedule
from keras_c2f.training.kept_networks import best_path, kept_epoch, phase_of
from keras_c2f.training.pretrain_recipe import recipe_settings
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run_folder import find_run, read_config
from keras_c2f.utils.files import atomic_write, read_rows, write_json
from keras_c2f.utils.folder_lock import alone_in

RATE = 0.3  # peak of the learning rate, over the run's


def add_epochs(folder, epochs):
    """Appends a phase at the final resolution to a run that is done.

    It begins with the network that was kept, a new optimizer, and a learning
    rate that rises to `RATE` of the run's and falls to 0. A run that is not
    done gets none: what it was asked for before comes first.

    Args:
        folder: path of the run, or of the folder above it.
        epochs: int, of that phase.

    Returns:
        Triple of the run's folder, its `Recipe` and its config.

    Raises:
        ValueError: if there is no run to go on with, or one without epochs of
            its own: a converted model, pre-training, a frozen backbone,
            adapters, which are merged in the end.
    """
    if os.path.isfile(os.path.join(folder, CARD)):
        _refuse(folder, "was converted, and has no training to go on with")
    folder = find_run(folder)
    with alone_in(folder):
        config = read_config(folder)
        if config.get("task", "classification") != "classification":
            _refuse(folder, "is pre-trained, and has no classes")
        recipe = Recipe(**recipe_settings(config, folder))
        if recipe.freeze:
            _refuse(folder, "has a head in closed form, trained in no epochs")
        if recipe.lora:
            _refuse(folder, "has adapters, which were merged in the end")
        result = os.path.join(folder, "evaluation.json")
        if os.path.exists(result):
            rows = read_rows(os.path.join(folder, "history.csv"))
            if recipe.keep == "best":
                _keep_best(folder, kept_epoch(rows, "best", recipe.phases))
            recipe, config = _extended(recipe, config, rows, epochs)
            # in this order: a kill in between finds a run that is done
            write_json(os.path.join(folder, "config.json"), config)
            os.remove(result)
    return folder, recipe, config


def _keep_best(folder, epoch):
    """The network so far competes with those of the epochs to come."""
    kept = os.path.join(folder, "model.keras")
    path = best_path(folder, epoch - 1)
    atomic_write(path, lambda temporary: shutil.copyfile(kept, temporary))


def _extended(recipe, config, rows, epochs):
    """Recipe and config with one more phase after those of the history."""
    numbers = [phase_of(row) for row in rows]
    trained = [  # some may have ended early
        dataclasses.replace(phase, epochs=numbers.count(index))
        for index, phase in enumerate(recipe.phases, start=1)
        if index in numbers
    ]
    more = dataclasses.replace(
        trained[-1],
        epochs=epochs,
        learning_rate=RATE * recipe.learning_rate,
        optimizer="reset",
    )
    schedule = PhaseSchedule([*trained, more])
    recipe = dataclasses.replace(recipe, schedule=str(schedule), adaptive=False)
    phases = config["phases"][: len(trained)]
    phases = [
        {**known, "epochs": phase.epochs}
        for known, phase in zip([*phases, phases[-1]], schedule, strict=True)
    ]
    return recipe, {
        **config,
        "recipe": recipe.to_dict(),
        "schedule": recipe.schedule,
        "phases": phases,
    }


def _refuse(folder, what):
    raise ValueError(
        f"More epochs are for a run that was trained. {folder} {what}. Start "
        f"a training from it: --init-from={folder}."
    )
