"""How `citewell retrieval` is reached, and how its replies are read."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from indexes.errors import InvalidRequest, SettingsError, Unauthenticated, Unavailable
from indexes.remote.codec import Json, unpack_error

PREFIX = "/1"
"""Of every path: another number where a release speaks so that this one would misunderstand it."""

_CONNECT_S = 5.0
# Shorter than the server keeps them: a connection that it is just closing must not be used for a write.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server listens, `unix:///path` or `http://host:port`. Raises SettingsError for another form.

    `timeout_s` is how long one reply may take.
    """

    url: str
    secret: str = field(repr=False)
    timeout_s: float

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if not ((parts.scheme == "unix" and parts.path) or (parts.scheme in ("http", "https") and parts.hostname)):
            raise SettingsError(
                f"'{self.url}' is no address of `citewell retrieval`: unix:///path or http://host:port."
            )

    def client(self) -> httpx.Client:
        """A client for any thread. It connects on its first call."""
        transport = httpx.HTTPTransport(verify=self._verify(), uds=self._socket, limits=_LIMITS)
        return httpx.Client(
            transport=transport, base_url=self._base_url, headers=self._headers, timeout=self._timeout, trust_env=False
        )

    def async_client(self) -> httpx.AsyncClient:
        """A client for one event loop. It connects on its first call."""
        transport = httpx.AsyncHTTPTransport(verify=self._verify(), uds=self._socket, limits=_LIMITS)
        return httpx.AsyncClient(
            transport=transport, base_url=self._base_url, headers=self._headers, timeout=self._timeout, trust_env=False
        )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns whatever keeps a reply from coming into Unavailable."""
        try:
            yield
        except httpx.HTTPError as error:
            raise Unavailable(
                f"`citewell retrieval` at {self.url} does not answer ({str(error) or type(error).__name__}). "
                "See that it runs, and try again."
            ) from error

    def read(self, reply: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        """What a reply says. Raises the error that it carries, in this process's tree."""
        try:
            data = orjson.loads(reply.content)
            if reply.is_success:
                return data
            error = unpack_error(data["error"])
        except (ValueError, TypeError, LookupError) as cause:
            raise Unavailable(
                f"{self.url} answered {reply.status_code}, and not as `citewell retrieval` does. "
                "Check the address, and that both processes are of the same release."
            ) from cause
        if isinstance(error, Unauthenticated):
            # The caller's own key is good: it is this process that was set up wrongly.
            raise Unavailable(
                f"`citewell retrieval` at {self.url} refuses the secret of this process. Give both the same one."
            )
        raise error

    @property
    def _socket(self) -> str | None:
        parts = urlsplit(self.url)
        return parts.path if parts.scheme == "unix" else None

    @property
    def _base_url(self) -> str:
        return f"{'http://retrieval' if self._socket else self.url.rstrip('/')}{PREFIX}"

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}", "content-type": "application/json"}

    @property
    def _timeout(self) -> httpx.Timeout:
        return httpx.Timeout(self.timeout_s, connect=_CONNECT_S)

    def _verify(self) -> ssl.SSLContext | bool:
        return self.url.startswith("https:")  # reading all certificates takes 20 ms: only where they are needed


def encode(body: Json) -> bytes:
    """The body of a request. Raises InvalidRequest for what JSON cannot hold."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(f"This cannot be sent as JSON: {error}. Send valid Unicode.") from error
