"""The command that scores a trained run."""

import dataclasses
import os
import re

from keras_c2f.cli.recipe import data_of_run, require_for
from keras_c2f.recipes import Recipe
from keras_c2f.run_folder import read_json, write_evaluation
from keras_c2f.values import Number, Text, add_option

ALL = "all"  # of the parts of a data set


def add_commands(add):
    """Adds the command of this module; see `cli.parse`."""
    command = add(evaluate)
    add_option(
        *(command, "run", Text(wanted=True), "folder of a trained run"),
        required=True,
    )
    command.add_argument(
        "--data",
        help="another data set, of which the part to validate on is scored; "
        "see train --help",
    )
    command.add_argument(
        "--held_out",
        default="",
        help="which part that is, of the run's own data too; see train "
        "--help; or all: with it those that are there to train on, to score "
        "a whole folder",
    )
    add_option(
        command,
        "crops",
        Number(int, at_least=1, at_most=1000),
        "windows of clip_seconds to hear of a longer clip, spread evenly; "
        "their probabilities are averaged; 1: its start alone",
        1,
    )
    command.add_argument(
        "--corrupt",
        metavar="TEXT,...",
        help="changes each sound before it is heard, and prints a line for "
        "each change: noise:DB, pink, at this signal-to-noise ratio; "
        "reverb:SECONDS, a room of this RT60; codec:mp3, codec:ogg, "
        "codec:mulaw (telephone); speed:FACTOR; gain:DB; or several of them "
        "joined by +",
    )


def evaluate(arguments):
    """Scores a trained run on a data set, by default its own validation."""
    from keras_c2f.data import Corruption

    texts = arguments.corrupt.split(",") if arguments.corrupt else []
    corruptions = [Corruption(text.strip()) for text in texts]
    own = data_of_run(arguments.run)
    require_for(arguments.data or own)
    from keras_c2f.evaluation import evaluate
    from keras_c2f.evaluation_table import (
        absent_classes,
        evaluation_line,
        evaluation_table,
    )
    from keras_c2f.from_recipe import make_pipeline
    from keras_c2f.run_clips import trained_on
    from keras_c2f.trained_run import read_trained_run

    trained = read_trained_run(arguments.run)
    folder, config = trained.folder, trained.config
    recipe = Recipe(**{**config["recipe"], "on_error": "skip"})
    pipeline = make_pipeline(recipe, trained.frontend)
    recipe, clips = _clips_to_score(arguments, recipe, trained)
    known = trained_on(folder, clips)
    for line in known[1]:
        print(line)
    clips = _with_classes_of(config, clips, recipe.data)
    written, width = [], max(map(len, texts), default=0)
    for corruption in corruptions or [None]:
        summary, classes = evaluate(
            trained.network, pipeline, clips, arguments.crops, corruption
        )
        name = _evaluation_name(arguments, corruption)
        path = os.path.join(folder, f"{name}.json")
        kept = {"data": recipe.data, "skipped": pipeline.skipped}
        if known[0]:
            kept["num_trained_on"] = len(known[0])
            if arguments.held_out != ALL:
                kept["trained_on"] = known[0]
        absent = absent_classes(classes)
        if absent:
            kept["absent_classes"] = absent
        if corruption:
            kept["corruption"] = str(corruption)
            print(f"{corruption.text:<{width}}  {evaluation_line(summary)}")
        else:
            print(evaluation_table(summary, classes))
        if name == "evaluation" and os.path.exists(path):
            kept = read_json(path)  # with what training skipped
        write_evaluation(folder, {**kept, **summary}, classes, name)
        written.append(f"Written: {path}, and each class in {name}.csv")
    for path, reason in pipeline.skipped:
        print(f"skipped {path}: {reason}")
    print("\n".join(written))


def _clips_to_score(arguments, recipe, trained):
    """The recipe of what is scored, and the clips held out, or all of them.

    The part of the run's own data that is scored by itself has to be that of
    the training: its score takes the place of the training's.
    """
    from keras_c2f.data.readers.specification import same_data
    from keras_c2f.run_clips import refuse_changed_clips

    more = trained.config["class_names"]
    if not arguments.data and not arguments.held_out:
        clips = recipe.open_data(more)[1]
        refuse_changed_clips(
            trained.folder,
            trained.config,
            recipe,
            {"validation": clips},
            f"score them as they are: --data={recipe.data}",
        )
        return recipe, clips
    data = arguments.data or recipe.data
    own = recipe.held_out if same_data(data, recipe.data) else ""
    part = arguments.held_out or own
    opened = own if part == ALL else part
    recipe = dataclasses.replace(recipe, data=data, held_out=opened)
    train, clips = recipe.open_data(more)
    if part == ALL:
        clips = train.joined(clips)
    return recipe, clips


def _with_classes_of(config, clips, data):
    """The clips with the classes of a run, if their labels are among them."""
    if clips.note:
        print(clips.note)
    if clips.multi_label != config["multi_label"]:
        kinds = {True: "any number of labels", False: "one label"}
        raise ValueError(
            f"A clip of {data} has {kinds[clips.multi_label]}; the run "
            f"was trained on clips with {kinds[config['multi_label']]}."
        )
    try:
        return clips.with_classes(config["class_names"])
    except ValueError as error:
        raise ValueError(f"{data}: {error}") from None


def _evaluation_name(arguments, corruption):
    """`evaluation` of a run's own data; other scores do not replace these."""
    parts = [arguments.data, arguments.held_out]
    if arguments.crops > 1:
        parts.append(f"{arguments.crops} crops")
    name = re.sub(r"\W+", "_", " ".join(["evaluation", *filter(None, parts)]))
    if not corruption:
        return name
    # signs and points stay: -5 dB is not 5 dB
    return f"{name}_{corruption}".replace(":", "_")
