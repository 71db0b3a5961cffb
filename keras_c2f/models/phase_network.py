"""What backbones and the models on them share: to be built again."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import keras

if TYPE_CHECKING:
    from keras_c2f.convert.pretrained import Pretrained
    from keras_c2f.layers.log_mel import Frontend
    from keras_c2f.resolution import Resolution
    from keras_c2f.utils.annotations import PathLike


class PhaseNetwork(keras.Model):
    """A functional model that can be built again, from its arguments.

    A subclass keeps each argument of its constructor as an attribute, and has
    a method `at_resolution`, which `PhasedModel` builds the networks of its
    phases with. `arguments` are their names, by default those of its
    signature.

    `trainable` is kept by a saved copy for the model as a whole; layers that
    were frozen one by one are trained again there.

    Args:
        dtype: dtype policy or `None`, that of the layers.
        trainable: bool.
        **kwargs: of `keras.Model`: `inputs`, `outputs`, `name`.
    """

    arguments = ()
    preset: Pretrained | None = None  # where `from_preset` made it

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls) and not cls.arguments:
            _, *parameters = inspect.signature(cls.__init__).parameters.values()
            cls.arguments = tuple(
                each.name
                for each in parameters
                if each.name != "dtype" and each.kind != each.VAR_KEYWORD
            )

    def __init__(
        self,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if dtype is not None:  # Keras drops it where a model has a graph
            self.dtype_policy = dtype
        if not trainable:  # said to Keras sooner, it would tell no layer
            self.trainable = False

    @classmethod
    def from_preset(cls, name: str, **options: Any) -> Self:
        """A model with trained weights.

        Args:
            name: str: a published checkpoint, such as
                `"MIT/ast-finetuned-audioset-10-10-0.4593"` (downloaded once;
                all are in `keras_c2f.convert.PUBLISHED`); a folder that
                `save_to_preset` or `keras-c2f convert` wrote; or
                `"hf://user/name"`, a repository on Hugging Face Hub.
            options: arguments to have otherwise. Weights are resized to
                `num_frames`, `patch_stride`, `num_mel_bins` or `resolution`;
                `num_classes` gives a classifier with a new head. More in
                `keras_c2f.convert.load_preset`.

        Returns:
            A model of this class. Its attribute `preset` has `frontend`,
            `class_names` and `about`: see `keras_c2f.convert.Pretrained`.

        Raises:
            OSError: if a file is neither here nor to be had.
            ValueError: if there is no such preset, or it is of another class.
        """
        from keras_c2f.convert.preset import model_from_preset

        return model_from_preset(cls, name, **options)

    def save_to_preset(
        self,
        folder: PathLike,
        frontend: Frontend | None = None,
        class_names: Sequence[str] | None = None,
        multi_label: bool | None = None,
        about: dict[str, str] | None = None,
    ) -> None:
        """Writes a folder that `from_preset` reads back.

        `keras-c2f predict --run`, `export`, `evaluate` and
        `train --init-from` take it as well. What is not given is that of the
        preset the model was loaded from, if it was.

        Args:
            folder: path; new or empty.
            frontend: `Frontend` that the model was trained with.
            class_names: list of str, in the order of the outputs.
            multi_label: bool, whether a clip may have several of them.
            about: dict of str, what else to know: data, recipe, score,
                licence.

        Raises:
            ValueError: if the folder is not empty, or there are not as many
                names as classes.
        """
        from keras_c2f.convert.pretrained import of_model

        of_model(self, frontend, class_names, multi_label, about).save(folder)

    def push_to_hub(
        self, address: str, *, private: bool = False, **contents: Any
    ) -> str:
        """Uploads a preset and a page about it to Hugging Face Hub.

        Args:
            address: str, `"hf://user/name"`; made if it is not there.
            private: bool, whether a new repository is.
            contents: as in `save_to_preset`: `class_names`, `about` and so on.

        Returns:
            str, the page's address.

        Raises:
            ImportError: if `huggingface_hub` is not installed.
            OSError: if it cannot be uploaded.
            ValueError: see `save_to_preset`.
        """
        from keras_c2f.convert.hub import push_to_hub
        from keras_c2f.convert.pretrained import of_model

        return push_to_hub(of_model(self, **contents), address, private)

    def _options(self):
        """dict of what a copy is built from."""
        return {
            **{name: getattr(self, name) for name in self.arguments},
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy,
        }

    def get_config(self) -> dict[str, Any]:
        dtype = keras.saving.serialize_keras_object(self.dtype_policy)
        return {**self._options(), "dtype": dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


class Backbone(PhaseNetwork):
    """A `PhaseNetwork` whose argument `resolution` says how coarse it is."""

    def at_resolution(self, resolution: Resolution | str) -> Self:
        """A new, randomly initialised copy of this network, coarser or finer.

        `transplant` fills it with this one's weights.
        """
        return self.with_arguments(resolution=resolution)

    def with_arguments(self, **arguments: Any) -> Self:
        """A new, randomly initialised copy with other arguments."""
        return type(self).from_config({**self.get_config(), **arguments})

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "resolution": str(self.resolution)}
