import warnings
from collections.abc import Iterable
from typing import Any

import keras

from keras_c2f.cost import network_cost
from keras_c2f.phases import keras_private
from keras_c2f.phases.backup import read_backup
from keras_c2f.phases.carry_over import CarryOver
from keras_c2f.phases.fit_checks import check_fit, check_state
from keras_c2f.phases.learning_rate import FromStep, rate_scale
from keras_c2f.phases.phased_model import PhasedModel
from keras_c2f.phases.schedule import Phase, PhaseSchedule
from keras_c2f.phases.transplant import transplant, weights_by_path

FIGURES = ("phase", "num_tokens", "gmacs", "steps")  # of an epoch, in its logs
# What these remember does not outlive a change of network.
START_AFRESH = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ReduceLROnPlateau,
)


class _CountSteps(keras.callbacks.Callback):
    """Adds to the logs how many steps an epoch had."""

    def on_epoch_begin(self, epoch, logs=None):
        self._steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self._steps = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        # the last call of several steps may have had fewer
        most = self.params["steps"] or self._steps
        logs["steps"] = min(self._steps, most)


class _HideFigures(keras.callbacks.Callback):
    """Takes the figures out of the logs, once `History` has them.

    Keras' progress bar, which comes last, would show them as metrics.
    """

    def on_epoch_end(self, epoch, logs=None):
        for name in FIGURES:
            logs.pop(name, None)


class PhaseScheduler(keras.callbacks.Callback):
    """Trains coarse to fine inside one `model.fit`.

    When a phase begins, the model's network is built anew for the token grid
    of that phase, all weights are transplanted, the optimizer is rebuilt
    with its state carried or reset, and the data is set to compress
    accordingly. The phase follows from the epoch alone, or with `adapt` from
    the logs of the epochs before, so that a resumed run finds its place.

    `phase` (from 1), `num_tokens` (where the network has that attribute) and
    `gmacs` (`NetworkCost.macs`, in 10^9) are added to the logs of each epoch,
    and with them to `History`, CSV and TensorBoard, not to the progress bar;
    with `adapt` what it saw as well; and `steps` where batch sizes differ.

    Args:
        schedule: `PhaseSchedule`, list of `Phase`, or text such as
            `"pool:4@8, pool:2@6, full@6"`.
        data: what to set the resolution of: an object with a method
            `set_phase(resolution, epoch)` such as
            `AudioPipeline`, or `None` if the data stays as it is and the
            network compresses. Where phases have a `batch_size`, with an
            attribute of that name, and `set_phase(resolution, epoch,
            batch_size)`, in which `None` stands for that attribute. Where it
            has `pad_batches`, a clip of weight 0 is padding: the loss of a
            batch is the mean over its clips. So are `weighted_metrics`, but
            not `metrics`.
        verbose: 0 prints nothing, 1 a line per phase. Weights that could not
            be carried are warned of in any case.
        adapt: `CarryOver`, to end phases early where they do not serve the
            next, or `None`: all epochs as the schedule says.

    Where a phase changes the batch size, the learning rate changes by
    `rate_scale`, unless the phase has one of its own, and the steps of an
    epoch are counted anew.

    Other callbacks, in any order: `EarlyStopping` and `ReduceLROnPlateau`
    start afresh with each phase. `BackupAndRestore` finds the right phase,
    and is refused with `adapt`.
    `ModelCheckpoint(save_best_only=True)` may keep a model of a coarse phase.
    Works with `ModelCheckpoint`, `CSVLogger`, `TensorBoard`,
    `LearningRateScheduler`, mixed precision, gradient clipping and
    accumulation, and moving averages of weights.

    Raises:
        ValueError: from `fit`, before any training, if the schedule does not
            fill `epochs`, the model is not a `PhasedModel`, the data
            cannot follow the phases, or `adapt` refuses them.

    Example:
        >>> PhaseScheduler("pool:4@8, full@2").schedule.epochs
        10

    Reference:
        Feng et al., "From Coarse to Fine", ICASSP 2024. The paper resets the
        learning rate in each phase: see `with_cosine`. `reset` in a phase
        starts the optimizer's state afresh.
    """

    def __init__(
        self,
        schedule: PhaseSchedule | str | Iterable[Phase | str],
        data: Any = None,
        verbose: int = 1,
        adapt: CarryOver | None = None,
    ):
        super().__init__()
        self.schedule = PhaseSchedule(schedule)
        self.data = data
        self.verbose = verbose
        self.adapt = adapt
        self._planned = self.schedule
        self.reports = []  # one per phase begun: TransplantReport or None

    def set_model(self, model: keras.Model) -> None:
        if not isinstance(model, PhasedModel):
            raise ValueError(
                "PhaseScheduler exchanges the network inside a PhasedModel. "
                "Wrap yours: model = PhasedModel(build_network). "
                f"Received: {type(model).__name__}."
            )
        super().set_model(model)

    def prepare_fit(
        self, model: keras.Model, arguments: dict[str, Any]
    ) -> None:
        """Checks what `fit` was given and moves to the first phase.

        Args:
            model: the `PhasedModel`.
            arguments: dict, arguments of `fit` by name; `epochs` is filled in.
        """
        self.set_model(model)
        model.pads_batches = getattr(self.data, "pad_batches", False)
        planned = self._planned.epochs
        epochs = arguments.setdefault("epochs", planned)
        if epochs != planned:
            raise ValueError(
                f"The schedule `{self._planned}` has {planned} "
                f"epochs, but `fit` was asked for {epochs}. Change one of "
                "them, or leave `epochs` out."
            )
        self._others = arguments["callbacks"][1:]
        self._index = None
        self._varies = any(phase.batch_size for phase in self.schedule)
        shapes, reports = self._try_phases(model)
        if self.adapt is not None:
            self.schedule = self.adapt.begin(
                self._planned,
                [cost.macs for cost in self.costs],
                arguments.get("initial_epoch", 0),
            )
            arguments["epochs"] = self.schedule.epochs
        adapts = self.adapt is not None
        check_fit(model, self.schedule, shapes, self.data, arguments, adapts)
        check_state(model, self.schedule, reports)
        self._batch_size = getattr(self.data, "batch_size", None)
        backup = read_backup(self._backup_dir())
        if backup is None:
            epoch = arguments.get("initial_epoch", 0)
            self._begin_at(epoch)
        else:
            epoch = backup["epochs_done"] - 1  # the one whose weights they are
            self._begin_from(backup, epoch)
        self.set_data(epoch)
        arguments["callbacks"] = [
            *arguments["callbacks"],
            keras.callbacks.History(),
            _HideFigures(),
        ]
        if self._varies:
            arguments["callbacks"].insert(1, _CountSteps())
            if arguments.get("verbose", "auto"):  # one that can be reached
                arguments["callbacks"].append(keras.callbacks.ProgbarLogger())
        self._all = arguments["callbacks"]

    def _begin_at(self, epoch):
        """Moves to the phase of an epoch, with the model as it is."""
        index = self.schedule.index_at(epoch)
        optimizer = self.model.optimizer
        untrained = not keras_private.iteration_count(optimizer)
        at_start = epoch == self.schedule.first_epoch(index)
        if epoch and not untrained:
            before = self.schedule.index_at(epoch - 1)
            self._batch_size = self._batch_size_of(self.schedule[before])
        self._begin(index, at_start or untrained)

    def _begin_from(self, backup, epoch):
        """Moves through all phases up to that of an epoch that was backed up.

        Weights will come, settings of earlier phases will not.
        """
        for index in range(self.schedule.index_at(epoch) + 1):
            self._begin(index, True)
        rate = keras_private.learning_rate(self.model.optimizer)
        if isinstance(rate, FromStep) and "first_step" in backup:
            rate.first_step = backup["first_step"]

    def _try_phases(self, model):
        """Builds the network of each phase, and carries weights through all.

        What cannot be carried is thus refused before training.

        Returns:
            Lists of input shapes and of `TransplantReport` or `None`.
        """
        self.costs, shapes, reports = [], [], []
        network, resolution = model.network, model.resolution
        for phase in self.schedule:
            report = None
            if phase.resolution != resolution:
                before, resolution = network, phase.resolution
                network = model.network_at(resolution)
                report = transplant(before, network)
            reports.append(report)
            elastic = model.elastic_networks(network, phase)
            cost = elastic.cost if elastic else network_cost(network)
            self.costs.append(cost)
            shapes.append(network.input_shape)
        return shapes, reports

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        index = self.schedule.index_at(epoch)
        for callback in self._others:
            if isinstance(callback, keras.callbacks.SwapEMAWeights):
                callback.on_epoch_begin(epoch)  # averages back, before a switch
        switches = index != self._index
        if switches:
            self._begin(index, True)
        self.set_data(epoch)
        if self._varies and switches:
            self._count_steps()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._varies:
            self._print_steps()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.model.epochs_done = epoch + 1
        cost = self.costs[self._index]
        logs["phase"] = self._index + 1
        if cost.num_tokens is not None:
            logs["num_tokens"] = cost.num_tokens
        logs["gmacs"] = cost.macs / 1e9
        if self.adapt is not None:
            self.schedule = self.adapt.after_epoch(self.model, epoch, logs)
            if epoch + 1 >= self.schedule.epochs:  # fewer, but dearer ones
                self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.model.stop_training and self._index < len(self.schedule) - 1:
            self._print(
                f"Training was stopped in phase {self._index + 1} of "
                f"{len(self.schedule)}: the model is still at resolution "
                f"{self.model.resolution}."
            )

    def _begin(self, index, settings):
        """Moves the model to phase `index`, its optimizer too if wanted."""
        phase, scale = self.schedule[index], 1.0
        if self._varies and settings:
            scale = self._rate_scale(phase)
        self._batch_size = self._batch_size_of(phase)
        if not settings:  # in mid-phase: the optimizer has them already
            phase = Phase(phase.resolution, phase.epochs, elastic=phase.elastic)
        report = self.model.switch(phase, scale)
        self.reports.append(report)
        self._index = index
        for callback in self._others:
            if isinstance(callback, START_AFRESH):
                callback.on_train_begin()
        if report and not self.verbose:
            self._warn(report)
        cost = self.costs[index]
        self._print(
            f"Phase {index + 1}/{len(self.schedule)}: {phase}, {cost}"
            + (f"; {report}" if report else "")
        )

    def set_data(self, epoch: int) -> None:
        """Sets the data to an epoch, as they are when it begins."""
        if self.data is None:
            return
        phase = self.schedule[self.schedule.index_at(epoch)]
        batch_size = (phase.batch_size,) if self._varies else ()
        self.data.set_phase(phase.resolution, epoch, *batch_size)

    def _batch_size_of(self, phase):
        return phase.batch_size or getattr(self.data, "batch_size", None)

    def _rate_scale(self, phase):
        """Factor of the learning rate for the batch size of a phase."""
        before = self._batch_size
        if phase.optimizer == "reset":  # to what was compiled
            before = self.data.batch_size
        ratio = self._batch_size_of(phase) / before
        return rate_scale(self.model.optimizer, ratio)

    def _count_steps(self):
        """Counts the steps of an epoch anew, for all callbacks."""
        self.params["steps"] = self.count_steps()
        for callback in self._all:
            callback.set_params(self.params)
        self._print_steps()

    def _print_steps(self):
        steps = self.params["steps"]
        self._print(
            f"{self._batch_size} clips a step"
            + (f", {steps} steps an epoch" if steps else "")
        )

    def _print(self, text):
        if self.verbose:
            print(text, flush=True)

    def _warn(self, report):
        """Of weights left fresh or dropped, though no layer wanted it so."""
        new = weights_by_path(self.model.network)
        lost = [
            path
            for path in (*report.fresh, *report.dropped)
            if "seed_generator" not in path
            and not (path in new and hasattr(new[path][1], "resize_weight"))
        ]
        if lost:
            warnings.warn(
                f"Phase {self._index + 1} begins without what was learned in "
                f"{', '.join(lost)}: these weights are not in both networks, "
                "or of another shape. Give layers the same names, and a "
                "`resize_weight` where the shape changes.",
                stacklevel=2,
            )

    def _backup_dir(self):
        for callback in self._others:
            if isinstance(callback, keras.callbacks.BackupAndRestore):
                return callback.backup_dir
        return None
