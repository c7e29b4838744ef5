"""Searches over HTTP: one connection each. A client that did more for each request would take part of the cores that
are measured.
"""

from http.client import HTTPConnection
from typing import Protocol, Self
from urllib.parse import urlencode, urlsplit

import orjson

from bench.home import STORE
from bench.service import Service


class Client(Protocol):
    """Searches one server, as a context."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def search(self, text: str, limit: int) -> bytes:
        """The body of the reply."""

    def documents(self, reply: bytes) -> list[str]:
        """The documents that a reply names, best first."""


class _Connected:
    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        content = reply.read()
        assert reply.status == 200, content
        return content


class CitewellClient(_Connected):
    """Of the store of the bench."""

    def __init__(self, service: Service) -> None:
        super().__init__(service.url)
        self._headers = {"authorization": f"Bearer {service.key}", "content-type": "application/json"}

    def search(self, text: str, limit: int) -> bytes:
        """The body of the reply."""
        body = orjson.dumps({"query": text, "max_num_results": limit})
        return self._ask("POST", f"/v1/vector_stores/{STORE}/search", body, self._headers)

    def documents(self, reply: bytes) -> list[str]:
        """The keys of the hits."""
        return [hit["key"] for hit in orjson.loads(reply)["data"]]


class TxtaiClient(_Connected):
    """Of txtai's API."""

    def search(self, text: str, limit: int) -> bytes:
        """The body of the reply."""
        return self._ask("GET", f"/search?{urlencode({'query': text, 'limit': limit})}", None, {})

    def documents(self, reply: bytes) -> list[str]:
        """The ids of the hits."""
        return [hit["id"] for hit in orjson.loads(reply)]

    def index(self, documents: dict[str, str]) -> None:
        """Store the documents and make them searchable."""
        headers = {"content-type": "application/json"}
        self._ask("POST", "/add", orjson.dumps([{"id": key, "text": text} for key, text in documents.items()]), headers)
        self._connection.timeout = None
        self._connection.close()
        self._ask("GET", "/index", None, {})
