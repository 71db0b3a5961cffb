"""The command that scores a trained run."""

import dataclasses
import os
import sys

from keras_c2f.cli.cascade import check_cascade, score_cascade
from keras_c2f.cli.recipe import data_of_run, require_for
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run_folder import evaluation_name, write_evaluation
from keras_c2f.utils.files import read_json
from keras_c2f.utils.values import Number, Text, add_option

ALL = "all"  # of the splits of a data set


def add_commands(add):
    """Adds the command of this module; see `cli.parse`."""
    command = add(evaluate)
    add_option(
        *(command, "run", Text(wanted=True), "folder of a trained run"),
        required=True,
    )
    command.add_argument(
        "--data",
        help="another data set, whose validation split is scored; "
        "see train --help",
    )
    command.add_argument(
        "--held-out",
        default="",
        help="which split that is, also of the run's own data, see train "
        "--help; or all, training clips too, to score a whole folder",
    )
    add_option(
        command,
        "crops",
        Number(int, at_least=1, at_most=1000),
        "windows of clip_seconds to score in a longer clip, spread evenly; "
        "probabilities are averaged; 1: its start alone",
        1,
    )
    command.add_argument(
        "--corrupt",
        metavar="TEXT,...",
        help="corrupts each file before it is scored, and prints a line for "
        "each corruption: noise:DB, pink, at this signal-to-noise ratio; "
        "reverb:SECONDS, a room of this RT60; codec:mp3, codec:ogg, "
        "codec:mulaw (phone band); speed:FACTOR; gain:DB; or several "
        "joined by +",
    )
    command.add_argument(
        "--cascade",
        metavar="RESOLUTION,...",
        help="looks coarsely first, and finer only when unsure, such as "
        "pool:4,full; on the run's own validation clips it is calibrated, and "
        "kept for predict and export --cascade; on other data it is scored as "
        "it is. A converted model is calibrated on --data",
    )
    add_option(
        command,
        "max_loss",
        Number(float, above=0, below=100),
        "points of accuracy (mean average precision where clips have several "
        "labels) that a cascade may lose, with 95 % confidence",
        0.5,
    )


def evaluate(arguments):
    """Scores a trained run on a data set, by default its own validation.

    Returns 1 if some scores could not be written.
    """
    from keras_c2f.audio import Corruption

    texts = arguments.corrupt.split(",") if arguments.corrupt else []
    corruptions = [Corruption(text.strip()) for text in texts]
    check_cascade(arguments, corruptions)
    own = data_of_run(arguments.run)
    require_for(arguments.data or own)
    from keras_c2f.training.trained_run import read_trained_run
    from keras_c2f.utils.folder_lock import alone_in

    trained = read_trained_run(arguments.run)
    with alone_in(trained.folder):
        return _evaluate(arguments, trained, corruptions or [None])


def _evaluate(arguments, trained, corruptions):
    from keras_c2f.evaluation.evaluate import evaluate
    from keras_c2f.evaluation.table import (
        evaluation_line,
        evaluation_table,
        resolution_table,
    )
    from keras_c2f.training.elastic_scores import score_resolutions
    from keras_c2f.training.from_recipe import make_pipeline
    from keras_c2f.training.pretrain_recipe import recipe_settings

    folder = trained.folder
    settings = recipe_settings(trained.config, folder)
    if settings.get("data") == "":
        settings["data"] = _data_for(arguments)
    recipe = Recipe(**{**settings, "on_error": "skip"})
    pipeline = make_pipeline(recipe, trained.frontend)
    recipe, clips = _clips_to_score(arguments, recipe, trained)
    known = _known_clips(arguments, folder, clips)
    clips = _with_classes_of(trained.config, clips, recipe.data)
    width = max(len(getattr(c, "text", "")) for c in corruptions)
    written, failed = [], []
    for corruption in corruptions:
        summary, classes = evaluate(
            trained.network, pipeline, clips, arguments.crops, corruption
        )
        if corruption:
            print(f"{corruption.text:<{width}}  {evaluation_line(summary)}")
        else:
            print(evaluation_table(summary, classes))
        kept = {"data": recipe.data, "skipped": pipeline.skipped, **known}
        if not corruption:
            phase, crops = recipe.phases[-1], arguments.crops
            kept |= score_resolutions(
                trained.network, pipeline, clips, phase, crops
            )
            if "resolutions" in kept:
                print(resolution_table(kept["resolutions"]))
        try:
            path = _write(arguments, folder, corruption, kept, summary, classes)
            name = os.path.basename(path).removesuffix(".json")
            written.append(f"Written: {path}, and each class in {name}.csv")
        except OSError as error:
            failed.append(str(error))
    if arguments.cascade:
        path = score_cascade(arguments, trained, pipeline, clips)
        written.append(f"Written: {path}")
    for path, reason in pipeline.skipped:
        print(f"skipped {path}: {reason}")
    for line in written:
        print(line)
    for line in failed:
        print(line, file=sys.stderr)
    return int(bool(failed))


def _data_for(arguments):
    """The data set to score a converted classifier on, which has none."""
    if not arguments.data:
        raise ValueError(
            f"{arguments.run} was converted, and has no data set of its own. "
            "Name one with --data."
        )
    return arguments.data


def _known_clips(arguments, folder, clips):
    """dict of what is to be kept of clips that the run was trained on."""
    from keras_c2f.training.run_clips import trained_on

    known, lines = trained_on(folder, clips)
    for line in lines:
        print(line)
    if not known:
        return {}
    kept = {"num_trained_on": len(known)}
    return kept if arguments.held_out == ALL else {**kept, "trained_on": known}


def _write(arguments, folder, corruption, kept, summary, classes):
    """Writes the scores under a name of their own, and returns the path."""
    from keras_c2f.evaluation.table import absent_classes

    asked = {
        "data": arguments.data or "",
        "held_out": arguments.held_out,
        "crops": arguments.crops,
        "corruption": str(corruption or ""),
    }
    name = evaluation_name(folder, **asked)
    path = os.path.join(folder, f"{name}.json")
    kept = {**asked, **kept}
    if absent := absent_classes(classes):
        kept["absent_classes"] = absent
    if name == "evaluation":
        rows = {k: v for k, v in kept.items() if k == "resolutions"}
        kept = {**(_what_training_skipped(path) or kept), **rows}
    write_evaluation(folder, {**kept, **summary}, classes, name)
    return path


def _what_training_skipped(path):
    """What `evaluation.json` held before, if it can be read."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def _clips_to_score(arguments, recipe, trained):
    """The recipe of what is scored, and the clips held out, or all of them.

    Where the run's own split is scored by itself, it has to be that of
    the training: its score takes the place of the training's.
    """
    from keras_c2f.datasets.registry import same_data
    from keras_c2f.training.run_clips import refuse_changed_clips

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
    split = arguments.held_out or own
    opened = own if split == ALL else split
    recipe = dataclasses.replace(recipe, data=data, held_out=opened)
    train, clips = recipe.open_data(more)
    if split == ALL:
        clips = train.joined(clips)
    return recipe, clips


def _with_classes_of(config, clips, data):
    """The clips with the classes of a run, if their labels are among them."""
    if clips.note:
        print(clips.note, file=sys.stderr)
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
