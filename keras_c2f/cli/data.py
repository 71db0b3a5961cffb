"""Commands that inspect data or prepare them."""

import dataclasses

from keras_c2f.cli.recipe import (
    add_options,
    add_recipe,
    data_and_recipe,
    print_data,
    recipe_of,
    require_for,
)
from keras_c2f.resolution import LARGEST_FACTOR, Resolution
from keras_c2f.training.choices import choose
from keras_c2f.training.facts import find_facts
from keras_c2f.training.recipe import parse_pair
from keras_c2f.utils.values import Choice, Folder, Number, Part, add_option

GEOMETRY = ("clip_seconds", "backbone", "patch_size")
METHODS = Choice(("pool", "pool:max", "shift"))


def add_commands(add):
    """Adds the commands of this module; see `cli.parse`."""
    command = add(show_data)
    add_option(command, "out", Folder(), "folder to write", required=True)
    add_recipe(command, chooses=True)
    command = add(prepare)
    add_option(command, "out", Folder(), "folder to write", required=True)
    add_option(
        command,
        "store",
        Choice(("waveform", "log_mel")),
        "waveform, 16 bits at the model's rate, or log_mel, of the model's "
        "front end in float16",
        "waveform",
    )
    count = Number(int, at_least=1, at_most=1_000_000)
    add_option(command, "clips_per_shard", count, "in each file", 512)
    add_option(
        command,
        "workers",
        Number(int, at_least=1, at_most=1000),
        "threads; default: one per core",
    )
    add_option(
        command,
        "shard",
        Part(),
        "write but this part of the files, from 0/COUNT on; "
        "several processes or machines may do so at once, and the same "
        "command without --shard finishes",
        metavar="INDEX/COUNT",
    )
    add_options(command, ("data", "held_out", "backbone"))
    add_recipe(add(stats), chooses=True)
    command = add(probe)
    command.add_argument(
        "--factors",
        default="1,2,4,8,16",
        help="compression factors C (default: %(default)s)",
    )
    add_option(command, "method", METHODS, "pool, pool:max or shift", "pool")
    add_option(command, "max_clips", count, "clips to use at most", 1000)
    names = ("data", "held_out", "num_frames", "on_error", "seed", *GEOMETRY)
    add_options(command, names, chosen=GEOMETRY)


def show_data(arguments):
    """Writes a page with the network's input in each phase."""
    clips, recipe, _ = data_and_recipe(arguments, "matplotlib", "jinja2")
    from keras_c2f.report import write_data_page
    from keras_c2f.training.from_recipe import spend_budget

    recipe = spend_budget(recipe)
    print(f"Page: {write_data_page(arguments.out, recipe, clips)}")


def prepare(arguments):
    """Decodes a data set once into shards; train with prepared:FOLDER.

    Returns 1 if some files could not be used; a part does not, or what runs
    it would try again.
    """
    from keras_c2f.data.prepare import prepare

    recipe = recipe_of(arguments)
    require_for(recipe.data)
    clips = recipe.open_data()
    print_data(clips)
    bad = prepare(
        clips,
        arguments.out,
        recipe.frontend,
        arguments.store,
        arguments.clips_per_shard,
        arguments.workers,
        arguments.shard,
    )
    for _, path, reason in bad:
        print(f"skipped {path}: {reason}")
    if arguments.shard:
        index, count = arguments.shard
        print(
            f"Part {index} of 0 to {count - 1} is written. After the others, "
            "the same command without --shard finishes."
        )
        return 0
    print(f"Prepared: train with --data=prepared:{arguments.out}")
    if bad:
        print(f"{len(bad)} files left out: {arguments.out}/bad_files.csv")
    return int(bool(bad))


def stats(arguments):
    """Prints mean and standard deviation of the training log-mel."""
    clips, recipe, _ = data_and_recipe(arguments)
    from keras_c2f.data import feature_moments
    from keras_c2f.training.from_recipe import make_pipeline, spend_budget

    recipe = spend_budget(recipe)
    pipeline = make_pipeline(recipe, recipe.frontend)
    resolutions = ["full", *(str(p.resolution) for p in recipe.phases)]
    resolutions = list(dict.fromkeys(resolutions))
    found = feature_moments(pipeline, clips[0], resolutions)
    if not found:
        raise ValueError(pipeline.no_usable_audio())
    full = found[0]
    columns = "{:<18}{:>12}{:>12}{:>24}"
    print(columns.format("resolution", "mean", "std", "standard error of mean"))
    for name, row in zip(resolutions, found, strict=True):
        numbers = (row.mean, row.std, row.standard_error)
        print(columns.format(name, *(f"{n:.7f}" for n in numbers)))
    print(
        f"{full.num_clips} clips of {recipe.frames(pipeline.frontend)} frames, "
        f"{full.padded:.1%} of them padding, which counts as in AST."
    )
    print(
        "Train with the full resolution's, which serve every phase: "
        f"--mean={full.mean:.7f} --std={full.std:.7f}"
    )
    for path, reason in pipeline.skipped:
        print(f"skipped {path}: {reason}")


def probe(arguments):
    """Estimates how coarse phases may be, without training."""
    factors = _factors(arguments.factors)
    recipe = recipe_of(arguments)
    require_for(recipe.data)
    clips = recipe.open_data()
    from keras_c2f.models import preset_patch
    from keras_c2f.probe import probe
    from keras_c2f.training.from_recipe import make_pipeline

    frontend = recipe.frontend
    given = {n: v for n, v in vars(arguments).items() if v is not None}
    seconds = given.get("clip_seconds")
    chosen = choose(
        find_facts(clips[0], frontend, recipe.backbone, seconds=seconds), given
    )
    settings = {name: chosen[name][0] for name in GEOMETRY if name in chosen}
    recipe = dataclasses.replace(recipe, **settings)
    # Frames of padding, to whole patches, would say nothing.
    samples = int(recipe.clip_seconds * frontend.sample_rate)
    frames = recipe.num_frames or max(frontend.num_frames(samples), 1)
    recipe = dataclasses.replace(recipe, num_frames=frames)
    print_data(clips)
    pipeline = make_pipeline(recipe, frontend)
    options = (factors, arguments.method, arguments.max_clips, recipe.seed)
    report = probe(pipeline, clips[0], *options)
    print(report)
    patch = (parse_pair(recipe.patch_size) or preset_patch(recipe.backbone))[0]
    factor = Resolution.parse(report.schedule.partition(",")[0]).factor
    if report.is_conclusive and 1 < factor and frames < factor * patch:
        print(
            f"But at C = {factor} clips of {frames} frames have not one whole "
            f"patch of {patch}, and would be padded. Give a shorter "
            "--patch-size, or --factors up to "
            f"{max(frames // patch, 1)}."
        )
    for path, reason in pipeline.skipped:
        print(f"skipped {path}: {reason}")


def _factors(text):
    """`"1,2,4"` -> `[1, 2, 4]`."""
    try:
        factors = [int(factor) for factor in text.split(",")]
    except ValueError:
        factors = [0]
    if not all(1 <= factor <= LARGEST_FACTOR for factor in factors):
        raise ValueError(
            f"`factors` are whole numbers from 1 to {LARGEST_FACTOR:,}, such "
            f"as 1,2,4. Received: factors={text!r}."
        )
    return factors
