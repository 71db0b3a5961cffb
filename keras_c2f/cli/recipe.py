"""Recipes from the command line, and what is printed of them."""

import os
import sys
import zipfile
from dataclasses import fields, replace

from keras_c2f.convert.published_file import CARD
from keras_c2f.datasets.kinds import SYNTHETIC
from keras_c2f.training.choices import CHOSEN, choose, has_epochs
from keras_c2f.training.facts import find_facts
from keras_c2f.training.frozen import of_last_phase
from keras_c2f.training.recipe import Recipe, option_names, parse_pair
from keras_c2f.training.run_folder import find_run
from keras_c2f.utils.files import read_json
from keras_c2f.utils.packages import require
from keras_c2f.utils.suggestions import did_you_mean
from keras_c2f.utils.values import Flag, add_option, values_of


def add_options(parser, names, recipe_class=Recipe, chosen=(), **defaults):
    """Adds settings of a recipe to what a command is asked for.

    Args:
        parser: `argparse.ArgumentParser`, or a group of one.
        names: collection of str, the settings to add.
        recipe_class: `Recipe` or `PretrainRecipe`.
        chosen: collection of str, settings that are chosen where they are
            not given; their default is `None`.
        **defaults: other defaults than the recipe's.
    """
    for option in fields(recipe_class):
        if option.name not in names:
            continue
        default = defaults.get(option.name, option.default)
        text = option.metadata["help"]
        if option.name in chosen:
            text += f" (chosen from data and initial weights, else {default!r})"
            default = None
        add_option(parser, option.name, values_of(option), text, default)


def add_recipe(
    command, recipe_class=Recipe, without=(), chooses=False, **defaults
):
    """Lets a command be given the settings of a recipe.

    Args:
        command: `argparse.ArgumentParser`.
        recipe_class: `Recipe` or `PretrainRecipe`.
        without: collection of str, settings not to ask for.
        chooses: bool, whether what is not given is chosen from the data: see
            `data_and_recipe`.
        **defaults: other defaults than the recipe's.
    """
    names = set(option_names(recipe_class)) - set(without)
    group = command.add_argument_group("recipe")
    chosen = CHOSEN if chooses else ()
    add_options(group, names, recipe_class, chosen=chosen, **defaults)
    if chooses:
        add_option(
            group,
            "choose",
            Flag(),
            "choose settings that are not given from data and initial "
            "weights, and print why; else use fixed defaults",
            True,
        )


def recipe_of(arguments, recipe_class=Recipe):
    """The recipe that a command was given."""
    return recipe_class(**_given(arguments, recipe_class))


def refuse_given(arguments, option):
    """Refuses settings beside an option whose recipe is that of a run."""
    flags = [
        f"--{each.name.replace('_', '-')}"
        for each in fields(Recipe)
        if getattr(arguments, each.name) not in (None, each.default)
    ]
    if flags:
        raise ValueError(
            f"--{option.replace('_', '-')} goes by the recipe of the run. "
            f"Leave out {', '.join(flags)}, or train another run from it with "
            "--init-from."
        )


def check_initial(init_from):
    """Refuses to start from what is no model, before data are read."""
    from keras_c2f.convert.published import PUBLISHED, is_preset

    if not init_from or is_preset(init_from):
        return
    if os.path.isdir(init_from):
        find_run(init_from)
    elif os.path.exists(init_from):
        if not zipfile.is_zipfile(init_from):
            raise ValueError(
                f"{init_from} is no model that Keras saved. Give a run folder, "
                "what `keras-c2f convert` wrote, or a `.keras` file."
            )
    else:
        hint = did_you_mean(init_from, PUBLISHED)
        raise ValueError(
            "`init_from` is the folder of a run, what convert wrote, the name "
            "of a published checkpoint, or hf://user/name. There is no "
            f"{init_from!r}.{hint}"
        )


def data_of_run(run):
    """str, the data set that a run was trained on; `""` if converted."""
    if os.path.exists(os.path.join(run, CARD)):
        return ""
    path = os.path.join(find_run(run), "config.json")
    try:
        return read_json(path)["recipe"]["data"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"'{path}' does not say what the run was trained on ({error!r}). "
            "Bring back the file that `keras-c2f train` wrote."
        ) from None


def require_for(data, *packages):
    """Refuses a command whose packages are not all there.

    Args:
        data: str, its data set, as `Recipe.data`.
        *packages: str, those of the command, beside what feeds the data.
    """
    kind = data.partition(":")[0]
    readers = ["soundfile", "soxr"]
    if kind in SYNTHETIC:
        readers = ["espeakng_loader", "soxr"] if kind == "keywords" else []
    elif kind == "prepared":
        readers = []
    require("tensorflow", "tqdm", *readers, *packages)


def data_and_recipe(arguments, *packages):
    """The data of a command, and its recipe, chosen where nothing was given.

    What the data hold and what was chosen are printed. Of a backbone that
    stays as it is the schedule has the last phase alone.

    Args:
        arguments: as parsed, of a command that `chooses`.
        *packages: str, those of the command, beside what feeds the data.

    Returns:
        `(train, validation)`, the `Recipe`, and a dict from chosen settings
        to the reasons.
    """
    given = _given(arguments, Recipe)
    _refuse_before_data(given, arguments.choose)
    early = ("data", "held_out", "backbone", "init_from")
    first = Recipe(**{name: given[name] for name in early if name in given})
    check_initial(first.init_from)
    require_for(first.data, *packages)
    init_from = None
    if first.init_from and arguments.choose:
        init_from = _weights(first.init_from, given)
    if init_from and "backbone" not in given:
        first = replace(first, backbone=init_from.settings["backbone"])
    clips = first.open_data()
    print_data(clips)
    chosen = {}
    if arguments.choose:
        facts = find_facts(
            clips[0],
            first.frontend,
            first.backbone,
            init_from,
            given.get("clip_seconds"),
        )
        chosen = choose(facts, given)
    width = max(map(len, chosen), default=0)
    for name, (value, reason) in chosen.items():
        flag = name.replace("_", "-")
        print(f"--{flag:<{width}} {value!s:<12}  {reason}")
    settings = {name: value for name, (value, _) in chosen.items()}
    reasons = {name: reason for name, (_, reason) in chosen.items()}
    recipe = Recipe(**settings, **given)
    return clips, of_last_phase(recipe) if recipe.freeze else recipe, reasons


def _refuse_before_data(given, chooses):
    """Refuses settings that no data could make right."""
    for name in ("patch_size", "patch_stride"):
        parse_pair(given.get(name, ""))
    trial = dict(given)
    if chooses and "budget" in given:
        trial.setdefault("schedule", "full")
    elif chooses and "schedule" in given and not has_epochs(given["schedule"]):
        trial["budget"] = 1.0
    Recipe(**trial)


def _weights(init_from, given):
    """`Initial` of what training starts from, for a model that fits it."""
    from keras_c2f.training.initial import read_initial

    found = read_initial(init_from)
    if found and "backbone" not in found.settings and "backbone" not in given:
        raise ValueError(
            f"{init_from} holds a {found.kind}, and no --backbone is like it. "
            "Train it in Python, or start from other weights."
        )
    return found


def _given(arguments, recipe_class):
    """dict, settings that the command line has; chosen ones are `None`."""
    given = vars(arguments)
    return {
        name: given[name]
        for name in option_names(recipe_class)
        if given.get(name) is not None
    }


def print_data(clips):
    """What a data set holds, and what is missing."""
    train, validation = clips
    print(
        f"Data: {len(train)} clips to train on, {len(validation)} to validate "
        f"on, {train.num_classes or 'no'} classes"
    )
    if train.note and train.note == validation.note:
        print(f"Read: {train.note}", file=sys.stderr)
        return
    for part, data in (("To train on", train), ("To validate on", validation)):
        if data.note:
            print(f"{part}: {data.note}")


def print_costs(recipe, network, num_clips=None):
    """What each phase costs, and how much of a clip is padding.

    Args:
        recipe: `Recipe` with epochs in its schedule.
        network: of that recipe, at full resolution.
        num_clips: int, clips to train on, if known.

    Raises:
        ValueError: if phases shall be adaptive and cannot.
    """
    from keras_c2f.cost import cost_table
    from keras_c2f.phases.budget import check_rising
    from keras_c2f.training.from_recipe import baseline_cost, phase_costs

    costs = phase_costs(recipe, network)
    baseline = baseline_cost(recipe, network)
    steps_of = recipe.batch_size, num_clips
    print(cost_table(recipe.phases, costs, baseline, *steps_of))
    frontend, baseline = recipe.frontend, recipe.baseline()
    whole, padded = baseline.frames(frontend), recipe.frames(frontend)
    if whole < padded:
        print(
            f"Clips of {whole} frames are padded to {padded}, to be whole "
            "patches in each phase. The baseline, and full resolution above, "
            "have no such padding."
        )
    if recipe.adaptive:
        check_rising(recipe.phases, [cost.macs for cost in costs])
