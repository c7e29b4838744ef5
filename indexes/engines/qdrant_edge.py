"""The embedded engine: Qdrant Edge, one shard per index version.

Dense search is a graph (HNSW) once enough chunks are there and exact before; lexical search is exact. The inverse
document frequency counts the points stored at that moment: without `_LIVE_POINTS` deleted ones would count until the
next optimisation.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from uuid import UUID

from qdrant_edge import (
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    HnswIndexConfig,
    IdfParams,
    Memory,
    Modifier,
    PayloadSchemaType,
    Query,
    QueryRequest,
    Record,
    ScrollRequest,
    SearchParams,
    UpdateOperation,
)
from qdrant_edge import Filter as EdgeFilter
from qdrant_edge import Point as EdgePoint
from qdrant_edge import SparseVector as EdgeSparse

from indexes.engines.checks import require_dimension, require_manifest
from indexes.engines.edge_dialect import EdgeDialect
from indexes.engines.edge_files import Current, EdgeFiles, read_manifest_hash, write_current, write_manifest
from indexes.engines.edge_shards import OpenShards
from indexes.engines.edge_upkeep import EdgeUpkeep
from indexes.engines.edge_version import ROOM_BYTES, EdgeVersion, Write
from indexes.engines.points import (
    DENSE,
    LEXICAL,
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
from indexes.engines.settings import QdrantEdgeEngineSettings
from indexes.filters import Filter
from indexes.manifest import Manifest
from indexes.model import Attributes, Match, Matches, Page, Point, SparseVector, Vector
from indexes.room import require_room

_LIVE_POINTS = SearchParams(idf=IdfParams(corpus=EdgeFilter()))
_EXACT = SearchParams(exact=True)
_WALKED_AS_BUILT, _WALK_EXPONENT = 100_000, 0.25
"""128 neighbours find all of 100,000 clustered points and .936 of a million, where 192 find .975 and 256 .986."""
_FULL_SCAN_KB = 10_000  # a filter that leaves less than this is compared point by point: exact, and faster
_SLICE = 256  # points of one operation: each holds the GIL, about 6 ms here
_PAGE = 10_000  # ids of one read-back page, about 10 ms


_DIALECT = EdgeDialect()


class QdrantEdgeIndex:
    """One version in its shard."""

    def __init__(self, version: EdgeVersion, manifest: Manifest, upkeep: EdgeUpkeep) -> None:
        self.version = version
        self.made_by = manifest.hash
        self._dimension = manifest.embedding.dimension
        self._ef_construct = manifest.ann.ef_construct
        self._upkeep = upkeep

    def upsert(self, points: Sequence[Point]) -> None:
        for point in points:
            require_dimension(point.vector, self._dimension)
        slices = [points[start : start + _SLICE] for start in range(0, len(points), _SLICE)]
        operations = (UpdateOperation.upsert_points([_edge_point(point) for point in part]) for part in slices)
        fields = frozenset[str]().union(*(number_fields(point.attributes) for point in points))
        self._write(Write(operations, len(points), fields))

    def delete(self, revision_id: str) -> None:
        operation = UpdateOperation.delete_points_by_filter(_of_revision(revision_id))
        self._write(Write([operation], self._counted(_of_revision(revision_id))))

    def set_attributes(self, revision_id: str, attributes: Attributes) -> None:
        operation = UpdateOperation.overwrite_payload_by_filter(
            _of_revision(revision_id), payload(revision_id, attributes)
        )
        self._write(Write([operation], self._counted(_of_revision(revision_id)), frozenset(number_fields(attributes))))

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
        params = _EXACT if exact else self._walk()
        found = self._search(Query.Nearest(vector.tolist(), using=DENSE), params, limit, where, hidden)
        return Matches(found, "exact" if exact else self._planned(where))

    def lexical(
        self, terms: SparseVector, limit: int, where: Filter | None = None, hidden: Sequence[str] = ()
    ) -> list[Match]:
        if not terms.indices:
            return []
        return self._search(Query.Nearest(_edge_sparse(terms), using=LEXICAL), _LIVE_POINTS, limit, where, hidden)

    def chunk_ids(self, revision_id: str) -> set[str]:
        return {chunk_id(record.id) for record in self._scroll(_of_revision(revision_id), payload=False)}

    def count(self) -> int:
        return self._counted(None)

    def inventory(self) -> dict[str, int]:
        return dict(Counter(str((record.payload or {})[REVISION]) for record in self._scroll(None, payload=[REVISION])))

    def _scroll(self, where: EdgeFilter | None, payload: bool | list[str]) -> Iterator[Record]:
        offset = None
        with self.version.reading() as shard:
            while True:
                page = ScrollRequest(offset=offset, limit=_PAGE, filter=where, with_payload=payload, with_vector=False)
                records, offset = shard.scroll(page)
                yield from records
                if offset is None:
                    return

    def vectors(self, chunk_ids: Sequence[str]) -> dict[str, Vector]:
        points: list[int | UUID | str] = [point_id(key) for key in chunk_ids]
        with self.version.reading() as shard:
            records = shard.retrieve(points, with_payload=False, with_vector=[DENSE])
        return {chunk_id(record.id): dense_vector(record.vector) for record in records}

    def page(self, start: str | None = None, revision_ids: Sequence[str] = ()) -> Page:
        request = ScrollRequest(
            offset=None if start is None else point_id(start),
            limit=PAGE_POINTS,
            filter=_DIALECT.one_of(REVISION, revision_ids) if revision_ids else None,
            with_payload=[REVISION, TOKENS],
            with_vector=[DENSE],
        )
        with self.version.reading() as shard:
            records, following = shard.scroll(request)
        return page(records, self._dimension, following)

    def _counted(self, where: EdgeFilter | None) -> int:
        with self.version.reading() as shard:
            return shard.count(CountRequest(filter=where))

    def _walk(self) -> SearchParams | None:
        """How many neighbours a walk keeps; None is Qdrant's own `ef_construct`, whatever the number of points."""
        with self.version.reading() as shard:
            points = shard.count(CountRequest(exact=False))
        if points <= _WALKED_AS_BUILT:
            return None
        return SearchParams(hnsw_ef=ceil(self._ef_construct * (points / _WALKED_AS_BUILT) ** _WALK_EXPONENT))

    def _planned(self, where: Filter | None) -> str:
        """How the engine searches by its own plan."""
        if not self.version.has_graph:
            return "exact"
        if where is None:
            return "hnsw"
        with self.version.reading() as shard:
            about = shard.count(CountRequest(filter=filter_clause(_DIALECT, where, ()), exact=False))
        few = about * self._dimension * 4 < _FULL_SCAN_KB * 1024
        return f"exact among about {about}" if few else f"hnsw filtered to about {about}"

    def _search(
        self, query: Query, params: SearchParams | None, limit: int, where: Filter | None, hidden: Sequence[str]
    ) -> list[Match]:
        request = QueryRequest(
            query=query,
            limit=limit,
            filter=filter_clause(_DIALECT, where, hidden),
            params=params,
            with_payload=[REVISION],
        )
        with self.version.reading() as shard:
            found = shard.query(request)
        self._keep_up()
        return ranked([Match(chunk_id(hit.id), str((hit.payload or {})[REVISION]), hit.score) for hit in found])

    def _write(self, write: Write) -> None:
        self.version.write(write)
        self._keep_up()

    def _keep_up(self) -> None:
        if self.version.due():
            self._upkeep.submit(self.version)


class QdrantEdgeEngine:
    """All versions below one directory, which one process owns."""

    def __init__(self, settings: QdrantEdgeEngineSettings, root: Path) -> None:
        self._settings = settings
        self._files = EdgeFiles(root)
        self._shards = OpenShards(settings.open_shards)
        self._upkeep = EdgeUpkeep()
        self._lock = threading.Lock()
        self._indexes: dict[str, QdrantEdgeIndex] = {}

    def create(self, version_id: str, manifest: Manifest) -> QdrantEdgeIndex:
        with self._lock:
            folder = self._files.folder(version_id)
            if not folder.exists():
                require_room(folder.parent, ROOM_BYTES)
                self._make(version_id, manifest)
        return self.open(version_id, manifest)

    def open(self, version_id: str, manifest: Manifest) -> QdrantEdgeIndex:
        folder = self._files.folder(version_id)
        with self._lock:
            index = self._indexes.get(version_id)
            if index and not folder.exists():  # removed under a running process, which would go on with lost files
                self._indexes.pop(version_id).version.close()
                index = None
            require_manifest(version_id, index.made_by if index else read_manifest_hash(folder), manifest)
            if index is None:
                index = self._indexes[version_id] = self._index(folder, manifest)
        return index

    def drop(self, version_id: str) -> None:
        with self._lock:  # or it would be opened again while its files go
            if index := self._indexes.pop(version_id, None):
                index.version.close()
            self._files.remove(version_id)

    def close(self) -> None:
        self._upkeep.close()
        self._shards.close()
        self._files.close()

    def _index(self, folder: Path, manifest: Manifest) -> QdrantEdgeIndex:
        version = EdgeVersion(folder, self._config(manifest), self._files, self._shards, self._settings.optimise_after)
        return QdrantEdgeIndex(version, manifest, self._upkeep)

    def _make(self, version_id: str, manifest: Manifest) -> None:
        work = self._files.work()
        current = Current("shard-0", optimised_points=0)
        shard = EdgeShard.create(str(work / current.shard), self._config(manifest))
        for field in (REVISION, TOKENS):
            shard.update(UpdateOperation.create_field_index(field, PayloadSchemaType.Keyword))
        shard.flush()
        shard.close()
        write_current(work, current)
        write_manifest(work, manifest.to_json(), manifest.hash)
        self._files.publish(work, version_id)

    def _config(self, manifest: Manifest) -> EdgeConfig:
        return EdgeConfig(
            vectors={
                # Not read ahead: a shard allots 32 MB at once, which would be memory for every small store.
                DENSE: EdgeVectorParams(size=manifest.embedding.dimension, distance=Distance.Cosine, memory=Memory.Cold)
            },
            sparse_vectors={LEXICAL: EdgeSparseVectorParams(modifier=Modifier.Idf)},
            hnsw_config=HnswIndexConfig(
                m=manifest.ann.m,
                ef_construct=manifest.ann.ef_construct,
                full_scan_threshold=_FULL_SCAN_KB,
                max_indexing_threads=self._settings.optimise_threads,
            ),
            max_search_threads=self._settings.search_threads,
        )


def _edge_point(point: Point) -> EdgePoint:
    return EdgePoint(
        id=point_id(point.chunk_id),
        vector={DENSE: point.vector.tolist(), LEXICAL: _edge_sparse(point.sparse)},
        payload=payload(point.revision_id, point.attributes),
    )


def _edge_sparse(terms: SparseVector) -> EdgeSparse:
    return EdgeSparse(indices=list(terms.indices), values=list(terms.values))


def _of_revision(revision_id: str) -> EdgeFilter:
    return _DIALECT.one_of(REVISION, [revision_id])
