"""One process at a time in a folder."""

import contextlib
import errno
import glob
import os
import shutil
import warnings

from keras_c2f.utils.files import UNFINISHED

NAME = ".lock"


@contextlib.contextmanager
def alone_in(folder, who="Another process", shared=False):
    """Locks a folder, until this process and those that inherit it have ended.

    The operating system's lock: a process that is killed leaves none. Removes
    what a killed one has left unfinished in the folder.

    Args:
        folder: path; made if missing.
        who: str, who may have locked it before, to begin the error with.
        shared: bool, lets in others that share it, and removes nothing. They
            are not seen on Windows.

    Yields:
        int, handle of the lock; `None` in a folder that cannot be written, or
        whose file system has no locks.

    Raises:
        ValueError: if another process has locked it.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, NAME)
    handle = _locked(path, shared)
    if handle is False:
        raise ValueError(
            f"{who} is at work in {folder}, or one that it started is. Wait "
            "until it has finished, or end it."
        )
    if handle is None:
        yield None
        return
    try:
        if not shared:
            _remove_unfinished(folder)
        yield handle
    finally:
        if shared:  # the file is others', too
            os.close(handle)
        else:
            _unlock(path, handle)


def _locked(path, shared):
    """Handle of a locked file; `False` if another has it, or `None`."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # a folder that is only read
            return None
        try:
            _lock(handle, shared)
            # its last owner may have removed it meanwhile
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                return False
            warnings.warn(
                f"{path} cannot be locked ({error.strerror}): take care that "
                "no other process writes to this folder.",
                stacklevel=4,
            )
            return None
        os.close(handle)


def _lock(handle, shared):
    try:
        import fcntl
    except ImportError:
        import msvcrt  # Windows

        if not shared:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(handle, kind | fcntl.LOCK_NB)


def _unlock(path, handle):
    if os.name == "nt":  # where an open file cannot be removed
        os.close(handle)
        with contextlib.suppress(OSError):
            os.remove(path)
        return
    with contextlib.suppress(OSError):
        os.remove(path)  # before others can lock it
    os.close(handle)


def _remove_unfinished(folder):
    for path in glob.glob(os.path.join(glob.escape(folder), f"{UNFINISHED}*")):
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.remove(path)
