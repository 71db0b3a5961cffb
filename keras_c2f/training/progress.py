import sys
import time

import keras

from keras_c2f.utils.optional import tqdm


class Progress(keras.callbacks.Callback):
    """One progress bar for a whole run: phase, tokens, metrics, time left.

    The time left is that of the remaining compute: seconds per
    multiply-accumulate so far, times what the schedule still has to do.
    Where standard error is a file, there is a line per epoch instead.

    Args:
        scheduler: the `PhaseScheduler` of the same `fit`.
        label: str, what the bar is called.
        first_epoch: int, epochs done by an earlier, killed run.
    """

    def __init__(self, scheduler, label, first_epoch=0):
        super().__init__()
        self.scheduler = scheduler
        self.label = label
        self.first_epoch = first_epoch

    def on_train_begin(self, logs=None):
        self._is_live = sys.stderr.isatty()
        if self._is_live:
            self._bar = tqdm.tqdm(
                total=1.0,
                bar_format="{percentage:3.0f}%|{bar:20}| {desc}",
            )
        self._began = time.perf_counter()
        self._shown = 0.0
        self._text = ""

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        if self._is_live:
            self._update(0.0)

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if self._is_live and now - self._shown > 0.5:  # seconds
            steps = self.params["steps"]
            self._shown = now
            self._update((batch + 1) / steps if steps else 0.0)

    def on_epoch_end(self, epoch, logs=None):
        metrics = [
            f"{name} {value:.3f}"
            for name, value in logs.items()
            if name.startswith("val_")
        ]
        self._text = ", ".join(metrics)
        self._update(1.0)

    def on_train_end(self, logs=None):
        if self._is_live:
            self._bar.close()

    def _update(self, share):
        """Shows that `share` of the present epoch's steps are done."""
        epoch = self._epoch
        schedule = self.scheduler.schedule  # may change
        work = [
            self.scheduler.costs[schedule.index_at(epoch)].macs
            for epoch in range(schedule.epochs)
        ]
        before = sum(work[self.first_epoch : epoch])
        done = before + share * work[epoch]
        total = sum(work[self.first_epoch :])
        spent = time.perf_counter() - self._began
        left = spent * (total - done) / done if done else None
        index = schedule.index_at(epoch)
        tokens = self.scheduler.costs[index].num_tokens
        resolution = schedule[index].resolution
        words = [
            self.label,
            f"phase {index + 1}/{len(schedule)} {resolution}, {tokens} tokens",
            f"epoch {epoch + 1}/{schedule.epochs}",
            f"{tqdm.tqdm.format_interval(left)} left" if left else "",
            self._text,
        ]
        finished = sum(work[: self.first_epoch]) + done
        text = " | ".join(filter(None, words))
        if self._is_live:
            self._bar.n = finished / sum(work)
            self._bar.set_description_str(text)
        else:
            print(f"{finished / sum(work):.0%} {text}", file=sys.stderr)
