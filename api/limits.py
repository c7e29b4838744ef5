"""Bounded concurrency: what is beyond capacity is refused at once (invariant I12)."""

from types import TracebackType

from indexes.errors import Overloaded


class Capacity:
    """So many at the same time, and no queue. Use as `async with capacity:`; on the event loop only.

    Entering raises Overloaded where all `limit` places are taken, which is 429 with `Retry-After`.
    """

    def __init__(self, limit: int, *, retry_after_s: float = 1.0) -> None:
        self.limit = limit
        self.taken = 0
        self._retry_after_s = retry_after_s

    async def __aenter__(self) -> None:
        if self.taken >= self.limit:
            raise Overloaded(
                f"All {self.limit} places are taken. Try again in a moment.", retry_after_s=self._retry_after_s
            )
        self.taken += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.taken -= 1
