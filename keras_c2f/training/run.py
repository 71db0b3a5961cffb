"""One run from a recipe: data, model, `fit`, and a folder that survives.

A run folder holds `config.json` (the resolved recipe), `history.csv` (a row
per epoch), `clips.npz` (which clips it is of: see `run_clips`),
`checkpoint-EPOCHS.keras` and `best-EPOCHS.keras` (while training),
`model.keras` (the trained network: of the best epoch of the final phase, or of
the last one), `phase-NUMBER.keras` (the network at the end of each phase, at
its own resolution), `evaluation.json` and `evaluation.csv` (a row per class),
`example.npz` (one clip at each resolution) and, where TensorBoard is installed,
`tensorboard/`. A run killed at any moment goes on from its last checkpoint: of
the epoch before, or of a few before where epochs take seconds. One process at a
time works in the folder.
"""

import contextlib
import os
import warnings
from collections.abc import Mapping
from typing import Any

import keras

from keras_c2f.data.clips import Clips
from keras_c2f.evaluation.evaluate import Validation, evaluate, primary_metric
from keras_c2f.evaluation.kept_batches import KeptBatches
from keras_c2f.models import merge_adapters, remat_scope
from keras_c2f.phases import CarryOver, PhasedModel, PhaseScheduler
from keras_c2f.probe import score_simple_classifier
from keras_c2f.training.checkpoints import Checkpoints
from keras_c2f.training.devices import Devices
from keras_c2f.training.elastic_scores import score_resolutions
from keras_c2f.training.from_recipe import (
    build_classifier,
    make_optimizer,
    make_pipeline,
    recipe_frontend,
    with_rates,
)
from keras_c2f.training.init_from import start_from
from keras_c2f.training.kept_networks import (
    KeepNetworks,
    averaged_weights,
    has_stalled,
    kept_epoch,
    kept_network,
    phase_of,
    remove_best,
)
from keras_c2f.training.progress import Progress
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run_clips import (
    check_sides,
    keep_clips,
    refuse_changed_clips,
)
from keras_c2f.training.run_config import (
    gmacs_by_resolution,
    make_config,
    refuse_other_run,
    with_epochs,
)
from keras_c2f.training.run_folder import (
    load_run_model,
    read_config,
    save_model,
    write_evaluation,
    write_example,
)
from keras_c2f.training.run_log import RunLog, SwitchScore
from keras_c2f.training.stopwatch import Stopwatch
from keras_c2f.training.trained_run import read_frontend
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.compilation import keep_compiled_beside
from keras_c2f.utils.files import read_json, read_rows, write_json, write_rows
from keras_c2f.utils.folder_lock import alone_in
from keras_c2f.utils.packages import is_there

SAMPLE = 64  # training clips that decide whether a phase carries over


class Run:
    """A training run and the folder it keeps itself in.

    Args:
        folder: path; made if missing.
        recipe: `Recipe`.
        clips: pair `(train, validation)` of `Clips`.
        command: str, what to type to get this run again.
        reasons: dict from settings that were chosen from the data to the
            reasons, to write down.
        devices: `Devices` to train on; default: one.

    Raises:
        ValueError: if the folder holds a run of another task or recipe, or
            of data that have changed since.
    """

    task = "classification"

    def __init__(
        self,
        folder: PathLike,
        recipe: Recipe,
        clips: tuple[Clips, Clips],
        command: str = "",
        reasons: Mapping[str, str] | None = None,
        devices: Devices | None = None,
    ):
        self.folder = folder
        self.recipe = recipe
        self.train_clips, self.validation_clips = clips
        self.command = command
        self.reasons = dict(reasons or {})
        self.devices = devices or Devices()
        self.devices.check(recipe)
        os.makedirs(folder, exist_ok=True)
        self._checkpoints = Checkpoints(folder)
        self._refuse_other_run()

    @property
    def name(self) -> str:
        """str, label in progress bar and report: the folder's name."""
        return os.path.basename(os.path.normpath(self.folder))

    def path(self, name: str) -> str:
        """Path of a file of this run."""
        return os.path.join(self.folder, name)

    def train(self) -> dict[str, Any]:
        """Trains, or goes on after a kill, then evaluates.

        Returns:
            dict, what `evaluation.json` holds: the summary of `evaluate`,
            and `skipped`, files that could not be used. A run that is
            complete returns it at once.

        Raises:
            ValueError: if another process works in the folder, or a file in
                it is damaged; says what to delete.
        """
        with alone_in(self.folder):
            self._refuse_other_run()  # that another process ended meanwhile
            if os.path.exists(self.path("evaluation.json")):
                if os.path.exists(self.path("model.keras")):
                    self._tidy()  # killed before that
                return self._result()
            keep_compiled_beside(self.folder)
            keras.utils.set_random_seed(self.recipe.seed)
            pipeline = make_pipeline(
                self.recipe, self._frontend(), self.devices
            )
            self._validation = KeptBatches(pipeline, self.validation_clips)
            network = self._trained_network()
            if network is None:
                network = self._fit(pipeline)
            summary, classes = self._evaluate(network, pipeline)
            summary |= score_resolutions(
                network, pipeline, self.validation_clips, self.recipe.phases[-1]
            )
            summary["epoch"] = self._kept_epoch()
            summary["simple_classifier"] = self._score_simple(pipeline)
            summary["skipped"] = pipeline.skipped
            write_evaluation(self.folder, summary, classes)
            self._tidy()
            return self._result()

    def _tidy(self):
        """Removes what only a run that is not done needs."""
        self._checkpoints.remove()
        remove_best(self.folder)

    def _fit(self, pipeline):
        """The trained network, which is saved."""
        with remat_scope() if self.recipe.remat else contextlib.nullcontext():
            model, rows = self._model_and_rows(pipeline)
        scheduler = self._scheduler(pipeline, rows)
        recipe = self.recipe
        if not has_stalled(rows, recipe.phases, recipe.patience):
            self._fit_epochs(model, pipeline, scheduler, rows)
        if recipe.adaptive:
            config = read_config(self.folder)
            config = with_epochs(config, recipe, scheduler.schedule)
            write_json(self.path("config.json"), config)
        network = kept_network(self.folder, self._kept_epoch(), model)
        network = merge_adapters(network)
        self._save_network(network)
        return network

    def _model_and_rows(self, pipeline):
        """`PhasedModel` to go on with, and the history up to there."""
        with self.devices.scope():
            model, rows = self._checkpoints.newest()
            network = None
            if model is None and self._has_more_epochs:
                rows = read_rows(self.path("history.csv"))
                network = self._kept_model()
        if model is None:
            network = network or self._begin(pipeline)
            with self.devices.scope():
                model = PhasedModel(network)
                loss, metrics = self._objective()
                optimizer = make_optimizer(self.recipe)
                model.compile(optimizer, loss, weighted_metrics=metrics)
        return model, rows

    def _fit_epochs(self, model, pipeline, scheduler, rows):
        """Trains the epochs of the schedule that come after those of `rows`."""
        recipe, stopwatch = self.recipe, Stopwatch()

        def score(network):
            with stopwatch.paused(), averaged_weights(model):
                figures = self._validate(network, pipeline)
                return self.devices.agree(figures)

        with warnings.catch_warnings(), pipeline.naming_bad_audio():
            # how many clips can be read shows when the first epoch ends
            warnings.filterwarnings("ignore", ".*input ran out of data")
            model.fit(
                pipeline.dataset(self.train_clips, training=True),
                shuffle=False,  # the pipeline does
                initial_epoch=len(rows),
                verbose=0,
                callbacks=[
                    scheduler,
                    SwitchScore(scheduler, score),
                    Validation(score),
                    KeepNetworks(
                        *(self._checkpoints, recipe.keep, recipe.patience),
                        *(scheduler, rows, stopwatch),
                    ),
                    RunLog(self, rows, stopwatch),
                    *_tensorboard(self.path("tensorboard")),
                    Progress(scheduler, self.name, len(rows)),
                ],
            )

    def _kept_epoch(self):
        """int from 1, the epoch whose network is kept."""
        rows = read_rows(self.path("history.csv"))
        return kept_epoch(rows, self.recipe.keep, self.recipe.phases)

    def save_epoch(
        self, model: PhasedModel, rows: list[dict[str, Any]]
    ) -> None:
        """Keeps the history after a complete epoch, and the model if it is due.

        Args:
            model: the `PhasedModel`, optimizer and all.
            rows: list of dicts, the history up to and with this epoch.
        """
        write_rows(self.path("history.csv"), rows)
        due = {"due": self._checkpoints.are_due}
        if self.devices.agree(due)["due"]:
            self._checkpoints.save(model, read_config(self.folder), rows)

    def _save_network(self, network):
        """Writes `model.keras`, the trained network."""
        path, config = self.path("model.keras"), read_config(self.folder)
        save_model(path, network, config)

    def _result(self):
        return read_json(
            self.path("evaluation.json"),
            "Delete it, and the same command scores the trained model again.",
        )

    def _trained_network(self):
        """What a run has trained that lacks but its scores, or `None`."""
        done = os.path.exists(self.path("model.keras"))
        if self._checkpoints or not done or self._has_more_epochs:
            return None
        return self._kept_model()

    def _kept_model(self):
        path = self.path("model.keras")
        advice = "Delete it: the same command trains from the start."
        return load_run_model(path, self.folder, advice)[0]

    @property
    def _has_more_epochs(self):
        """bool, whether it was done, and `add_epochs` gave it a phase since."""
        rows = read_rows(self.path("history.csv"))
        done = os.path.exists(self.path("model.keras")) and rows
        return bool(done) and phase_of(rows[-1]) < len(self.recipe.phases)

    def _begin(self, pipeline):
        """The network to train; writes what is known before training."""
        with self.devices.scope():
            network = self._build(pipeline.frontend)
            started = ""
            if self.recipe.init_from:
                depth = bool(self.recipe.depth)
                report = start_from(network, self.recipe.init_from, depth)
                started = str(report)
        clips = self.train_clips, self.validation_clips
        check_sides(clips)
        digests = keep_clips(self.folder, clips, self.recipe.init_from)
        config = make_config(self, network, started, digests)
        write_json(self.path("config.json"), config)
        with pipeline.naming_bad_audio():
            clips, phases = self.validation_clips, self.recipe.phases
            write_example(self.folder, pipeline, clips, phases)
        return network

    @property
    def _has_begun(self):
        """bool, whether an epoch is done, or all are."""
        names = ("model.keras", "evaluation.json")
        done = any(os.path.exists(self.path(name)) for name in names)
        return done or bool(self._checkpoints)

    def _refuse_other_run(self):
        if not self._has_begun:
            return
        config = read_config(self.folder)
        refuse_other_run(self, config)
        clips = {"train": self.train_clips, "validation": self.validation_clips}
        instead = "choose another run folder"
        refuse_changed_clips(self.folder, config, self.recipe, clips, instead)

    def _frontend(self):
        """Front end with the training set's mean and standard deviation."""
        if self._has_begun:  # measured before a kill
            return read_frontend(read_config(self.folder), self.folder)
        pipeline = make_pipeline(self.recipe, self.recipe.frontend)
        return recipe_frontend(self.recipe, pipeline, self.train_clips)

    def _scheduler(self, pipeline, rows):
        """The `PhaseScheduler` that goes on after the epochs of `rows`."""
        recipe = self.recipe
        if not recipe.adaptive:
            phases = self._with_rates(recipe.phases)
            return PhaseScheduler(phases, pipeline, verbose=0)
        step = -(-len(self.train_clips) // SAMPLE)
        clips = self.train_clips.subset(range(0, len(self.train_clips), step))
        kept = KeptBatches(pipeline, clips)

        def loss(network):
            batches = kept.at(network.resolution)
            summary, _ = evaluate(network, pipeline, clips, dataset=batches)
            return self.devices.agree({"loss": summary["loss"]})["loss"]

        rule = CarryOver(loss, self._with_rates, logs=rows)
        return PhaseScheduler(recipe.phases, pipeline, verbose=0, adapt=rule)

    def _with_rates(self, phases):
        """`PhaseSchedule` with the recipe's learning rates."""
        costs = gmacs_by_resolution(read_config(self.folder))
        return with_rates(
            self.recipe,
            phases,
            len(self.train_clips),
            lambda resolution: costs[str(resolution)],
        )

    def _build(self, frontend):
        """The untrained network, at full resolution."""
        num_classes = self.train_clips.num_classes
        return build_classifier(self.recipe, num_classes, frontend)

    def _objective(self):
        """Loss, and list of metrics."""
        if self.train_clips.multi_label:
            loss = keras.losses.BinaryCrossentropy(from_logits=True)
            metrics = []  # a ranking of augmented clips says little
        else:
            loss = keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=self.recipe.label_smoothing
            )
            metrics = [keras.metrics.CategoricalAccuracy(name="accuracy")]
        return loss, metrics

    def _validate(self, network, pipeline):
        """dict of the figures to log after each epoch."""
        summary, _ = self._evaluate(network, pipeline)
        names = ("loss", primary_metric(summary))
        return {name: summary[name] for name in names}

    def _evaluate(self, network, pipeline):
        """Summary and a row per class, for `write_evaluation`."""
        batches = self._validation.at(network.resolution)
        clips = self.validation_clips
        return evaluate(network, pipeline, clips, dataset=batches)

    def _score_simple(self, pipeline):
        """dict, what a linear classifier scores on the same clips."""
        frontend, clips = pipeline.frontend, self.train_clips
        samples = int(self.recipe.clip_seconds * frontend.sample_rate)
        return score_simple_classifier(
            pipeline,
            clips,
            self.validation_clips,
            num_frames=max(frontend.num_frames(samples), 1),
            seed=self.recipe.seed,
        )


def _tensorboard(folder):
    """Keras' callback, if what it writes with is there (extra `report`)."""
    there = is_there("tensorboard")
    return [keras.callbacks.TensorBoard(folder)] if there else []
