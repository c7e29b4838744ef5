"""What a container unfolds into, counted while it is read: what a file says of itself can be a lie."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Self

from indexes.errors import DocumentError
from ingestion.parse.limits import SMALL_BYTES, Limits

# Of an OSError that a decoder raises, or that follows from a place in the file that no file has: not the disk's fault.
_FAULTS_OF_THE_FILE = (None, errno.EINVAL, errno.EOVERFLOW)


class UnfoldsTooFar(DocumentError):
    """A container is over a limit: reading on makes no sense."""

    code = "too_large"


@dataclass(slots=True)
class Meter:
    """Counts the members and bytes of one container of `packed_bytes`, and of those around it."""

    limits: Limits
    packed_bytes: int
    around: Self | None = None
    members: int = 0
    expanded_bytes: int = 0

    def take(self, expanded_bytes: int) -> None:
        """Count bytes. Raises UnfoldsTooFar past a limit."""
        self.expanded_bytes += expanded_bytes
        inflated = self.expanded_bytes > max(SMALL_BYTES, self.packed_bytes * self.limits.max_ratio)
        if inflated or self.expanded_bytes > self.limits.max_expanded_bytes:
            raise _too_far()
        if self.around is not None:
            self.around.take(expanded_bytes)

    def take_member(self) -> None:
        """Count one member. Raises UnfoldsTooFar past a limit."""
        self.members += 1
        if self.members > self.limits.max_members:
            raise _too_far()
        if self.around is not None:
            self.around.take_member()


def _too_far() -> UnfoldsTooFar:
    return UnfoldsTooFar(
        "This file unpacks into more than is allowed. Split it, or unpack it and upload its documents."
    )


class CheckedReader(io.RawIOBase):
    """The bytes of `source`, counted by `meter` if there is one."""

    def __init__(self, source: io.BufferedIOBase | IO[bytes], meter: Meter | None = None) -> None:
        self._source = source
        self._meter = meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - Python 3.12 names the type
        data = self._source.read(len(buffer))
        if self._meter is not None:
            self._meter.take(len(data))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._source.close()
        super().close()


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Whatever a library raises over a broken container becomes `damaged`; failures of disk and memory stay."""
    try:
        yield
    except (DocumentError, MemoryError):
        raise
    except OSError as error:
        if error.errno not in _FAULTS_OF_THE_FILE:
            raise
        raise damaged() from error
    except Exception as error:  # They raise anything at all.
        raise damaged() from error


def damaged() -> DocumentError:
    """The refusal of a container that cannot be unpacked."""
    return DocumentError("This archive is damaged. Make it again, or unpack it and upload its documents.")
