"""Trainings that end in the middle, as by Ctrl-C, and go on later."""

import contextlib
from unittest import mock

import keras
import pytest


class KillIn(keras.callbacks.Callback):
    """Ends `fit` in an epoch, from 0, after its first batch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.is_last = epoch == self.epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.is_last:
            raise KeyboardInterrupt


@contextlib.contextmanager
def killed_after(epochs):
    """Context in which a `Run` ends once so many epochs are saved, each of
    them, however quick."""
    from keras_c2f.training.run import Run  # seconds, and only here

    save_epoch = Run.save_epoch

    def save_and_stop(self, model, rows):
        save_epoch(self, model, rows)
        if len(rows) == epochs:
            raise KeyboardInterrupt

    patch = mock.patch.object(Run, "save_epoch", save_and_stop)
    no_pause = mock.patch("keras_c2f.training.checkpoints.PAUSE", 0)
    with patch, no_pause, pytest.raises(KeyboardInterrupt):
        yield
