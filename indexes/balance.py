"""Which of several servers of the same model to ask: one rule for those that embed, score and chat."""

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Server(Protocol):
    """Calls that it has in flight, and until when it is left out, by a monotonic clock, because it failed."""

    in_flight: int
    rests_until: float


S = TypeVar("S", bound=Server)


def choices(servers: Iterable[S], now: float) -> list[S]:
    """The healthy ones, least busy first. Where all rest: the one that has rested longest."""
    known = list(servers)
    healthy = [server for server in known if server.rests_until <= now]
    if healthy:
        return sorted(healthy, key=lambda server: server.in_flight)
    return sorted(known, key=lambda server: server.rests_until)[:1]
