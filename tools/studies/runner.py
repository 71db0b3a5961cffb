"""Trains the cells of a study, a process each, and keeps their rows."""

import concurrent.futures
import contextlib
import functools
import os
import subprocess
import sys
import threading

from keras_c2f.training.run_folder import evaluation_name
from keras_c2f.utils.files import read_json
from keras_c2f.utils.folder_lock import alone_in
from keras_c2f.utils.optional import tqdm
from studies.plan import with_path
from studies.results import summarise

COMMAND = (sys.executable, "-m", "keras_c2f")
_alone_in = functools.partial(alone_in, who="A study")


def run_study(
    study, folder, results, paths, data=None, num_workers=1, shard=None
):
    """Trains every cell that has no row yet.

    Each cell is a `keras-c2f train` or `pretrain` in a process of its own,
    with its own share of the cores (on Linux), so that nothing of one run is
    left in the next. A study that is killed goes on where it was, in the
    middle of a run too.

    Args:
        study: `Study`.
        folder: path, for the run folders.
        results: `Results`, which rows are added to.
        paths: dict from kinds of data sets to where they are.
        data: collection of the study's data sets, or `None` for all.
        num_workers: int, runs at a time.
        shard: pair of int, to train but a part of the cells: see
            `cells_of_part`. Parts may be trained at once, on several machines
            that share `folder`; each has `results` of its own.

    Returns:
        dict from ids of cells that failed to the last line of their logs.

    Raises:
        ValueError: if a data set has no path, `num_workers` is below 1, or
            another process works in `folder` or adds to `results`.
    """
    if num_workers < 1:
        raise ValueError(
            f"`num_workers` is at least 1. Received: {num_workers}."
        )
    cells = cells_of_part(study.cells(data), shard)
    for cell in cells:
        with_path(cell.data, paths)  # before hours of training
    todo = _unfinished(cells, study, results, folder)
    failed = {}
    bar = tqdm.tqdm(
        total=len(cells), initial=len(cells) - len(todo), disable=None
    )
    with contextlib.ExitStack() as stack:
        shared = {folder: bool(shard)}
        locks = [
            stack.enter_context(_alone_in(path, shared=shared.get(path, False)))
            for path in dict.fromkeys((folder, results.folder))
        ]
        workers = _Workers(folder, paths, num_workers, locks)
        stack.enter_context(bar)
        pool = stack.enter_context(
            concurrent.futures.ThreadPoolExecutor(num_workers)
        )
        # what others start from has to be there before them
        for stage in _stages(todo):
            waiting = {pool.submit(workers.run, c, study): c for c in stage}
            try:
                for future in concurrent.futures.as_completed(waiting):
                    cell, problem = waiting[future], future.result()
                    if problem:
                        failed[cell.id] = problem
                    else:
                        _keep(cell, study, results, workers.path(cell))
                    bar.set_description(f"{cell.data} {cell.method}")
                    if bar.disable:  # standard error is a file
                        done = f"{cell.id}: {cell.data}, {cell.method}"
                        print(f"Done: {done}", file=sys.stderr)
                    bar.update()
            except BaseException:  # or the pool would train all that waits
                workers.stop()
                for future in waiting:
                    future.cancel()
                raise
    return failed


def cells_of_part(cells, shard):
    """Every `count`-th of the cells, from the `index`-th on.

    Cells that start from the same run are in one part, so that it is trained
    once.

    Args:
        cells: list of `Cell`.
        shard: pair of int, index from 0 and count, or `None` for all.
    """
    if shard is None:
        return cells
    roots = [(cell.init_from or cell).id for cell in cells]
    index, count = shard
    mine = set(list(dict.fromkeys(roots))[index::count])
    return [
        cell for cell, root in zip(cells, roots, strict=True) if root in mine
    ]


class _Workers:
    """Processes of cells, each on cores of its own.

    Args:
        folder: path, for the run folders.
        paths: dict from kinds of data sets to where they are.
        num_workers: int, how many share the cores.
        locks: handles that processes inherit: should they outlive the study,
            nobody else is let in.
    """

    def __init__(self, folder, paths, num_workers, locks):
        self._folder = folder
        self._paths = paths
        self._locks = [lock for lock in locks if lock is not None]
        if os.name == "nt":  # where processes inherit none
            self._locks = []
        self._cores = _shares(num_workers)
        self._lock = threading.Lock()
        self._processes = set()
        self._stopped = False

    def path(self, cell):
        """Folder of a cell's run: `train` and `pretrain` write one inside."""
        return os.path.join(self._folder, cell.id)

    def run(self, cell, study):
        """Trains one cell; returns what went wrong, `""` if nothing."""
        with self._lock:
            cores = self._cores.pop()
        try:
            problem = self._call(self._words(cell), cell, cores)
            wanted = [] if cell.command == "pretrain" else study.corruptions
            if wanted and not problem:
                words = [
                    "evaluate",
                    f"--run={self.path(cell)}",
                    f"--corrupt={','.join(wanted)}",
                ]
                problem = self._call(words, cell, cores)
            return problem
        finally:
            with self._lock:
                self._cores.append(cores)

    def stop(self):
        """Ends all processes; each goes on from its last epoch next time."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.terminate()

    def _words(self, cell):
        init_from = {}
        if cell.init_from:
            init_from["init_from"] = self.path(cell.init_from)
        data = with_path(cell.data, self._paths)
        words = cell.words(data=data, run=self.path(cell), **init_from)
        if cell.command == "train":  # rows compare with earlier ones
            words += ["--keep=last", "--no-choose"]
        return words

    def _call(self, words, cell, cores):
        os.makedirs(self.path(cell), exist_ok=True)
        log = os.path.join(self.path(cell), "log.txt")
        with open(log, "ab") as file:
            with self._lock:
                if self._stopped:
                    return "stopped"
                process = subprocess.Popen(
                    [*COMMAND, *words],
                    stdout=file,
                    stderr=file,
                    env=_environment(cores),
                    pass_fds=self._locks,
                )
                self._processes.add(process)
            if cores:
                os.sched_setaffinity(process.pid, cores)
            status = process.wait()
            with self._lock:
                self._processes.discard(process)
        if status < 0:
            return f"ended by signal {-status} (see {log})"
        return f"{_last_line(log)} (see {log})" if status else ""


def _keep(cell, study, results, folder):
    """Adds the row of a finished cell, and its scores on corrupted audio."""
    run = os.path.join(folder, "coarse_to_fine")
    row, epochs = summarise(cell, run)
    results.add(row, epochs)
    if cell.command == "train" and study.corruptions:
        scores = {}
        for text in study.corruptions:
            name = evaluation_name(run, corruption=text)
            found = read_json(os.path.join(run, f"{name}.json"))
            scores[text] = found[row["metric"]]
        results.add_corrupted(cell.id, scores)


def _unfinished(cells, study, results, folder):
    """The cells that are still to be trained, or scored."""

    def is_done(cell):
        scored = results.corrupted.get(cell.id, {})
        left = set(study.corruptions) - set(scored)
        return cell.id in results.runs and not left

    def has_weights(cell):
        path = os.path.join(folder, cell.id, "coarse_to_fine", "model.keras")
        return cell.id in results.runs and os.path.exists(path)

    todo = [c for c in cells if c.command == "train" and not is_done(c)]
    needed = {c.init_from.id for c in todo if c.init_from}
    first = [c for c in cells if c.id in needed and not has_weights(c)]
    return [*first, *todo]


def _stages(cells):
    """Cells that start from nothing, then those that start from others."""
    first = [cell for cell in cells if not cell.init_from]
    then = [cell for cell in cells if cell.init_from]
    return [stage for stage in (first, then) if stage]


def _shares(num_workers):
    """Sets of cores, one per worker; `None` where these cannot be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return [None] * num_workers
    cores = sorted(os.sched_getaffinity(0))
    return [
        set(cores[index::num_workers]) or set(cores)
        for index in range(num_workers)
    ]


def _environment(cores):
    """The environment of a process on these cores; `None` for its own."""
    if not cores:
        return None
    return {**os.environ, "OMP_NUM_THREADS": str(len(cores))}


def _last_line(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file.read().splitlines()]
    return next((line for line in reversed(lines) if line), "no output")
