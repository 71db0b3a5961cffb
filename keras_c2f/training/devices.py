"""Training on all devices of a machine, or of several machines.

Several machines are several processes of JAX. Under Slurm, Open MPI, Kubernetes
and on TPUs they find each other; elsewhere they need the three environment
variables of `keras.distribution.initialize`. Each process does the whole of a
run, on its part of every training batch: JAX computes and saves on all at once.
What those above process 0 print and write is thrown away.
"""

import atexit
import contextlib
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from os import _exit
from typing import Any

import keras
import numpy as np

from keras_c2f.utils.files import UNFINISHED
from keras_c2f.utils.folder_lock import NAME

VARIABLES = tuple(
    f"KERAS_DISTRIBUTION_{name}"
    for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)
# Begins what JAX says where a step fails, in errors of several classes.
STATUS = re.compile(
    "(UNKNOWN|INTERNAL|UNAVAILABLE|ABORTED|CANCELLED|DATA_LOSS|"
    "DEADLINE_EXCEEDED|FAILED_PRECONDITION|INVALID_ARGUMENT): "
)
SILENT_SECONDS = 30  # after which a process counts as dead
AGAIN = (
    "Start all processes again with the same command: training goes on from "
    "the last complete epoch."
)


@dataclass(frozen=True)
class Devices:
    """What the batches of a run are divided among.

    Attributes:
        number: int, devices of all processes.
        process: int, this process, from 0.
        processes: int.
        strategy: TensorFlow's, to make models in; `None` on other backends.
    """

    number: int = 1
    process: int = 0
    processes: int = 1
    strategy: Any = None

    def __str__(self):
        text = f"{self.number} devices"
        if self.processes > 1:
            text += f" of {self.processes} processes"
        return text

    def describe(self, recipe, num_clips):
        """str, how they share the training clips of an epoch."""
        if self.number == 1:
            return "1"
        size = recipe.batch_size
        text = f"{self}, {size // self.number} clips of each batch on each"
        if missing := -num_clips % size:
            text += f"; the last batch is padded by {missing}, of weight 0"
        return text

    def scope(self):
        """Context in which a model is made."""
        strategy = self.strategy
        return strategy.scope() if strategy else contextlib.nullcontext()

    def check(self, recipe):
        """Refuses a recipe whose batches they cannot share.

        Raises:
            ValueError: saying which they could.
        """
        size, number = recipe.batch_size, self.number
        if number > 1 and any(phase.batch_size for phase in recipe.phases):
            raise ValueError(
                f"Phases have one batch size where {self} share it. Leave out "
                "batch= and --tokens-per-step, and choose --batch-size."
            )
        if size % number:
            below = size // number * number
            sizes = [str(n) for n in (below, below + number) if n]
            raise ValueError(
                f"A batch of {size} clips cannot be divided among {self}. "
                f"Choose --batch-size={' or '.join(sizes)}."
            )
        if number > 1 and getattr(recipe, "freeze", ""):
            raise ValueError(
                "Frozen weights are not trained, and the head is solved on "
                "one device. Leave --distributed out, or train the weights "
                "with --freeze=."
            )

    def agree(self, figures):
        """A dict of floats as it is in process 0.

        What training does next follows from figures, which different
        processors may round differently.
        """
        if self.processes == 1:
            return figures
        from jax.experimental import multihost_utils

        values = np.array(list(figures.values()), "float64").view("uint32")
        values = multihost_utils.broadcast_one_to_all(values)
        values = np.asarray(values).view("float64").tolist()
        return dict(zip(figures, values, strict=True))


def find_devices():
    """`Devices` of this process and those that it was started with.

    On JAX it comes before anything is computed; models made from now on are
    on all devices.

    Raises:
        ValueError: if the backend cannot train on several.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _jax_devices()
    if backend == "tensorflow":
        return _tensorflow_devices()
    raise ValueError(
        "Keras 3.15 trains on one device with PyTorch. Leave --distributed "
        "out, or use KERAS_BACKEND=jax or tensorflow."
    )


def _tensorflow_devices():
    import tensorflow as tf

    if "TF_CONFIG" in os.environ:
        raise ValueError(
            "Keras trains on one machine with TensorFlow. Use "
            "KERAS_BACKEND=jax for several, or unset TF_CONFIG."
        )
    found = tf.config.list_logical_devices("GPU")
    found = found or tf.config.list_logical_devices("CPU")
    if len(found) == 1:
        return Devices()
    names = [device.name for device in found]
    return Devices(len(names), strategy=tf.distribute.MirroredStrategy(names))


def _jax_devices():
    import jax

    _join_processes()
    keras.utils.set_random_seed(0)  # all are to make the same weights
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )
    return Devices(jax.device_count(), jax.process_index(), jax.process_count())


def _join_processes():
    """As `keras.distribution.initialize`, which waits longer for the dead."""
    import jax

    addresses, number, index = map(os.environ.get, VARIABLES)
    try:
        jax.distributed.initialize(
            addresses and addresses.partition(",")[0],
            number and int(number),
            index and int(index),
            heartbeat_timeout_seconds=SILENT_SECONDS,
        )
    except ValueError as error:
        if addresses or number or index:
            raise ValueError(
                "The processes cannot find each other: JAX says "
                f"{str(error)!r}. Set {', '.join(VARIABLES)}: "
                "HOST:PORT of process 0, how many there are, and which this "
                "one is, from 0."
            ) from error
        # nothing has started several


@contextlib.contextmanager
def all_devices(folder):
    """Context of a command that trains on all devices.

    In a process above 0 nothing is printed but an error. If it fails, the
    process ends without waiting for the others, which then end too.

    Args:
        folder: path that the command writes.

    Yields:
        `Devices`, and the path to write: that of process 0 is `folder`, of
        another one a copy that is thrown away.
    """
    devices = find_devices()
    if devices.processes == 1:
        yield devices, folder
        return
    with contextlib.ExitStack() as stack:
        if devices.process:
            copy = stack.enter_context(tempfile.TemporaryDirectory())
            _copy(folder, copy)
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
            folder = copy
        try:
            _wait_for_all("copied")
            yield devices, folder
            _wait_for_all("done")
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            atexit.register(_leave, 130 if interrupted else 2)
            if STATUS.match(str(error)):
                raise RuntimeError(_in_words(error, devices)) from error
            raise


def _copy(folder, copy):
    """Copies what a run goes on from."""
    if os.path.isdir(folder):
        ignored = shutil.ignore_patterns(NAME, f"{UNFINISHED}*", "tensorboard")
        shutil.copytree(folder, copy, ignore=ignored, dirs_exist_ok=True)


def _wait_for_all(name):
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices(name)


def _in_words(error, devices):
    """An error of JAX: mostly that another process has ended."""
    reason = str(error).strip().partition("\n")[0]
    return (
        f"Process {devices.process} of {devices.processes} cannot go on, most "
        f"likely because another one has ended ({reason[:200]}). {AGAIN}"
    )


def _leave(status):
    """Ends the process at once: JAX would wait for the others, for minutes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    _exit(status)
