"""Trained weights by address: a published name, a folder, or `hf://`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_c2f.convert.class_names import CLASS_LISTS
from keras_c2f.convert.conversion import load_checkpoint
from keras_c2f.convert.download import download
from keras_c2f.convert.geometry import at_geometry, with_mel_bins
from keras_c2f.convert.hub import fetch_repository
from keras_c2f.convert.pretrained import CARD, Pretrained, load_folder
from keras_c2f.convert.published import PUBLISHED, published
from keras_c2f.convert.published_file import HUB_ADDRESS
from keras_c2f.models import AudioClassifier
from keras_c2f.phases import TransplantReport
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.cache_folder import cache_folder


def load_preset(
    name: str, folder: PathLike | None = None, **options: Any
) -> Pretrained:
    """Trained weights with front end and class names.

    `AudioClassifier.from_preset` and its like give the model alone.

    Args:
        name: str, one of

            - the name of a published checkpoint, a key of `PUBLISHED`,
            - a folder that `save_to_preset` or `keras-c2f convert` wrote,
            - `"hf://user/name"`, a repository on Hugging Face Hub that holds
              such a folder, or a checkpoint in Hugging Face's own form.
        folder: where the files of a published checkpoint are, or are to be
            kept once they are downloaded; by default one per name in
            `~/.cache/keras_c2f`, or in what `KERAS_C2F_CACHE` names.
        options: arguments to have otherwise, such as `num_frames=512`,
            `patch_stride`, `resolution`, or `num_classes` (a fresh head): see
            `load_checkpoint`, whose other arguments are for checkpoints that
            are converted.

    Returns:
        `Pretrained`.

    Raises:
        OSError: if a file is neither here nor to be had; the sentence says
            what to place where.
        ValueError: if there is no such preset, or see `load_checkpoint`.
    """
    if name.startswith(HUB_ADDRESS):
        path = fetch_repository(name)
        if not (path / CARD).is_file():
            known = name.removeprefix(HUB_ADDRESS)
            known = known if known in PUBLISHED else None
            return load_checkpoint(path, preset=known, **options)
        name = str(path)
    if (Path(name) / CARD).is_file():
        return _with_options(load_folder(name), **options)
    return _of_authors(name, folder, **options)


def model_from_preset(cls, name, **options):
    """The model of a preset, or its backbone, as an object of `cls`.

    Args:
        cls: class of the model, such as `AST` or `AudioClassifier`.
        name, options: see `load_preset`.

    Returns:
        `cls`, with the `Pretrained` it is of as its attribute `preset`.

    Raises:
        ValueError: if the preset holds another class.
    """
    found = load_preset(name, **options)
    model = found.model
    if not isinstance(model, cls):
        model = getattr(model, "backbone", model)
    if not isinstance(model, cls):
        kind = type(model).__name__
        hint = f"Use {kind}.from_preset"
        if cls is AudioClassifier:
            hint += ", or give `num_classes` for a new head"
        raise ValueError(
            f"{name} holds weights of {kind}, not of {cls.__name__}. {hint}."
        )
    model.preset = replace(found, model=model)
    return model


def _with_options(found, positions="interpolate", **wanted):
    """`Pretrained` of a folder, with other arguments of its model."""
    nothing = TransplantReport((), (), (), ())
    model, report = at_geometry(
        found.model, nothing, wanted, positions, found.frontend
    )
    if model is found.model:
        return found
    same_head = "head/bias" not in report.fresh
    return replace(
        found,
        model=model,
        frontend=with_mel_bins(found.frontend, model),
        class_names=found.class_names if same_head else None,
        report=report,
    )


def _of_authors(name, folder, **options):
    """`Pretrained` of a published checkpoint, downloaded if need be."""
    entry = published(name)
    folder = Path(folder or cache_folder() / name.replace("/", "--"))
    for file in entry.files:
        if not (folder / file).is_file():
            _fetch(entry, file, folder)
    names = CLASS_LISTS.get(entry.class_names)
    weights = folder / entry.files[0]
    if names and names.url and not names.beside(weights):
        try:
            download(names.url, folder / names.files[0])
        except (OSError, ValueError, ImportError):
            pass  # the model works without; `class_names` is then `None`
    return load_checkpoint(weights, preset=name, **options)


def _fetch(entry, file, folder):
    place = f"Put {file} in {folder}; its weights are those of {entry.page}."
    if not entry.url:
        raise FileNotFoundError(
            f"Its authors offer no address to download {file} from. {place}"
        )
    url = entry.url + (file if entry.is_hub else "")
    try:
        download(url, folder / file, entry.sha256)
    except OSError as error:
        raise OSError(
            f"{file} could not be downloaded ({error}). {place}"
        ) from error
