"""Published checkpoints by name: from a folder, the cache, or their authors."""

from pathlib import Path

from keras_c2f.convert.class_names import CLASS_LISTS
from keras_c2f.convert.conversion import load_checkpoint
from keras_c2f.convert.download import download
from keras_c2f.convert.pretrained import CARD, load_folder
from keras_c2f.convert.published import published
from keras_c2f.utils.cache_folder import cache_folder


def from_preset(name, folder=None, **options):
    """A published checkpoint as a Keras model, or a preset folder.

    Args:
        name: str, a key of `PUBLISHED`, or a folder that
            `Pretrained.save` wrote.
        folder: where the authors' files are, or are to be kept once they are
            downloaded; by default one per name in `~/.cache/keras_c2f`, or
            in what `KERAS_C2F_CACHE` names.
        options: see `load_checkpoint`: another geometry, `num_classes`.

    Returns:
        `Pretrained`.

    Raises:
        OSError: if a file is neither here nor to be had; the sentence says
            what to place where.
        ValueError: if there is no such preset, or see `load_checkpoint`.
    """
    if (Path(name) / CARD).is_file():
        if options:
            raise ValueError(
                f"{name} is a preset folder, already converted. Convert the "
                f"checkpoint again to have {', '.join(options)} otherwise."
            )
        return load_folder(name)
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
