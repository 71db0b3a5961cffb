"""Commands that put a trained run to use."""

import csv
import os
import sys

FORMATS = ("text", "csv", "json")
STANDARD_INPUT = "-"
BLOCK_SECONDS = 0.1  # read at once from a microphone


def add_commands(add):
    """Adds the commands of this module; see `cli.parse`."""
    from keras_c2f.export.formats import FORMATS as EXPORTS
    from keras_c2f.export.formats import VARIANTS

    command = add(predict)
    command.add_argument(
        "--run", help="folder of a trained run, or a file that export wrote"
    )
    command.add_argument("--top", type=int, default=3, help="classes to print")
    command.add_argument(
        "--overlap",
        type=float,
        default=0.0,
        help="share of a window that the next one hears again (default: 0)",
    )
    command.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help="csv and json have the scores of each window",
    )
    command.add_argument(
        "--timeline", metavar="FOLDER", help="draw which class was heard when"
    )
    command.add_argument(
        "sounds",
        nargs="+",
        help="files, folders of them, or - for 16-bit samples of one channel "
        "at the model's rate on standard input, as a microphone's",
    )
    command = add(export)
    command.add_argument("--run", required=True, help="folder of a trained run")
    command.add_argument(
        "--format", choices=EXPORTS, default="litert", help="(default: litert)"
    )
    command.add_argument(
        "--variant",
        default="all",
        help=f"{', '.join(VARIANTS)}, several of them with commas, or all "
        "that the format has (default)",
    )
    command.add_argument("--out", help="folder to write (default: RUN/export)")
    command.add_argument(
        "--resolution",
        help="a coarser one for a weak device, such as pool:2 (default: the "
        "one that training ended at)",
    )
    command.add_argument(
        "--batch_size",
        type=int,
        help="windows at once, 0 for any (default: 1 for litert, else any)",
    )
    command.add_argument(
        "--clips",
        type=int,
        default=400,
        help="clips of the validation part to measure on, 0 for none "
        "(default: 400)",
    )
    command.add_argument(
        "--threads", type=int, help="of the runtimes measured (default: theirs)"
    )


def predict(arguments):
    """Prints what is heard in sounds of any length, window by window.

    Returns 1 if some sounds could not be read.
    """
    from keras_c2f.data.decode import SoundError
    from keras_c2f.inference import load_classifier

    if not arguments.run:
        raise ValueError("--run names what hears: a run or an exported file.")
    classifier = load_classifier(arguments.run)
    if arguments.sounds == [STANDARD_INPUT]:
        return _listen_to_input(classifier, arguments)
    paths = _sound_files(arguments.sounds)
    heard = 0
    for number, path in enumerate(paths):
        try:
            windows = list(classifier.listen(path, arguments.overlap))
        except SoundError as error:
            if len(paths) == 1:
                raise
            print(f"skipped {error}", file=sys.stderr)
            continue
        heard += 1
        _print(path, windows, classifier.info, arguments, number == 0)
        if arguments.timeline:
            _draw(path, windows, classifier.info, arguments.timeline)
    return int(heard < len(paths))


def _sound_files(given):
    """Paths of the sounds, folders gone through by name.

    Raises:
        ValueError: if there is none.
    """
    from keras_c2f.data.readers.sound_files import sounds_below

    paths = []
    for path in given:
        found = [path]
        if os.path.isdir(path):
            below = sounds_below(path, lambda folder, base: (folder, base))
            found = sorted(below.values())
        if not found:
            raise ValueError(f"There are no sound files in {path}.")
        paths += found
    return paths


def _print(path, windows, info, arguments, is_first):
    """Prints one sound in the format that is wanted."""
    from keras_c2f.inference import output

    what = (path, windows, info.class_names, arguments.top)
    if arguments.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([output.COLUMNS] if is_first else [])
        writer.writerows(output.as_rows(*what))
    elif arguments.format == "json":
        print(output.as_json(*what))
    else:
        print(output.as_text(*what))


def _draw(path, windows, info, folder):
    from keras_c2f.inference.timeline import draw_timeline

    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(path)
    picture = os.path.join(folder, f"{name}.png")
    draw_timeline(windows, info.class_names, picture, name)
    print(f"Picture: {picture}", file=sys.stderr)


def _listen_to_input(classifier, arguments):
    """Prints each window of standard input when it has been heard."""
    import numpy as np

    from keras_c2f.inference.output import clock

    info = classifier.info
    stream = classifier.stream(arguments.overlap)
    size = 2 * max(int(BLOCK_SECONDS * info.sample_rate), 1)
    is_first = True
    while block := sys.stdin.buffer.read(size):
        samples = np.frombuffer(block[: len(block) // 2 * 2], "<i2")
        for window in stream.feed(samples.astype("float32") / 32768):
            name = f"{clock(window.start)} to {clock(window.end)}"
            _print(name, [window], info, arguments, is_first)
            sys.stdout.flush()
            is_first = False
    return 0


def export(arguments):
    """Writes a run's classifier for telephone, server or browser."""
    from keras_c2f.export import export_run, recommended
    from keras_c2f.export.table import export_table, recommendation
    from keras_c2f.report import write_report
    from keras_c2f.run_folder import find_run

    variants = None
    if arguments.variant != "all":
        variants = [name.strip() for name in arguments.variant.split(",")]
    batch_size = "default"
    if arguments.batch_size is not None:
        batch_size = arguments.batch_size or None
    rows, summary = export_run(
        arguments.run,
        arguments.format,
        variants,
        arguments.out,
        arguments.resolution,
        batch_size,
        arguments.clips,
        arguments.threads,
    )
    if not summary["num_clips"]:
        for row in rows:
            print(f"Written: {row['file']}")
        return
    print(export_table(rows, summary))
    print(recommendation(recommended(rows, summary["num_clips"]), rows))
    folder = os.path.dirname(find_run(arguments.run).rstrip("/"))
    if os.path.exists(os.path.join(folder, "report.html")):
        print(f"Report: {write_report(folder)}")
