"""Callbacks that write down how a run goes."""

import time

import keras


class RunLog(keras.callbacks.Callback):
    """Adds a row per epoch to a run's history, saves the model, seeds.

    `seconds` of a row are those on the wall, `cpu_seconds` the processor time
    of this process, all threads together: where a machine is shared, only the
    latter say what training takes.

    Args:
        run: `Run`.
        rows: list of dicts, the epochs before.
    """

    def __init__(self, run, rows):
        super().__init__()
        self.run = run
        self.rows = list(rows)

    def on_train_begin(self, logs=None):
        self._start_clocks()

    def on_epoch_begin(self, epoch, logs=None):
        if keras.backend.backend() == "torch":
            # its dropout has one state for all, which no checkpoint keeps
            keras.utils.set_random_seed(self.run.recipe.seed + epoch)

    def on_epoch_end(self, epoch, logs=None):
        first = {
            "epoch": epoch,
            "phase": logs["phase"],
            "resolution": str(self.model.resolution),
            "num_tokens": logs["num_tokens"],
            "gmacs": logs["gmacs"],
            "seconds": round(time.perf_counter() - self._since, 3),
            "cpu_seconds": round(time.process_time() - self._cpu_since, 3),
        }
        rate = float(self.model.optimizer.learning_rate)
        self.rows.append({**first, **logs, "learning_rate": rate})
        self.run.save_epoch(self.model, self.rows)
        self._start_clocks()  # saving is not training

    def _start_clocks(self):
        self._since, self._cpu_since = time.perf_counter(), time.process_time()
