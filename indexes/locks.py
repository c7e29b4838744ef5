"""Directories that one process owns."""

import fcntl
import os
from pathlib import Path


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
