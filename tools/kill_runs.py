"""Kills training runs at random moments, and lets each go on.

Starts `keras-c2f train` on synthesised tones, ends it with SIGKILL at a moment
drawn from the time in which a run has its folder locked (before, it imports),
starts the same command again, and so on. Every few kills the run is left to
finish and compared with one that was never interrupted: weights of
`model.keras`, history, evaluation.

With `--work` a set of kills that was interrupted itself goes on where it was.

Run time: on two free cores about 20 s a kill, half of it imports. Prints
Markdown. Expected: every run finishes, with no difference above 1e-3 (float32
sums in another order of threads), and leaves no unfinished file.

    python tools/kill_runs.py --kills=tensorflow:15,jax:5,torch:10
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import wave
import zipfile
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from absl import app, flags

from keras_c2f.utils.environment import hardware
from keras_c2f.utils.files import read_json, read_rows, write_json
from keras_c2f.utils.folder_lock import NAME

FLAGS = flags.FLAGS
flags.DEFINE_list("kills", ["tensorflow:15"], "BACKEND:NUMBER of kills.")
flags.DEFINE_integer("kills_per_run", 5, "Kills of a run before it may end.")
flags.DEFINE_integer("seed", 0, "Of the moments.")
flags.DEFINE_string("work", None, "Folder to keep; default: a temporary one.")

TOLERANCE = 1e-3  # float32 sums in another order of threads
MEASURED = {"seconds", "cpu_seconds", "joules"}
OPTIONS = (
    *("--clip-seconds=0.32", "--schedule=pool:2@2, full@2", "--batch-size=4"),
    *("--patch-size=8x128", "--depth=1", "--dropout=0.1", "--time-mask=8"),
    "--mixup=0.5",
)
COLUMNS = (
    *("backend", "kills", "of them before the first epoch was kept"),
    *("runs", "largest difference of a weight", "of the history"),
    *("of the evaluation", "left unfinished"),
)


def write_tones(folder):
    """Two classes, five files each: a low and a high tone in noise."""
    rng = np.random.default_rng(0)
    times = np.arange(5120) / 16000
    for name, hertz in (("high", 3000), ("low", 300)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(5):
            tone = 0.1 * np.sin(2 * np.pi * hertz * times)
            samples = tone + 0.01 * rng.normal(size=times.size)
            with wave.open(str(folder / name / f"{index}.wav"), "wb") as file:
                file.setparams((1, 2, 16000, 0, "NONE", ""))
                file.writeframes((32767 * samples).astype("<i2").tobytes())


def start(folder, data, backend):
    """The training as a process, its output in a file beside its folder."""
    command = [sys.executable, "-m", "keras_c2f", "train", f"--run={folder}"]
    with open(f"{folder}.log", "ab") as log:
        return subprocess.Popen(
            [*command, f"--data=folder:{data}", *OPTIONS],
            env={**os.environ, "KERAS_BACKEND": backend},
            stdout=log,
            stderr=log,
        )


def leave_no_lock(folder):
    """Removes the file that a killed run left, which locks nobody."""
    (folder / "coarse_to_fine" / NAME).unlink(missing_ok=True)


def wait_for_lock(process, folder):
    """Returns when a run has locked its folder, or has ended."""
    while process.poll() is None:
        if (folder / "coarse_to_fine" / NAME).exists():
            return
        time.sleep(0.01)


def finish(process, folder):
    """Waits for a run; raises with its last lines if it fails."""
    if process.wait():
        lines = Path(f"{folder}.log").read_text(errors="replace").splitlines()
        raise RuntimeError("\n".join([f"{folder} failed:", *lines[-20:]]))


def kill_and_finish(folder, data, backend, seconds, kills, rng):
    """Kills a run at `kills` moments, then lets it end.

    Returns:
        list of int: epochs that were kept at each kill; fewer than `kills` if
        the run ended before.
    """
    kept = []
    while len(kept) < kills:
        leave_no_lock(folder)
        process = start(folder, data, backend)
        wait_for_lock(process, folder)
        try:
            process.wait(rng.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            inner = folder / "coarse_to_fine"
            found = sorted(inner.glob("checkpoint-*.keras"))
            kept.append(int(found[-1].stem[-4:]) if found else 0)
        else:
            finish(process, folder)
            return kept
    finish(start(folder, data, backend), folder)
    return kept


def weights(folder):
    """dict from paths in the file to arrays of a run's trained network."""
    found = {}

    def note(name, entry):
        if isinstance(entry, h5py.Dataset):
            found[name] = entry[()]

    with zipfile.ZipFile(folder / "model.keras") as archive:
        content = BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(note)
    return found


def difference(one, other):
    """float, the largest between two dicts of numbers; inf if keys differ."""
    if one.keys() != other.keys():
        return np.inf
    pairs = [(np.asarray(one[key]), np.asarray(other[key])) for key in one]
    if any(a.shape != b.shape for a, b in pairs):
        return np.inf
    return max(float(np.abs(a - b).max(initial=0)) for a, b in pairs)


def history(folder):
    """dict from (row, column) to the figures that a clock does not measure."""
    return {
        (number, name): float(text or "nan")
        for number, row in enumerate(read_rows(folder / "history.csv"))
        for name, text in row.items()
        if text and name not in MEASURED | {"resolution"}
    }


def evaluation(folder):
    """dict of the numbers that `evaluation.json` holds."""
    found = read_json(folder / "evaluation.json")
    numbers = {k: v for k, v in found.items() if isinstance(v, (int, float))}
    return {**numbers, "confusion": found["confusion"]}


def compare(folder, whole):
    """Largest differences to an uninterrupted run, and names left over."""
    here, there = (path / "coarse_to_fine" for path in (folder, whole))
    differences = [
        difference(read(here), read(there))
        for read in (weights, history, evaluation)
    ]
    names = {path.name for path in here.iterdir()}
    return differences, sorted(names - {path.name for path in there.iterdir()})


def row(backend, kills, work):
    """Kills runs of one backend; the cells of its row.

    Raises:
        RuntimeError: if a run fails, ends otherwise or leaves a file over.
    """
    data, whole = work / "tones", work / f"{backend}-whole"
    progress = work / f"{backend}.json"
    if progress.exists():
        done = read_json(progress)
    else:
        done = {"seconds": seconds_of(whole, data, backend), "kept": []}
        done |= {"worst": [0.0] * 3, "left": [], "runs": 0}
    while len(done["kept"]) < kills:
        write_json(progress, done)
        folder = work / f"{backend}-{done['runs']}"
        shutil.rmtree(folder, ignore_errors=True)  # of an interrupted set
        rng = random.Random(f"{FLAGS.seed} {backend} {done['runs']}")
        wanted = min(FLAGS.kills_per_run, kills - len(done["kept"]))
        done["kept"] += kill_and_finish(
            folder, data, backend, done["seconds"], wanted, rng
        )
        differences, over = compare(folder, whole)
        done["worst"] = np.maximum(done["worst"], differences).tolist()
        done["left"] += over
        done["runs"] += 1
        what = json.dumps([backend, done["kept"], differences, over])
        print(what, file=sys.stderr, flush=True)
    write_json(progress, done)
    kept, worst, left = done["kept"], done["worst"], done["left"]
    if not (np.array(worst) <= TOLERANCE).all() or left:
        raise RuntimeError(f"{backend}: differences {worst}, left {left}.")
    counts = (backend, len(kept), kept.count(0), done["runs"])
    return (*counts, *(f"{value:.1e}" for value in worst), len(left))


def seconds_of(folder, data, backend):
    """float, how long an uninterrupted run has its folder locked."""
    shutil.rmtree(folder, ignore_errors=True)
    process = start(folder, data, backend)
    wait_for_lock(process, folder)
    began = time.monotonic()
    finish(process, folder)
    return time.monotonic() - began


def main(argv):
    wanted = [text.partition(":") for text in FLAGS.kills]
    with contextlib.ExitStack() as stack:
        work = FLAGS.work or stack.enter_context(tempfile.TemporaryDirectory())
        write_tones(Path(work) / "tones")
        print(f"`python {' '.join(sys.argv)}`\n")
        print(f"{hardware()}\n")
        print_row(COLUMNS)
        print_row(["---"] * len(COLUMNS))
        for name, _, number in wanted:
            print_row(row(name, int(number), Path(work)))


def print_row(cells):
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    app.run(main)
