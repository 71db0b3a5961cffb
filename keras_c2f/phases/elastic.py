"""One set of weights that is trained at several resolutions."""

from collections.abc import Callable
from itertools import accumulate, pairwise

import keras
from keras import ops

from keras_c2f.cost import NetworkCost, mean_cost, network_cost
from keras_c2f.phases.keras_private import flatten_layers
from keras_c2f.phases.schedule import Phase
from keras_c2f.phases.transplant import resized_by, transplant, weights_by_path
from keras_c2f.resolution import Resolution
from keras_c2f.utils.annotations import Tensor

WHOLE = 10_000  # shares are integers of it: batch sizes in a graph are int32


class ElasticNetworks:
    """A network, and what it computes at coarser resolutions.

    Each step divides its batch among the resolutions, by their shares: the
    first clips are compressed most, say, the last not at all. So one graph of
    fixed shapes holds all resolutions, compiled once on every backend, and a
    gradient averages over them. Clips have to be shuffled, as `fit` and
    `AudioPipeline` do. A coarser network has no weights of its own: in every
    step they are those of the finest one, where shapes differ resized by
    their layer (`resize_weight`, which is given tensors), so that gradients
    reach the finest weights.

    Args:
        network: the finest network, which is trained.
        network_at: function from a `Resolution` to such a network.
        phase: `Phase` with `elastic`.

    Raises:
        ValueError: if the network has several inputs, batch norm, or outputs
            that depend on the resolution, or a weight cannot be computed from
            those of the finest network.

    Reference:
        Beyer et al., "FlexiViT", CVPR 2023, draws one patch size for each
        step, and resizes kernel and positions in the graph as here.
    """

    def __init__(
        self,
        network: keras.Model,
        network_at: Callable[[Resolution], keras.Model],
        phase: Phase,
    ):
        _refuse_batch_norm(network)
        self.phase = phase
        finest = phase.resolution
        self.shares = [share for _, share in phase.elastic]
        self.views = [
            Finest(network)
            if resolution == finest
            else Coarser(
                network,
                network_at(resolution),
                resolution.relative_to(finest),
            )
            for resolution, _ in phase.elastic
        ]

    def __call__(self, inputs: Tensor) -> Tensor:
        """Outputs in training, in the order of the batch."""
        batch = ops.shape(inputs)[0]
        *edges, _ = [round(WHOLE * edge) for edge in accumulate(self.shares)]
        edges = [(batch * edge + WHOLE // 2) // WHOLE for edge in edges]
        outputs = []
        for view, (start, end) in zip(
            self.views, pairwise([0, *edges, batch]), strict=True
        ):
            size = end - start
            # Of no clip TensorFlow computes convolutions of another shape: a
            # clip is looked at then, and left out. Integers and tensors alike:
            is_empty = 1 // (1 + size)
            first = start - start // batch
            rows = inputs[first : first + size + is_empty]
            outputs.append(view(rows)[:size])
        return ops.concatenate(outputs, axis=0)

    @property
    def networks(self) -> list[keras.Model]:
        """A network for each resolution."""
        return [view.network for view in self.views]

    @property
    def cost(self) -> NetworkCost:
        """`NetworkCost` of the finest, with the mean cost of a clip."""
        costs = map(network_cost, self.networks)
        return mean_cost(list(zip(costs, self.shares, strict=True)))


class Finest:
    """The network that is trained, as it is."""

    def __init__(self, network):
        self.network = network

    def __call__(self, inputs):
        return self.network(inputs, training=True)


class Coarser:
    """What a network computes at a coarser resolution.

    Args:
        finest: the network that is trained.
        network: one of the coarser resolution. Its own weights are of no use.
        compression: `Resolution`, what leads from the input of `finest` to
            its input, if that is another.
    """

    def __init__(self, finest, network, compression):
        self.network = network
        report = transplant(finest, network)
        self._compression = None
        if network.input_shape != finest.input_shape:
            self._compression = compression
        _refuse_other_shapes(finest, network, compression)
        _refuse_own_weights(report, compression)
        sources, own = weights_by_path(finest), weights_by_path(network)
        self._sources = {
            id(variable): (path, sources[path][0], layer)
            for path, (variable, layer) in own.items()
        }

    def __call__(self, inputs):
        if self._compression is not None:
            inputs = self._compression.compress(inputs, ops)
        state = self.network.non_trainable_variables
        outputs, updated = self.network.stateless_call(
            [self._value(v) for v in self.network.trainable_variables],
            [self._value(v) for v in state],
            inputs,
            training=True,
        )
        for variable, value in zip(state, updated, strict=True):
            path, source, _ = self._sources[id(variable)]
            if "seed_generator" in path:
                source.assign(value)
        return outputs

    def _value(self, variable):
        """The value of a weight, computed from that of the finest network."""
        path, source, layer = self._sources[id(variable)]
        value, shape = source.value, tuple(variable.shape)
        if tuple(source.shape) == shape:
            return value
        return resized_by(layer, path, value, shape)


def _refuse_batch_norm(network):
    for layer in flatten_layers(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            raise ValueError(
                f"{network.name} cannot be trained at several resolutions at "
                f"once: the batch norm {layer.name!r} has the moving averages "
                "of one. Choose a network without, such as `AST` without "
                "`stem_channels`."
            )


def _refuse_other_shapes(finest, network, compression):
    """Refuses networks whose outputs or inputs cannot be put together."""
    if not isinstance(finest.input_shape, tuple):
        raise ValueError(
            "A network that is trained at several resolutions at once has one "
            f"input. Received: inputs of shapes {finest.input_shape}."
        )
    if network.output_shape != finest.output_shape:
        raise ValueError(
            "A network that is trained at several resolutions at once has the "
            f"same outputs at each. Received: {finest.output_shape}, and "
            f"{network.output_shape} with {compression}. Classifiers have; "
            "patches to be predicted do not."
        )


def _refuse_own_weights(report, compression):
    if report.fresh:
        raise ValueError(
            f"With {compression} the weights {', '.join(report.fresh)} do not "
            "follow from those of the finest resolution, so these cannot be "
            "trained at once. Give their layers a `resize_weight`; with "
            "`position_resize='random'` choose another one."
        )
