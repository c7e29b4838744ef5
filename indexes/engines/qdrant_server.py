"""A Qdrant server or cluster: one collection per index version. Shards, replicas and graphs are the server's job.

The inverse document frequency is the server's own: it counts deleted points until the server has cleaned them up.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from qdrant_client import QdrantClient
from qdrant_client import models as qdrant
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from indexes.engines.checks import require_dimension, require_manifest, unknown_version
from indexes.engines.points import (
    DENSE,
    LEXICAL,
    NUMBER_FIELDS,
    PAGE_POINTS,
    REVISION,
    TOKENS,
    chunk_id,
    dense_vector,
    filter_clause,
    number_fields,
    page,
    payload,
    point_id,
    ranked,
)
from indexes.engines.settings import QdrantServerEngineSettings
from indexes.errors import NotFound, Unavailable
from indexes.filters import Filter, Operator
from indexes.manifest import Manifest
from indexes.model import Attributes, Match, Matches, Page, Point, SparseVector, Vector

_MANIFEST = "manifest_hash"
_SLICE = 256  # points of one request: about 1 MB at 384 dimensions
_PAGE = 10_000  # ids of one read-back page


class _ServerDialect:
    """Filters in the classes of qdrant_client."""

    def group(
        self,
        must: Sequence[qdrant.Filter] = (),
        should: Sequence[qdrant.Filter] = (),
        must_not: Sequence[qdrant.Filter] = (),
    ) -> qdrant.Filter:
        return qdrant.Filter(must=list(must), should=list(should) or None, must_not=list(must_not))

    def one_of(self, field: str, values: Sequence[str]) -> qdrant.Filter:
        return qdrant.Filter(must=[qdrant.FieldCondition(key=field, match=qdrant.MatchAny(any=list(values)))])

    def bounded(self, field: str, relation: Operator, bound: float) -> qdrant.Filter:
        return qdrant.Filter(must=[qdrant.FieldCondition(key=field, range=qdrant.Range(**{relation.value: bound}))])


_DIALECT = _ServerDialect()


class QdrantServerIndex:
    """One version in its collection. `forget` is called when the server no longer has it."""

    def __init__(
        self, client: QdrantClient, collection: str, manifest: Manifest, forget: Callable[["QdrantServerIndex"], None]
    ) -> None:
        self.collection = collection
        self.made_by = manifest.hash
        self._client = client
        self._forget = forget
        self._dimension = manifest.embedding.dimension
        self._indexed: set[str] = set()

    def upsert(self, points: Sequence[Point]) -> None:
        for point in points:
            require_dimension(point.vector, self._dimension)
        with self._noticing_loss():
            self._index_numbers(set[str]().union(*(number_fields(point.attributes) for point in points)))
            for start in range(0, len(points), _SLICE):
                part = [_server_point(point) for point in points[start : start + _SLICE]]
                self._client.upsert(self.collection, part, wait=True)

    def delete(self, revision_id: str) -> None:
        with self._noticing_loss():
            self._client.delete(self.collection, _of_revision(revision_id), wait=True)

    def set_attributes(self, revision_id: str, attributes: Attributes) -> None:
        with self._noticing_loss():
            self._index_numbers(number_fields(attributes))
            stored = payload(revision_id, attributes)
            self._client.overwrite_payload(self.collection, stored, _of_revision(revision_id), wait=True)

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
        params = qdrant.SearchParams(exact=True) if exact else None
        found = self._search(vector.tolist(), DENSE, limit, filter_clause(_DIALECT, where, hidden), params)
        return Matches(found, "exact" if exact else "as the Qdrant server planned it")

    def lexical(
        self, terms: SparseVector, limit: int, where: Filter | None = None, hidden: Sequence[str] = ()
    ) -> list[Match]:
        if not terms.indices:
            return []
        return self._search(_server_sparse(terms), LEXICAL, limit, filter_clause(_DIALECT, where, hidden))

    def chunk_ids(self, revision_id: str) -> set[str]:
        return {chunk_id(record.id) for record in self._scroll(_of_revision(revision_id), payload=False)}

    def count(self) -> int:
        with self._noticing_loss():
            return self._client.count(self.collection, exact=True).count

    def inventory(self) -> dict[str, int]:
        return dict(Counter(str((record.payload or {})[REVISION]) for record in self._scroll(None, payload=[REVISION])))

    def _scroll(self, where: qdrant.Filter | None, payload: bool | list[str]) -> Iterator[qdrant.Record]:
        offset = None
        with self._noticing_loss():
            while True:
                found = self._client.scroll(self.collection, where, limit=_PAGE, offset=offset, with_payload=payload)
                records, offset = found
                yield from records
                if offset is None:
                    return

    def page(self, start: str | None = None, revision_ids: Sequence[str] = ()) -> Page:
        with self._noticing_loss():
            records, following = self._client.scroll(
                self.collection,
                _DIALECT.one_of(REVISION, revision_ids) if revision_ids else None,
                limit=PAGE_POINTS,
                offset=None if start is None else str(point_id(start)),
                with_payload=[REVISION, TOKENS],
                with_vectors=[DENSE],
            )
        return page(records, self._dimension, following)

    def vectors(self, chunk_ids: Sequence[str]) -> dict[str, Vector]:
        with self._noticing_loss():
            records = self._client.retrieve(
                self.collection, [point_id(key) for key in chunk_ids], with_payload=False, with_vectors=[DENSE]
            )
        return {chunk_id(record.id): dense_vector(record.vector) for record in records}

    def _search(
        self,
        query: list[float] | qdrant.SparseVector,
        using: str,
        limit: int,
        where: qdrant.Filter | None,
        params: qdrant.SearchParams | None = None,
    ) -> list[Match]:
        with self._noticing_loss():
            found = self._client.query_points(
                self.collection,
                query,
                using=using,
                query_filter=where,
                search_params=params,
                limit=limit,
                with_payload=[REVISION],
            ).points
        return ranked([Match(chunk_id(hit.id), str((hit.payload or {})[REVISION]), hit.score) for hit in found])

    def _index_numbers(self, fields: set[str]) -> None:
        for field in sorted(fields - self._indexed)[: max(0, NUMBER_FIELDS - len(self._indexed))]:
            self._client.create_payload_index(self.collection, field, qdrant.PayloadSchemaType.FLOAT, wait=True)
            self._indexed.add(field)

    @contextmanager
    def _noticing_loss(self) -> Iterator[None]:
        try:
            with _server_errors(self.collection):
                yield
        except NotFound:
            self._forget(self)
            raise


class QdrantServerEngine:
    """All versions as collections of one server, told from others' by a prefix."""

    def __init__(self, client: QdrantClient, settings: QdrantServerEngineSettings) -> None:
        self._client = client
        self._settings = settings
        self._lock = threading.Lock()
        self._indexes: dict[str, QdrantServerIndex] = {}  # by collection

    def create(self, version_id: str, manifest: Manifest) -> QdrantServerIndex:
        collection = self._collection(version_id)
        with _server_errors(collection):
            if not self._client.collection_exists(collection):
                self._indexes.pop(collection, None)  # what it knows is of a collection that was lost
                self._make(collection, manifest)
            for field in (REVISION, TOKENS):
                self._client.create_payload_index(collection, field, qdrant.PayloadSchemaType.KEYWORD, wait=True)
        return self.open(version_id, manifest)

    def open(self, version_id: str, manifest: Manifest) -> QdrantServerIndex:
        collection = self._collection(version_id)
        with self._lock:
            index = self._indexes.get(collection)
            require_manifest(version_id, index.made_by if index else self._made_by(collection), manifest)
            if index is None:
                index = self._indexes[collection] = QdrantServerIndex(self._client, collection, manifest, self._forget)
        return index

    def drop(self, version_id: str) -> None:
        collection = self._collection(version_id)
        with self._lock:
            self._indexes.pop(collection, None)
        with _server_errors(collection):
            self._client.delete_collection(collection)

    def close(self) -> None:
        self._client.close()

    def _forget(self, index: QdrantServerIndex) -> None:
        """The collection is gone: the next `open` must ask again, and say so."""
        with self._lock:
            if self._indexes.get(index.collection) is index:
                del self._indexes[index.collection]

    def _collection(self, version_id: str) -> str:
        return self._settings.prefix + version_id

    def _made_by(self, collection: str) -> object:
        with _server_errors(collection):
            metadata = self._client.get_collection(collection).config.metadata or {}
        return metadata.get(_MANIFEST)

    def _make(self, collection: str, manifest: Manifest) -> None:
        try:
            self._client.create_collection(
                collection,
                vectors_config={
                    DENSE: qdrant.VectorParams(size=manifest.embedding.dimension, distance=qdrant.Distance.COSINE)
                },
                sparse_vectors_config={LEXICAL: qdrant.SparseVectorParams(modifier=qdrant.Modifier.IDF)},
                hnsw_config=qdrant.HnswConfigDiff(m=manifest.ann.m, ef_construct=manifest.ann.ef_construct),
                shard_number=self._settings.shards,
                replication_factor=self._settings.replicas,
                metadata={_MANIFEST: manifest.hash, "manifest": manifest.to_json()},
            )
        except UnexpectedResponse:
            # Another process made it in the meantime: opening it compares the manifests.
            if not self._client.collection_exists(collection):
                raise


def connect(settings: QdrantServerEngineSettings) -> QdrantClient:
    """A client of the server that the settings name. It connects on its first call."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return QdrantClient(url=settings.url, api_key=key, timeout=settings.timeout_s, check_compatibility=False)


@contextmanager
def _server_errors(collection: str) -> Iterator[None]:
    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code == 404:
            raise unknown_version(collection) from error
        raise Unavailable(f"The Qdrant server refused: {error}. Check its log and its version.") from error
    except (ApiException, QdrantException) as error:
        raise Unavailable(f"The Qdrant server does not answer: {error}. Try again.") from error
    except ValueError as error:
        # The client's local mode, which tests use, has no status codes.
        if str(error) == f"Collection {collection} not found":
            raise unknown_version(collection) from error
        raise


def _server_point(point: Point) -> qdrant.PointStruct:
    return qdrant.PointStruct(
        id=str(point_id(point.chunk_id)),
        vector={DENSE: point.vector.tolist(), LEXICAL: _server_sparse(point.sparse)},
        payload=payload(point.revision_id, point.attributes),
    )


def _server_sparse(terms: SparseVector) -> qdrant.SparseVector:
    return qdrant.SparseVector(indices=list(terms.indices), values=list(terms.values))


def _of_revision(revision_id: str) -> qdrant.Filter:
    return _DIALECT.one_of(REVISION, [revision_id])
