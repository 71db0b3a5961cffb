"""Commands that put a trained run to use."""

import csv
import os
import re
import sys
from pathlib import Path

FORMATS = ("text", "csv", "json")
STANDARD_INPUT = "-"
BLOCK_SECONDS = 0.1  # read at once from a microphone


def add_commands(add):
    """Adds the commands of this module; see `cli.parse`."""
    from keras_c2f.export.formats import FORMATS as EXPORTS
    from keras_c2f.export.formats import VARIANTS

    command = add(predict)
    command.add_argument(
        "--run",
        required=True,
        help="folder of a trained run, or a file that export wrote",
    )
    command.add_argument(
        "--top",
        type=int,
        default=3,
        help="likeliest classes to print, 0 for all (default: 3)",
    )
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
        help="csv and json have each window by itself",
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
    command.add_argument(
        "--out",
        help="folder to write (default: export, beside the run's model.keras)",
    )
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

    Returns 1 if some sounds could not be read, or not to their end.
    """
    from keras_c2f.inference import find_sounds, load_classifier
    from keras_c2f.report.plots import import_matplotlib

    from_input = arguments.sounds == [STANDARD_INPUT]
    if arguments.timeline:
        if from_input:
            raise ValueError("--timeline draws files, not standard input.")
        import_matplotlib()  # if it is missing, say so before hearing
    paths = [] if from_input else sum(map(find_sounds, arguments.sounds), [])
    classifier = load_classifier(arguments.run)
    printer = Printer(classifier.info, arguments)
    if from_input:
        return _listen_to_input(classifier, arguments.overlap, printer)
    return _listen_to_files(classifier, paths, arguments, printer)


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
        """Prints windows of one sound, at least one."""
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


def _listen_to_files(classifier, paths, arguments, printer):
    from keras_c2f.data.decode import SoundError
    from keras_c2f.inference.output import clock
    from keras_c2f.report.timeline import draw_timeline

    problems = 0
    for path in paths:
        windows = []
        try:
            for window in classifier.listen(path, arguments.overlap):
                windows.append(window)
        except SoundError as error:
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
            os.makedirs(arguments.timeline, exist_ok=True)
            name = re.sub(r"[\\/:]+", "-", path.strip("./")) + ".png"
            picture = os.path.join(arguments.timeline, name)
            names = classifier.info.class_names
            draw_timeline(windows, names, picture, os.path.basename(path))
            print(f"Picture: {picture}", file=sys.stderr)
    return int(problems > 0)


def _listen_to_input(classifier, overlap, printer):
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
    """Writes a run's classifier for telephone, server or browser."""
    from keras_c2f.export import export_run, recommended
    from keras_c2f.export.table import export_table, recommendation

    variants = None
    if arguments.variant != "all":
        variants = [name.strip() for name in arguments.variant.split(",")]
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
    if arguments.clips:
        print(export_table(rows))
    for row in rows:
        if row.get("kept", 1):
            print(f"Written: {row['file']}")
    if arguments.clips:
        print(recommendation(recommended(rows), rows))
        _write_report(arguments.run)


def _write_report(run):
    """Puts the rows into the report that the run has, if it has one."""
    from keras_c2f.report import write_report
    from keras_c2f.run_folder import find_run

    folder = Path(find_run(run)).resolve().parent
    if (folder / "report.html").exists():
        try:
            print(f"Report: {write_report(folder)}")
        except ImportError as error:
            print(error, file=sys.stderr)
