"""The command that classifies files and streams."""

import csv
import glob
import os
import re
import sys

from keras_c2f.cli.cascade import ended_line
from keras_c2f.cli.recordings import Recordings, find_recordings
from keras_c2f.convert.published_file import CARD
from keras_c2f.training.run_folder import find_run
from keras_c2f.utils.packages import require
from keras_c2f.utils.values import Choice, Folder, Number, Text, add_option

FORMATS = ("text", "csv", "json")
STANDARD_INPUT = "-"
COUNT = Number(int, at_least=0, at_most=1_000_000)
OVERLAP = Number(float, at_least=0, below=1)
OVERLAPS = "share of a window that the next one overlaps"
BLOCK_SECONDS = 0.1  # read at once from a microphone


def add_commands(add):
    """Adds the command of this module; see `cli.parse`."""
    command = add(predict)
    add_model(
        command,
        "folder of a trained run, or one that convert wrote",
        "exported model: .tflite, .onnx or .keras file, or SavedModel folder",
    )
    add_option(
        command, "top", COUNT, "likeliest classes to print, 0 for all", 3
    )
    add_option(command, "overlap", OVERLAP, OVERLAPS, 0.0)
    add_option(
        command,
        "format",
        Choice(FORMATS),
        "text, csv or json; csv and json list every window",
        "text",
    )
    add_option(
        command,
        "timeline",
        Folder(),
        "draw a timeline of the classes of each file",
        metavar="FOLDER",
    )
    command.add_argument(
        "--cascade",
        action="store_true",
        help="look coarsely first, and finer only when unsure, as `keras-c2f "
        "evaluate --cascade` has calibrated it; an exported cascade does so "
        "by itself",
    )
    command.add_argument(
        "audio",
        nargs="+",
        help="files, folders, or - for 16-bit mono samples at the model's rate "
        "on standard input, such as a microphone's",
    )


def add_model(command, run, model):
    """Adds `--run` and `--model`, of which one is needed.

    Args:
        command: `argparse.ArgumentParser`.
        run, model: str, what each is.
    """
    group = command.add_mutually_exclusive_group(required=True)
    add_option(group, "run", Text(wanted=True), run)
    add_option(group, "model", Text(wanted=True), model)


def predict(arguments):
    """Classifies files, folders or a stream, window by window.

    Returns 1 if a file could not be read to its end, or a picture could not
    be written.
    """
    from_input = arguments.audio == [STANDARD_INPUT]
    if arguments.timeline:
        if from_input:
            raise ValueError("--timeline draws files, not standard input.")
        os.makedirs(arguments.timeline, exist_ok=True)
    paths = [] if from_input else find_recordings(arguments.audio)
    path = path_of_model(arguments)
    require(
        *runtime_of(path),
        *([] if from_input else ["soundfile", "soxr"]),
        *(["matplotlib"] if arguments.timeline else []),
    )
    from keras_c2f.inference import load_cascade, load_classifier

    of_run = arguments.cascade and arguments.run
    classifier = (load_cascade if of_run else load_classifier)(path)
    is_cascade = hasattr(classifier, "calibration")
    if arguments.cascade and not is_cascade:
        raise ValueError(
            f"{path} is not a cascade: it looks at each window once. Leave "
            "--cascade out, or export the run again with --cascade."
        )
    printer = Printer(classifier.info, arguments)
    if from_input:
        code = _predict_stream(classifier, arguments.overlap, printer)
    else:
        code = _predict_files(classifier, paths, arguments, printer)
    if is_cascade:
        print(ended_line(classifier), file=sys.stderr)
    return code


def path_of_model(arguments):
    """Path of the classifier, refused before Keras is imported if wrong."""
    run, model = arguments.run, arguments.model
    path = run or model
    if not os.path.exists(path):
        raise ValueError(f"There is no file {path}. Check the path.")
    is_export = os.path.isfile(path) or _is_saved_model(path)
    if run and is_export:
        raise ValueError(
            f"{run} is not a run folder. If it is an exported model, write "
            f"--model={run}."
        )
    if model and not is_export:
        raise ValueError(
            f"{model} is a folder without a SavedModel. Write --run={model} "
            "if a run or a converted model is in it."
        )
    if run and not os.path.exists(os.path.join(run, CARD)):
        find_run(run)
    return path


def _is_saved_model(folder):
    return bool(glob.glob(os.path.join(glob.escape(folder), "**/*.pb")))


def runtime_of(path):
    """Packages that open an exported model."""
    if os.path.isdir(path):
        return ["tensorflow"] if _is_saved_model(path) else []
    endings = {".tflite": ["ai_edge_litert"], ".onnx": ["onnxruntime"]}
    return endings.get(os.path.splitext(path)[1], [])


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
    from keras_c2f.utils.file_names import FileNames

    recordings, names = Recordings(paths, "classified"), FileNames()
    problems = 0

    def windows_of(path):
        return classifier.predict(path, arguments.overlap)

    for path, windows in recordings.read(windows_of):
        printer(path, windows)
        if arguments.timeline:
            name = names.of(
                re.sub(r"[\\/:]+", "-", path.strip("./")), ".png", path
            )
            picture = os.path.join(arguments.timeline, name)
            problems += _draw(windows, classifier.info, picture, path)
    return int(problems + recordings.num_problems > 0)


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
    """Prints each window of standard input as soon as it is complete."""
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
