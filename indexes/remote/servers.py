"""Several processes that run the same models, as one: the least busy healthy one is asked, another where it fails."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from indexes.balance import choices
from indexes.errors import CitewellError, Overloaded, Unavailable
from indexes.remote.codec import Json
from indexes.remote.endpoint import Endpoint, encode

_REST_S = 5.0  # as long as it takes one of them to start again with its model in the page cache


@dataclass(slots=True, eq=False)
class _Server:
    endpoint: Endpoint
    client: httpx.AsyncClient
    in_flight: int = 0
    rests_until: float = 0.0


class ModelServers:
    """For one event loop, and for what may be asked twice: to embed and to score changes nothing there.

    A server that does not answer rests for some seconds; then the next call tries it again. Where all of them rest, the
    one that has rested longest is tried.
    """

    def __init__(self, endpoints: Sequence[Endpoint], clock: Callable[[], float] = time.monotonic) -> None:
        """At least one. They connect on the first call."""
        self._servers = [_Server(endpoint, endpoint.async_client()) for endpoint in endpoints]
        self._clock = clock

    async def ask(self, path: str, body: Json) -> Any:  # noqa: ANN401 - JSON
        """What one of them answers.

        Raises Overloaded where one is full and no other answers, Unavailable where none answers, and at once whatever
        else one of them answers with.
        """
        content, tried = encode(body), dict[_Server, CitewellError]()
        while len(tried) < len(self._servers):
            server = choices((one for one in self._servers if one not in tried), self._clock())[0]
            try:
                answer = await _asked(server, path, content)
            except Overloaded as error:
                tried[server] = error
            except Unavailable as error:
                tried[server] = error
                server.rests_until = self._clock() + _REST_S
            else:
                server.rests_until = 0.0
                return answer
        raise next((error for error in tried.values() if isinstance(error, Overloaded)), tried[server])

    async def close(self) -> None:
        """Disconnect; the servers go on serving others."""
        for server in self._servers:
            await server.client.aclose()


async def _asked(server: _Server, path: str, content: bytes) -> Any:  # noqa: ANN401 - JSON
    server.in_flight += 1
    try:
        with server.endpoint.errors():
            reply = await server.client.post(path, content=content)
    finally:
        server.in_flight -= 1
    return server.endpoint.read(reply)
