"""Recordings sorted into one folder per class."""

from keras_c2f.data.clips import Clips
from keras_c2f.data.readers.listing import existing_folder, random_mask, split

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def read_folder(root, validation_share=0.2, seed=0):
    """Your own recordings: one sub-folder per class.

        root/
            dog/    bark.wav  puppy.flac
            rain/   roof.mp3  street.OGG

    The folder names, sorted, are the classes. Other files are ignored, and so
    is whatever starts with `.` or `_` (Speech Commands keeps its noise in
    `_background_noise_`). Sounds are taken from the class folder itself, not
    from folders inside it.

    Args:
        root: path.
        validation_share: float between 0 and 1, the part of each class to
            validate on; a class with two or more clips is on both sides.
        seed: int, of the random choice of those clips. The same files give
            the same choice.

    Returns:
        `(train, validation)`, two `Clips` of paths.

    Raises:
        ValueError: if the folder is missing, has fewer than two classes, or
            a class has no clip.
    """
    root = existing_folder(root)
    folders = sorted(path for path in root.iterdir() if _is_class(path))
    if len(folders) < 2:
        found = f"only '{folders[0].name}'" if folders else "none"
        raise ValueError(
            f"'{root}' needs a sub-folder of sounds for each of at least two "
            f"classes, and has {found}. Make one per class, or name the "
            "folder that contains them."
        )
    sounds, labels = [], []
    for label, folder in enumerate(folders):
        paths = sorted(path for path in folder.iterdir() if is_sound(path))
        if not paths:
            raise ValueError(
                f"The class folder '{folder}' has no sound in it "
                f"({', '.join(SUFFIXES)}). Put some there, or remove it."
            )
        sounds += map(str, paths)
        labels += [label] * len(paths)
    clips = Clips(sounds, labels, [folder.name for folder in folders])
    return split(clips, random_mask(labels, validation_share, seed))


def _is_class(path):
    return path.is_dir() and not path.name.startswith((".", "_"))


def is_sound(path):
    """Whether a path is a sound file that is not set aside by its name."""
    return (
        path.suffix.lower() in SUFFIXES
        and not path.name.startswith((".", "_"))
        and path.is_file()
    )
