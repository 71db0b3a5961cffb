"""What backbones and the models on them share: to be built again."""

import keras


class PhaseNetwork(keras.Model):
    """A functional model that can be built again, from its arguments.

    A subclass keeps each argument of its constructor as an attribute, lists
    them in `arguments`, and has a method `at_resolution`, which
    `PhasedModel` builds the networks of its phases with.

    `trainable` is kept by a saved copy for the model as a whole; layers that
    were frozen one by one are trained again there.

    Args:
        dtype: dtype policy or `None`, that of the layers.
        trainable: bool.
        **kwargs: of `keras.Model`: `inputs`, `outputs`, `name`.
    """

    arguments = ()

    def __init__(self, dtype=None, trainable=True, **kwargs):
        super().__init__(**kwargs)
        if dtype is not None:  # Keras drops it where a model has a graph
            self.dtype_policy = dtype
        if not trainable:  # said to Keras sooner, it would tell no layer
            self.trainable = False

    def _options(self):
        """dict of what a copy is built from."""
        return {
            **{name: getattr(self, name) for name in self.arguments},
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy,
        }

    def get_config(self):
        dtype = keras.saving.serialize_keras_object(self.dtype_policy)
        return {**self._options(), "dtype": dtype}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class Backbone(PhaseNetwork):
    """A `PhaseNetwork` whose argument `resolution` says how coarse it is."""

    def at_resolution(self, resolution):
        """A new, randomly initialised copy of this network, coarser or finer.

        `transplant` fills it with this one's weights.
        """
        return self.with_arguments(resolution=resolution)

    def with_arguments(self, **arguments):
        """A new, randomly initialised copy with other arguments."""
        return type(self).from_config({**self.get_config(), **arguments})

    def get_config(self):
        return {**super().get_config(), "resolution": str(self.resolution)}
