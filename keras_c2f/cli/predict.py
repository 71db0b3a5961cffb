"""Commands that put a trained run to use."""

import csv
import glob
import os
import re
import sys
from pathlib import Path

from keras_c2f.cli.recipe import data_of_run, require_for
from keras_c2f.convert.published_file import CARD
from keras_c2f.export.formats import FORMATS as EXPORTS
from keras_c2f.export.formats import VARIANTS, choose_format
from keras_c2f.resolution import Resolution
from keras_c2f.training.run_folder import find_run
from keras_c2f.utils.packages import require
from keras_c2f.utils.values import Choice, Folder, Number, Text, add_option

FORMATS = ("text", "csv", "json")
STANDARD_INPUT = "-"
COUNT = Number(int, at_least=0, at_most=1_000_000)
BLOCK_SECONDS = 0.1  # read at once from a microphone


def add_commands(add):
    """Adds the commands of this module; see `cli.parse`."""
    _add_options_of_predict(add(predict))
    _add_options_of_export(add(export))


def _add_options_of_predict(command):
    add_option(
        command,
        "run",
        Text(wanted=True),
        "folder of a trained run, or a file that export wrote",
        required=True,
    )
    add_option(
        command, "top", COUNT, "likeliest classes to print, 0 for all", 3
    )
    add_option(
        command,
        "overlap",
        Number(float, at_least=0, below=1),
        "share of a window that the next one hears again",
        0.0,
    )
    add_option(
        command,
        "format",
        Choice(FORMATS),
        "text, csv or json; the last two have each window by itself",
        "text",
    )
    add_option(
        command,
        "timeline",
        Folder(),
        "draw which class was heard when",
        metavar="FOLDER",
    )
    command.add_argument(
        "audio",
        nargs="+",
        help="files, folders of them, or - for 16-bit samples of one channel "
        "at the model's rate on standard input, as a microphone's",
    )


def _add_options_of_export(command):
    add_option(
        *(command, "run", Text(wanted=True), "folder of a trained run"),
        required=True,
    )
    formats = Choice(tuple(EXPORTS))
    add_option(command, "format", formats, str(formats), "litert")
    command.add_argument(
        "--variant",
        default="all",
        help=f"{', '.join(VARIANTS)}, several of them with commas, or all "
        "that the format has (default)",
    )
    add_option(
        command,
        "out",
        Folder(),
        "folder to write; default: export, beside the run's model.keras",
    )
    command.add_argument(
        "--resolution",
        help="a coarser one for a weak device, such as pool:2 (default: the "
        "one that training ended at)",
    )
    add_option(
        command,
        "batch_size",
        COUNT,
        "windows at once, 0 for any; default: 1 for litert, else any",
    )
    add_option(
        command,
        "clips",
        COUNT,
        "clips of the validation part to measure on, 0 for none",
        400,
    )
    add_option(
        command,
        "threads",
        Number(int, at_least=1, at_most=1000),
        "of the runtimes measured; default: theirs",
    )


def predict(arguments):
    """Prints what is heard in recordings of any length, window by window.

    Returns 1 if some recordings could not be read, or not to their end, or a
    picture could not be written.
    """
    from keras_c2f.audio.walk import look_into

    from_input = arguments.audio == [STANDARD_INPUT]
    if arguments.timeline:
        if from_input:
            raise ValueError("--timeline draws files, not standard input.")
        os.makedirs(arguments.timeline, exist_ok=True)
    _check_paths([] if from_input else arguments.audio)
    found = [] if from_input else [look_into(p) for p in arguments.audio]
    paths = [path for contents in found for path in contents.audio]
    for contents in found:
        if contents.audio != [contents.root]:
            print(contents, file=sys.stderr)
    _check_classifier(arguments.run)
    require(
        *_runtime(arguments.run),
        *([] if from_input else ["soundfile", "soxr"]),
        *(["matplotlib"] if arguments.timeline else []),
    )
    from keras_c2f.inference import load_classifier

    classifier = load_classifier(arguments.run)
    printer = Printer(classifier.info, arguments)
    if from_input:
        return _predict_stream(classifier, arguments.overlap, printer)
    return _predict_files(classifier, paths, arguments, printer)


def _check_classifier(run):
    """Refuses what no classifier can be opened from, before Keras is there."""
    if os.path.isdir(run):
        converted = os.path.exists(os.path.join(run, CARD))
        if not (converted or _is_saved_model(run)):
            find_run(run)
    elif not os.path.exists(run):
        raise ValueError(
            f"There is no file {run}. Give the folder of a run, or a file "
            "that `keras-c2f export` wrote."
        )


def _is_saved_model(folder):
    return bool(glob.glob(os.path.join(glob.escape(folder), "**/*.pb")))


def _runtime(run):
    """Packages that open a file which export wrote."""
    if os.path.isdir(run):
        return ["tensorflow"] if _is_saved_model(run) else []
    endings = {".tflite": ["ai_edge_litert"], ".onnx": ["onnxruntime"]}
    return endings.get(os.path.splitext(run)[1], [])


def _check_paths(paths):
    """Refuses to begin where a file that was named is not there."""
    for path in paths:
        if not os.path.exists(path) and "://" not in path:
            raise ValueError(f"There is no file {path!r}. Check the path.")


class Printer:
    """Prints windows in the format that is wanted."""

    def __init__(self, info, arguments):
        self._names = info.class_names
        self._format = arguments.format
        self._top = arguments.top or len(info.class_names)
        self._is_first = True

    @property
    def is_text(self):
        """bool, whether people read it."""
        return self._format == "text"

    def __call__(self, path, windows):
        """Prints windows of one recording, at least one."""
        from keras_c2f.inference import output

        what = (path, windows, self._names, self._top)
        if self._format == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerows([output.COLUMNS] if self._is_first else [])
            writer.writerows(output.as_rows(*what))
        elif self.is_text:
            print(output.as_text(*what))
        else:
            print(output.as_json(*what))
        sys.stdout.flush()
        self._is_first = False


def _predict_files(classifier, paths, arguments, printer):
    from keras_c2f.audio.decode import AudioError
    from keras_c2f.inference.output import clock
    from keras_c2f.utils.file_names import FileNames

    problems, names = 0, FileNames()
    for path in paths:
        windows = []
        try:
            for window in classifier.predict(path, arguments.overlap):
                windows.append(window)
        except AudioError as error:
            if not windows and len(paths) == 1:
                raise
            heard = "skipped"
            if windows:
                heard = f"heard to {clock(windows[-1].end)}, then"
            print(f"{heard} {error}", file=sys.stderr)
            problems += 1
        if windows:
            printer(path, windows)
        if windows and arguments.timeline:
            name = names.of(
                re.sub(r"[\\/:]+", "-", path.strip("./")), ".png", path
            )
            picture = os.path.join(arguments.timeline, name)
            problems += _draw(windows, classifier.info, picture, path)
    return int(problems > 0)


def _draw(windows, info, picture, path):
    """Draws the timeline of a file; returns 1 if it could not be written."""
    from keras_c2f.audio.audio_file import printable
    from keras_c2f.report.timeline import draw_timeline
    from keras_c2f.utils.files import atomic_write

    title = printable(os.path.basename(path))
    try:
        atomic_write(
            picture,
            lambda to: draw_timeline(windows, info.class_names, to, title),
        )
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Picture: {picture}", file=sys.stderr)
    return 0


def _predict_stream(classifier, overlap, printer):
    """Prints each window of standard input when it has been heard."""
    import numpy as np

    from keras_c2f.inference.output import clock

    def say(windows):
        for window in windows:
            when = f"{clock(window.start)} to {clock(window.end)}"
            printer(when if printer.is_text else STANDARD_INPUT, [window])

    stream = classifier.stream(overlap)
    size = 2 * max(int(BLOCK_SECONDS * classifier.info.sample_rate), 1)
    try:
        while block := sys.stdin.buffer.read(size):
            samples = np.frombuffer(block[: len(block) // 2 * 2], "<i2")
            say(stream.feed(samples.astype("float32") / 32768))
    except KeyboardInterrupt:
        pass  # the usual end of a microphone
    say(stream.finish())
    return 0


def export(arguments):
    """Writes a run's classifier for phone, server or browser.

    Returns 1 if what was measured could not be written.
    """
    variants = None
    if arguments.variant != "all":
        variants = [name.strip() for name in arguments.variant.split(",")]
    if arguments.resolution is not None:
        Resolution.parse(arguments.resolution)  # refuses what cannot be read
    data = data_of_run(arguments.run)
    packages = EXPORTS[arguments.format].packages
    if arguments.clips or variants is None or "int8" in variants:
        require_for(data, *packages)
    choose_format(arguments.format, variants)
    from keras_c2f.export import NotNotedError, export_run, recommended
    from keras_c2f.export.table import export_table, recommendation

    problem = None
    try:
        rows = export_run(
            arguments.run,
            arguments.format,
            variants,
            arguments.out,
            arguments.resolution,
            arguments.batch_size,
            arguments.clips,
            arguments.threads,
        )
    except NotNotedError as error:
        rows, problem = error.rows, error
    if arguments.clips:
        print(export_table(rows))
    for row in rows:
        if row.get("kept", 1):
            print(f"Written: {row['file']}")
    if arguments.clips:
        print(recommendation(recommended(rows), rows))
    if problem:
        print(problem, file=sys.stderr)
        return 1
    if arguments.clips:
        _write_report(arguments.run)
    return 0


def _write_report(run):
    """Puts the rows into the report that the run has, if it has one."""
    from keras_c2f.report import write_report

    folder = Path(find_run(run)).resolve().parent
    if (folder / "report.html").exists():
        try:
            print(f"Report: {write_report(folder)}")
        except ImportError as error:
            print(error, file=sys.stderr)
