"""A run whose backbone stays as it is: features once, a head solved on them."""

import keras

from keras_c2f.cost import network_cost
from keras_c2f.evaluation.evaluate import evaluate
from keras_c2f.phases import transplant
from keras_c2f.training.clip_features import clip_features
from keras_c2f.training.run import Run
from keras_c2f.training.run_folder import read_config
from keras_c2f.training.solved_head import solve_head
from keras_c2f.training.stopwatch import Stopwatch
from keras_c2f.utils.cache_folder import cache_folder
from keras_c2f.utils.files import write_json, write_rows


class FrozenRun(Run):
    """A `Run` that trains nothing but a head, in closed form.

    Its folder holds what that of a `Run` does; `config.json` says under `head`
    what was chosen on the training clips. Features are kept in the folder
    `features` of `cache_folder`, for other runs of the same weights: other
    folds, other labels.
    """

    _scores = None  # of the network, once it is there

    def _fit(self, pipeline):
        """The network with a head solved on features of the training clips."""
        self._scores = None
        stopwatch = Stopwatch()
        whole = self._begin(pipeline)
        (phase,) = self.recipe.phases
        network = whole.at_resolution(phase.resolution)
        transplant(whole, network)
        features, targets = self._features(network, pipeline, self.train_clips)
        multi_label = self.train_clips.multi_label
        kernel, bias, found = solve_head(
            features, targets, multi_label, self.recipe.seed
        )
        network.get_layer("head").set_weights([kernel, bias])
        config = read_config(self.folder)
        write_json(self.path("config.json"), {**config, "head": found})
        print(_words(found, len(features)), flush=True)
        self._write_history(network, pipeline, stopwatch.read())
        self._save_network(network)
        return network

    def _features(self, network, pipeline, clips):
        """Features and targets of the clips that can be read."""
        folder = cache_folder() / "features"
        features, positions = clip_features(network, pipeline, clips, folder)
        if not len(positions):
            raise ValueError(pipeline.no_usable_audio())
        return features, clips.subset(positions).targets()

    def _evaluate(self, network, pipeline):
        """Summary and a row per class, from the features as they are."""
        if self._scores is None:
            self._scores = self._score(network, pipeline)
        return self._scores

    def _score(self, network, pipeline):
        clips = self.validation_clips
        features, targets = self._features(network, pipeline, clips)
        head = network.get_layer("head")
        inputs = keras.Input(features.shape[1:])
        model = keras.Model(inputs, head(inputs))
        model.resolution = network.resolution
        size = self.recipe.batch_size
        batches = [
            (features[i : i + size], targets[i : i + size])
            for i in range(0, len(features), size)
        ]
        return evaluate(model, pipeline, clips, dataset=batches)

    def _write_history(self, network, pipeline, spent):
        scores = self._validate(network, pipeline)
        cost = network_cost(network)
        row = {
            "epoch": 0,
            "phase": 1,
            "resolution": str(network.resolution),
            "num_tokens": cost.num_tokens,
            "gmacs": cost.macs / 1e9,
            **spent,
            **{f"val_{name}": value for name, value in scores.items()},
        }
        write_rows(self.path("history.csv"), [row])


def _words(found, num_clips):
    """What was found of a head, in a line."""
    if "left_out_accuracy" in found:
        score = f"{found['left_out_accuracy']:.1%} right"
    else:
        score = f"cross-entropy {found['left_out_error']:.3f}"
    return (
        f"Head solved in closed form on {num_clips} clips, penalty "
        f"{found['penalty']:g}: {score} on those left out, tenth by tenth"
    )
