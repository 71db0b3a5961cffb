import inspect
from typing import Any

import keras


class ConfiguredLayer(keras.layers.Layer):
    """A layer whose config is its constructor's arguments, kept as attributes.

    A layer that derives from another has those of both.
    """

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        names = (
            name
            for cls in reversed(type(self).__mro__)
            if issubclass(cls, ConfiguredLayer) and "__init__" in vars(cls)
            for name, each in inspect.signature(cls.__init__).parameters.items()
            if each.kind == each.POSITIONAL_OR_KEYWORD and hasattr(self, name)
        )
        own = {n: getattr(self, n) for n in names if n not in config}
        return {**config, **own}
