"""Trains in two processes of JAX, and holds the run against that of one.

Starts `keras-c2f train --distributed` twice on this machine, on synthesised
tones, through three phases; the last batch of an epoch is not whole. The two
find each other by what Slurm sets, then by the variables of Keras. Then once
more for each of the two, which is killed after the first epoch: the other has
to end within a minute with a sentence, and the same command has to go on and
end like the run that nothing broke.

Run time: 3 to 5 minutes on two free cores. Prints Markdown; fails where a loss
differs by more than 1e-5, a weight by more than 1e-4, or a process that is
left takes more than 60 s.

    python tools/check_processes.py
"""

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags
from kill_runs import compare, history, print_row, write_tones

from keras_c2f.training.devices import AGAIN, VARIABLES
from keras_c2f.utils.environment import hardware

FLAGS = flags.FLAGS
flags.DEFINE_string("folder", None, "To keep; default: a temporary one.")

OPTIONS = (
    *("--clip-seconds=0.32", "--schedule=pool:4@1, pool:2@2, full@1"),
    *("--patch-size=8x128", "--depth=1", "--batch-size=6", "--mixup=0.5"),
    *("--gain-db=6", "--no-choose"),  # masks would be each process' own
)
COLUMNS = (
    *("run", "largest difference of a loss", "of a weight"),
    *("seconds until the other ended", "epochs done before"),
)


def start(folder, data, processes, places=None):
    """The processes of one training, their output in files beside `folder`.

    Args:
        folder, data: paths.
        processes: int.
        places: function from an index to the environment variables of a
            process.
    """
    command = [sys.executable, "-m", "keras_c2f", "train", f"--run={folder}"]
    command += [f"--data=folder:{data}", *OPTIONS]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    if processes > 1:
        command.append("--distributed")
        environment["JAX_CPU_COLLECTIVES_IMPLEMENTATION"] = "gloo"
    started = []
    for index in range(processes):
        place = places(index) if places else {}
        with open(f"{folder}-{index}.log", "ab") as log:
            started.append(
                subprocess.Popen(
                    command,
                    env={**environment, **place},
                    stdout=log,
                    stderr=log,
                )
            )
    return started


def by_variables():
    """Places of two processes, as the variables of Keras say them."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    return lambda index: dict(
        zip(VARIABLES, (address, "2", str(index)), strict=True)
    )


def by_slurm():
    """Places of two processes, as `srun` says them."""
    job = str(random.randrange(10**6))  # JAX takes its port from that
    return lambda index: {
        "SLURM_JOB_ID": job,
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(index),
        "SLURM_LOCALID": str(index),
    }


def finish(processes, folder):
    """Waits for a training; raises with the last lines of one that failed."""
    for index, process in enumerate(processes):
        if process.wait():
            raise RuntimeError(f"{folder} failed:\n{last_lines(folder, index)}")


def last_lines(folder, index, number=20):
    """str, of what a process of a training printed."""
    text = Path(f"{folder}-{index}.log").read_text(errors="replace")
    return "\n".join(text.splitlines()[-number:])


def kill(processes, folder, index):
    """Kills one process after an epoch, and waits for the other.

    Returns:
        Pair of the seconds that this took and the epochs that were done.
    """
    inner = folder / "coarse_to_fine"
    while not list(inner.glob("checkpoint-*.keras")):
        if any(process.poll() is not None for process in processes):
            raise RuntimeError(last_lines(folder, index))
        time.sleep(0.05)
    processes[index].kill()
    began = time.monotonic()
    status = processes[1 - index].wait(120)
    seconds = time.monotonic() - began
    (checkpoint,) = inner.glob("checkpoint-*.keras")
    words = last_lines(folder, 1 - index, 3)
    if status == 0 or AGAIN not in words:
        raise RuntimeError(f"status {status}, and no sentence:\n{words}")
    print(words, file=sys.stderr)
    return seconds, int(checkpoint.stem[-4:])


def differences(folder, whole):
    """Largest of losses, relative, and of weights."""
    here, there = (history(path / "coarse_to_fine") for path in (folder, whole))
    losses = [
        abs(here[key] / value - 1)
        for key, value in there.items()
        if "loss" in key[1]
    ]
    (weight, _, _), over = compare(folder, whole)
    if over:
        raise RuntimeError(f"{folder} has files left over: {over}")
    return max(losses), weight


def main(argv):
    work = Path(FLAGS.folder or tempfile.mkdtemp())
    data = work / "tones"
    write_tones(data)
    print(f"`python {' '.join(sys.argv)}`\n\n{hardware()}\n")
    print_row(COLUMNS)
    print_row(["---"] * len(COLUMNS))
    finish(start(work / "one", data, 1), work / "one")
    for name, killed in (
        ("two processes under Slurm", None),
        ("process 1 killed", 1),
        ("process 0 killed", 0),
    ):
        folder = work / name.replace(" ", "-")
        seconds, epochs = 0.0, ""
        if killed is not None:
            processes = start(folder, data, 2, by_variables())
            seconds, epochs = kill(processes, folder, killed)
        places = by_slurm() if killed is None else by_variables()
        finish(start(folder, data, 2, places), folder)
        loss, weight = differences(folder, work / "one")
        took = f"{seconds:.1f}" if seconds else ""
        print_row((name, f"{loss:.1e}", f"{weight:.1e}", took, epochs))
        if loss > 1e-5 or weight > 1e-4 or seconds > 60:
            raise RuntimeError("That is too much.")


if __name__ == "__main__":
    app.run(main)
