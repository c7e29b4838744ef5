"""Directories that one process owns."""

import fcntl
import os
import shutil
from pathlib import Path

from indexes.errors import SettingsError

WORK = ".work-"
"""How the names of directories begin that are being made or erased in one that is owned."""


def own(path: Path) -> int:
    """The descriptor that holds the lock file until it is closed, or the kernel closes it for a process that died.

    Raises BlockingIOError where another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def own_directory(root: Path, what: str, instead: str) -> int:
    """Make the directory of `what`, own it by its lock file, and erase what a process that died was making in it.

    Raises SettingsError where it cannot be used, or another process has it: that says what to do `instead`.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = own(root / "lock")
    except BlockingIOError as error:
        raise SettingsError(f"Another process owns {what} in {root}. Stop it, {instead}.") from error
    except OSError as error:
        raise SettingsError(f"The directory of {what}, {root}, cannot be used: {error}.") from error
    for left in root.glob(f"{WORK}*"):
        shutil.rmtree(left, ignore_errors=True)
    return descriptor
