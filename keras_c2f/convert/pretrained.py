"""A converted model with all that belongs to it, and its folder."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from keras_c2f.convert.kwt import Mfcc
from keras_c2f.convert.published_file import CARD
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.phases import TransplantReport
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.files import atomic_write_folder, read_json, write_json

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MATRICES = "frontend.npz"
FILES = (CONFIG, WEIGHTS, CARD, MATRICES)


@dataclass(frozen=True)
class Pretrained:
    """A model with trained weights.

    Attributes:
        model: `AudioClassifier`, `MaskedPatchModel`, or a backbone.
        frontend: `Frontend`, `Mfcc`, or `None` where it is not known here.
        class_names: list of str, or `None`.
        about: dict of str: source, licence, citation, where it is published.
        report: `TransplantReport` of the conversion; `None` from a folder.
        notes: tuple of str, where it is not, or may not be, what its authors
            have.
        multi_label: bool, whether its scores are independent, so sigmoids of
            the logits, rather than a softmax of all.
    """

    model: keras.Model
    frontend: Frontend | Mfcc | None = None
    class_names: list[str] | None = None
    about: dict[str, str] = field(default_factory=dict)
    report: TransplantReport | None = None
    notes: tuple[str, ...] = ()
    multi_label: bool = False

    def save(self, path: PathLike) -> None:
        """Writes a `.keras` file, or a folder with all that belongs to it.

        Args:
            path: a name that ends in `.keras` gives the model alone; any
                other a folder with `config.json`, `model.weights.h5`,
                `preset.json` (class names, front end, licence, citation).

        Raises:
            ValueError: if the folder exists and is not empty.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".keras":
            self.model.save(path)
            return
        if path.exists() and any(path.iterdir()):
            raise ValueError(f"The folder {path} is not empty. Name a new one.")
        atomic_write_folder(path, self._write)

    def _write(self, folder):
        folder = Path(folder)
        folder.mkdir()
        config = keras.saving.serialize_keras_object(self.model)
        write_json(folder / CONFIG, config)
        self.model.save_weights(folder / WEIGHTS)
        card = {
            "class_names": self.class_names,
            "about": self.about,
            "report": str(self.report) if self.report else None,
            "notes": self.notes,
            "multi_label": self.multi_label,
            "frontend": None,
        }
        if isinstance(self.frontend, Frontend):
            card["frontend"] = self.frontend.get_config()
        elif self.frontend is not None:
            np.savez(folder / MATRICES, **asdict(self.frontend))
        write_json(folder / CARD, card)


def of_model(
    model, frontend=None, class_names=None, multi_label=None, about=None
):
    """`Pretrained` of a model, with what is known of it beside what is given.

    Args: see `PhaseNetwork.save_to_preset`.
    """
    known = model.preset or Pretrained(model)
    num_classes = getattr(model, "num_classes", None)
    if class_names is None and num_classes == len(known.class_names or ()):
        class_names = known.class_names
    if class_names is not None and len(class_names) != num_classes:
        raise ValueError(
            f"{len(class_names)} class names are given, and the model has "
            f"{num_classes} classes."
        )
    return Pretrained(
        model,
        frontend or getattr(model, "frontend", None) or known.frontend,
        class_names and list(class_names),
        {**known.about, **(about or {})},
        notes=known.notes,
        multi_label=known.multi_label if multi_label is None else multi_label,
    )


def load_folder(folder: PathLike) -> Pretrained:
    """`Pretrained` of a folder that `Pretrained.save` wrote.

    Raises:
        ValueError: if a file of it is missing or damaged.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder} is no preset folder: it has no {name}. Make one "
                "with `keras-c2f convert`."
            )
    config = read_json(folder / CONFIG)
    model = keras.saving.deserialize_keras_object(config)
    model.load_weights(folder / WEIGHTS)
    card = read_json(folder / CARD)
    frontend = card["frontend"] and Frontend.from_config(card["frontend"])
    if (folder / MATRICES).is_file():
        with np.load(folder / MATRICES) as file:
            frontend = Mfcc(**file)
    return Pretrained(
        model,
        frontend,
        card["class_names"],
        card["about"],
        notes=tuple(card.get("notes", ())),
        multi_label=card.get("multi_label", False),
    )
