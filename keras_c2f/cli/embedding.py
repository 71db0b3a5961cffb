"""The command that writes features of audio files."""

import os

from keras_c2f.cli.predict import (
    OVERLAP,
    OVERLAPS,
    add_model,
    path_of_model,
    runtime_of,
)
from keras_c2f.cli.recordings import Recordings, find_recordings
from keras_c2f.training.recipe import LONGEST
from keras_c2f.utils.packages import require
from keras_c2f.utils.values import Choice, Folder, Number, Text, add_option

ENDINGS = {".npz": [], ".csv": [], ".parquet": ["pyarrow"]}
POOLINGS = ("statistics", "mean", "prefix", "head")


def add_commands(add):
    """Adds the command of this module; see `cli.parse`."""
    command = add(embed)
    add_model(
        command,
        "folder of a run, or one that convert wrote, such as Whisper's "
        "encoder: --run=whisper",
        "a .keras file that export wrote: --model=classifier.keras",
    )
    add_option(
        command,
        "out",
        Text(wanted=True),
        "file to write, .npz, .csv or .parquet: --out=features.npz",
        required=True,
    )
    add_option(
        command,
        "depth",
        Number(int, at_least=0, at_most=1000),
        "tokens behind the first blocks alone, such as --depth=2; 0: behind "
        "all, with the last norm",
        0,
    )
    add_option(
        command,
        "pooling",
        Choice(POOLINGS),
        "what is kept of the tokens: statistics, their mean and deviation; "
        "mean; prefix, the mean of the prefix tokens; or head, what a "
        "classifier's head is given: --pooling=head",
        "statistics",
    )
    add_option(
        command,
        "rows",
        Choice(("file", "window")),
        "a row for each file, the mean over its windows, or for each window: "
        "--rows=window",
        "file",
    )
    add_option(command, "overlap", OVERLAP, OVERLAPS, 0.0)
    add_option(
        command,
        "clip_seconds",
        Number(float, above=0, at_most=LONGEST),
        "length of a window; shorter files are padded to it: "
        "--clip-seconds=5; default: that of training, of a converted Whisper "
        "10 s",
    )
    command.add_argument("audio", nargs="+", help="files and folders")


def embed(arguments):
    """Writes features of files: what a trained network makes of them.

    Returns 1 if a file could not be read to its end.
    """
    out = arguments.out
    ending = os.path.splitext(out)[1]
    if ending not in ENDINGS:
        raise ValueError(
            f"--out ends in {', '.join(ENDINGS)}, which says how it is "
            f"written. Received: --out={out!r}."
        )
    Folder().check("out", os.path.dirname(out) or ".")
    path = path_of_model(arguments)
    paths = find_recordings(arguments.audio)
    require("soundfile", "soxr", "tqdm", *ENDINGS[ending], *runtime_of(path))
    from keras_c2f.inference import load_embedder
    from keras_c2f.inference.feature_file import FeatureTable

    embedder = load_embedder(
        path, arguments.depth, arguments.pooling, arguments.clip_seconds
    )
    table = FeatureTable(arguments.rows == "window")
    recordings = Recordings(paths, "embedded")
    seconds = embedder.info.num_samples / embedder.info.sample_rate
    num_files = num_short = 0

    def windows_of(path):
        return embedder.windows(path, arguments.overlap)

    for name, windows in recordings.read(windows_of, show=True):
        table.add(name, windows)
        num_files += 1
        num_short += windows[-1].end < seconds
    if not num_files:
        raise ValueError(
            "None of the files could be read, so there is nothing to write."
        )
    os.makedirs(os.path.dirname(out) or ".", exist_ok=True)
    table.write(out)
    print(
        f"{num_files} files in windows of {seconds:g} s, resolution "
        f"{embedder.info.resolution}"
    )
    if num_short:
        print(
            f"{num_short} of them are shorter than a window, and padded with "
            "silence. --clip-seconds sets the length of a window."
        )
    print(
        f"Written: {out}, {len(table)} rows of {embedder.num_features} features"
    )
    return int(recordings.num_problems > 0)
