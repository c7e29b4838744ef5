"""What qdrant_edge raises, and what it means: an outage that ends, or something else."""

import errno
import re

from qdrant_edge import EdgeShard, ScrollRequest

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
_OUTAGES = _NO_ROOM | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EAGAIN, errno.EINTR}
_ERROR_NUMBER = re.compile(r"os error (\d+)")  # as Rust prints it
_PAGE = 1_000


def foreign(error: BaseException) -> bool:
    """Whether it comes out of the engine or its files.

    qdrant_edge raises bare Exception, and nothing else here does; its panics are no Exception at all, and their class
    cannot be imported. OSError is the log that cannot be synced, or a file that is gone.
    """
    return type(error) is Exception or isinstance(error, OSError) or type(error).__name__ == "PanicException"


def is_outage(error: BaseException) -> bool:
    """Whether the machine refused something that has nothing to do with what the files hold."""
    if isinstance(error, OSError):
        return error.errno in _OUTAGES
    return any(int(number) in _OUTAGES for number in _ERROR_NUMBER.findall(str(error)))


def read_through(shard: EdgeShard) -> None:
    """Read every point as searches do, whatever comes of it."""
    offset = None
    while True:
        page = ScrollRequest(offset=offset, limit=_PAGE, filter=None, with_payload=True, with_vector=True)
        _, offset = shard.scroll(page)
        if offset is None:
            return
