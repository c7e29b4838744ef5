"""Room on disks. What lacks it is refused with a sentence before it begins, rather than broken in the middle."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexes.errors import StorageFull

MEBIBYTE = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def require_room(folder: Path, size_bytes: int) -> None:
    """Raises StorageFull where the disk of `folder` has less than `size_bytes` left."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < size_bytes:
        raise StorageFull(
            f"The service has {free_bytes // MEBIBYTE} MB of disk left, and this takes {-(-size_bytes // MEBIBYTE)} MB "
            "free. Delete what is not needed, or ask the operator for more room, and try again."
        )


@contextmanager
def full_disks() -> Iterator[None]:
    """Turns a disk that fills up while it is written to into StorageFull; any other error stays what it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFull(
            "The disk of the service is full, and nothing of this was kept. Delete what is not needed, or ask the "
            "operator for more room, and try again."
        ) from error
