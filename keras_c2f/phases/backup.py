"""The backup from which `BackupAndRestore` resumes, whenever it was killed.

Keras writes weights first and the number of the epoch after that, into
another file; a process that is killed in between would train that epoch
twice. So `PhasedModel` keeps the number beside the weights, and the other file
is written anew from it.
"""

import os

from keras_c2f.phases.keras_private import (
    BACKUP_METADATA,
    BACKUP_WEIGHTS,
    OWN_VARIABLES,
)
from keras_c2f.utils.files import write_json


def read_backup(folder):
    """What `PhasedModel` keeps beside the weights of a backup.

    Args:
        folder: `backup_dir` of `BackupAndRestore`, or `None`.

    Returns:
        dict of ints: `epochs_done` and, where the learning rate follows a
        schedule of the phase, `first_step`. `None` without a backup. The
        files are made to agree.

    Raises:
        ValueError: if the backup cannot be read.
    """
    if folder is None:
        return None
    weights = os.path.join(folder, BACKUP_WEIGHTS)
    metadata = os.path.join(folder, BACKUP_METADATA)
    if not os.path.exists(weights):
        if os.path.exists(metadata):  # killed while it deleted the two
            os.remove(metadata)
        return None
    try:
        kept = _own_integers(weights)
    except OSError as error:
        raise ValueError(
            f"The backup {weights} cannot be read: {error}. Put the one "
            f"before, {BACKUP_WEIGHTS}.bkp, in its place if it is there, or "
            f"delete the folder {folder} to begin anew."
        ) from None
    if "epochs_done" not in kept:
        raise ValueError(
            f"The backup {weights} does not say after which epoch it was "
            "made: by a `fit` without PhaseScheduler, or an older version. "
            f"Delete the folder {folder} to begin anew."
        )
    write_json(metadata, {"epoch": kept["epochs_done"], "batch": 0})
    return kept


def _own_integers(path):
    import h5py

    with h5py.File(path, "r") as file:
        own = file.get(OWN_VARIABLES, {})
        return {
            name: int(value[()])
            for name, value in own.items()
            if value.shape == ()
        }
