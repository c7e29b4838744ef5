"""Index versions that another process holds: `citewell retrieval`, over a unix socket or HTTP.

Every request names its version and carries the whole manifest, so the server keeps nothing of its callers and may be
killed and started again between any two of them.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import orjson

from indexes.engines.checks import require_dimension, require_manifest
from indexes.errors import NotFound, Overloaded
from indexes.filters import Filter
from indexes.manifest import Manifest
from indexes.model import Attributes, Match, Matches, Page, Point, SparseVector, Vector
from indexes.remote.codec import (
    Json,
    pack_attributes,
    pack_filter,
    pack_points,
    pack_sparse,
    pack_vectors,
    unpack_matches,
    unpack_page,
    unpack_vectors,
)
from indexes.remote.endpoint import Endpoint, encode

_SLICE = 512  # points of one request: about 2 MB at 768 dimensions


class _Connection:
    """Requests to the server from any thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = endpoint.client()

    def read(self, operation: str, body: Json) -> Any:  # noqa: ANN401 - JSON
        """Ask; once more where the connection broke. Raises Overloaded at once where the server is full."""
        content = encode(body)
        with self._endpoint.errors():
            try:
                reply = self._client.post(f"/index/{operation}", content=content)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                reply = self._client.post(f"/index/{operation}", content=content)
        return self._endpoint.read(reply)

    def write(self, operation: str, body: Json) -> None:
        """Change something; never twice, since what came between would be undone. Waits where the server is full."""
        content = encode(body)
        deadline = time.monotonic() + self._endpoint.timeout_s
        while True:
            with self._endpoint.errors():
                reply = self._client.post(f"/index/{operation}", content=content)
            try:
                self._endpoint.read(reply)
            except Overloaded as refusal:  # refused before anything was done
                if time.monotonic() + refusal.retry_after_s > deadline:
                    raise
                time.sleep(refusal.retry_after_s)
            else:
                return

    def close(self) -> None:
        self._client.close()


class RemoteIndex:
    """One version. `forget` is called when the server no longer has it."""

    def __init__(
        self, connection: _Connection, version_id: str, manifest: Manifest, forget: Callable[["RemoteIndex"], None]
    ) -> None:
        self.version_id = version_id
        self.made_by = manifest.hash
        self._connection = connection
        self._names = _names(version_id, manifest)
        self._dimension = manifest.embedding.dimension
        self._forget = forget

    def upsert(self, points: Sequence[Point]) -> None:
        for point in points:
            require_dimension(point.vector, self._dimension)
        for start in range(0, len(points), _SLICE):
            self._write("upsert", {"points": pack_points(points[start : start + _SLICE])})

    def delete(self, revision_id: str) -> None:
        self._write("delete", {"revision_id": revision_id})

    def set_attributes(self, revision_id: str, attributes: Attributes) -> None:
        self._write("set_attributes", {"revision_id": revision_id, "attributes": pack_attributes(attributes)})

    def dense(
        self,
        vector: Vector,
        limit: int,
        where: Filter | None = None,
        hidden: Sequence[str] = (),
        *,
        exact: bool = False,
    ) -> Matches:
        require_dimension(vector, self._dimension)
        query = {"vector": pack_vectors(vector[None]), "exact": exact}
        found = self._search("dense", query, limit, where, hidden)
        return Matches(unpack_matches(found["matches"]), found["how"])

    def lexical(
        self, terms: SparseVector, limit: int, where: Filter | None = None, hidden: Sequence[str] = ()
    ) -> list[Match]:
        return unpack_matches(self._search("lexical", {"terms": pack_sparse(terms)}, limit, where, hidden))

    def chunk_ids(self, revision_id: str) -> set[str]:
        return set(self._read("chunk_ids", {"revision_id": revision_id}))

    def count(self) -> int:
        return int(self._read("count", {}))

    def inventory(self) -> dict[str, int]:
        return dict(self._read("inventory", {}))

    def page(self, start: str | None = None, revision_ids: Sequence[str] = ()) -> Page:
        return unpack_page(self._read("page", {"start": start, "revision_ids": list(revision_ids)}))

    def vectors(self, chunk_ids: Sequence[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = {}
        for start in range(0, len(chunk_ids), _SLICE):
            part = self._read("vectors", {"chunk_ids": list(chunk_ids[start : start + _SLICE])})
            found |= zip(part["chunk_ids"], unpack_vectors(part["vectors"]), strict=True)
        return found

    def _search(self, operation: str, query: Json, limit: int, where: Filter | None, hidden: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
        return self._read(operation, {**query, "limit": limit, "where": pack_filter(where), "hidden": list(hidden)})

    def _read(self, operation: str, body: Json) -> Any:  # noqa: ANN401 - JSON
        with self._noticing_loss():
            return self._connection.read(operation, self._names | body)

    def _write(self, operation: str, body: Json) -> None:
        with self._noticing_loss():
            self._connection.write(operation, self._names | body)

    @contextmanager
    def _noticing_loss(self) -> Iterator[None]:
        try:
            yield
        except NotFound:
            self._forget(self)
            raise


class RemoteEngine:
    """The versions of another process."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._connection = _Connection(endpoint)
        self._lock = threading.Lock()
        self._indexes: dict[str, RemoteIndex] = {}

    def create(self, version_id: str, manifest: Manifest) -> RemoteIndex:
        self._connection.write("create", _names(version_id, manifest))
        return self._remember(version_id, manifest)

    def open(self, version_id: str, manifest: Manifest) -> RemoteIndex:
        index = self._indexes.get(version_id)
        if index is None:
            self._connection.read("open", _names(version_id, manifest))
            index = self._remember(version_id, manifest)
        require_manifest(version_id, index.made_by, manifest)
        return index

    def drop(self, version_id: str) -> None:
        self._connection.write("drop", {"version_id": version_id})
        with self._lock:
            self._indexes.pop(version_id, None)

    def close(self) -> None:
        self._connection.close()

    def _remember(self, version_id: str, manifest: Manifest) -> RemoteIndex:
        with self._lock:
            index = self._indexes.get(version_id)
            if index is None or index.made_by != manifest.hash:
                index = RemoteIndex(self._connection, version_id, manifest, self._forget)
                self._indexes[version_id] = index
            return index

    def _forget(self, index: RemoteIndex) -> None:
        """Another process dropped the version: the next `open` must ask again, and say so."""
        with self._lock:
            if self._indexes.get(index.version_id) is index:
                del self._indexes[index.version_id]


def _names(version_id: str, manifest: Manifest) -> Json:
    return {"version_id": version_id, "manifest": orjson.Fragment(orjson.dumps(manifest.to_json()))}
