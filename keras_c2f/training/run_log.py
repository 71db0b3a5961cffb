"""Callbacks that write down how a run goes."""

import keras

from keras_c2f.evaluation.evaluate import primary_metric


class RunLog(keras.callbacks.Callback):
    """Adds a row per epoch to a run's history, saves the model, seeds.

    A row has what a `Stopwatch` reads; saving is not counted.

    Args:
        run: `Run`.
        rows: list of dicts, the epochs before.
        stopwatch: `Stopwatch`, read at the end of each epoch.
    """

    def __init__(self, run, rows, stopwatch):
        super().__init__()
        self.run = run
        self.rows = list(rows)
        self.stopwatch = stopwatch

    def on_train_begin(self, logs=None):
        self.stopwatch.read()  # what `fit` sets up is no epoch's

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
            **self.stopwatch.read(),
        }
        rate = float(self.model.optimizer.learning_rate)
        self.rows.append({**first, **logs, "learning_rate": rate})
        with self.stopwatch.paused():
            self.run.save_epoch(self.model, self.rows)


class SwitchScore(keras.callbacks.Callback):
    """Scores the network when a phase begins, before it trains there.

    To be compared with the epoch before: a network that has lost much more
    than a coarser view of the clips takes was not carried over well, or the
    phases are too far apart. The first phase has nothing to carry over.

    Adds `switch_accuracy`, or whatever `primary_metric` names, to the logs
    of the first epoch of a phase. Stands before the callbacks that read it.

    Args:
        scheduler: the `PhaseScheduler` of the same `fit`; `score` may set its
            data to another phase or epoch.
        score: function of the network that returns a dict of figures.
    """

    def __init__(self, scheduler, score):
        super().__init__()
        self.scheduler = scheduler
        self.score = score
        self._found = {}

    def on_epoch_begin(self, epoch, logs=None):
        schedule = self.scheduler.schedule
        if epoch and epoch == schedule.first_epoch(schedule.index_at(epoch)):
            figures = self.score(self.model.network)
            name = primary_metric(figures)
            self._found = {f"switch_{name}": figures[name]}
            self.scheduler.set_data(epoch)

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self._found)
        self._found = {}
