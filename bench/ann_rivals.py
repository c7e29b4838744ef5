"""What is compared: the platform's engines, and the libraries that people would use instead.

Each is built in a folder by one process and opened by another. A search answers with what a caller needs of ten chunks:
their ids as strings with their scores, best first. Filters are what each has to offer, and are known beforehand.
"""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from bench.ann_data import LIMIT, SHARES, Collection
from bench.ann_ours import BUILD_THREADS, ours
from indexes.model import Vector

_LADDER = (10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
_PROBES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512)
_SLICE = 10_000

Found = Iterable[tuple[Any, ...]]
"""The id of a chunk first, its score last, best chunk first."""


class Rival(Protocol):
    """One way to search. `efforts` are the values of its one knob, smallest first; () where it sets that itself."""

    efforts: Sequence[int]
    shares: Sequence[float]

    def build(self, collection: Collection, folder: Path) -> None:
        """Store all rows in a folder, as fast to search as they will be."""

    def open(self, collection: Collection, folder: Path) -> None:
        """Make ready to search what was built."""

    def search(self, query: Vector, share: float, effort: int) -> Found:
        """The best ten of the rows that the filter leaves."""


class Faiss:
    """Bare FAISS, one thread a query; its selector as filter."""

    shares: Sequence[float] = SHARES

    def __init__(self, kind: str, efforts: Sequence[int]) -> None:
        self._kind = kind
        self.efforts = efforts

    def build(self, collection: Collection, folder: Path) -> None:
        import faiss

        vectors = collection.vectors
        faiss.omp_set_num_threads(BUILD_THREADS)
        kind = self._kind.format(lists=int(4 * len(vectors) ** 0.5))
        index = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        if hasattr(index, "hnsw"):
            index.hnsw.efConstruction = 64
        if not index.is_trained:
            sample = np.random.default_rng(0).permutation(len(vectors))[: 40 * index.nlist]
            index.train(vectors[np.sort(sample)])
        for _, part in _slices(vectors):
            index.add(part)
        faiss.write_index(index, str(folder / "index"))

    def open(self, collection: Collection, folder: Path) -> None:
        import faiss

        self._faiss = faiss
        self._index = faiss.read_index(str(folder / "index"))
        self._ids = collection.ids
        levels = collection.levels
        self._bits = {share: np.packbits(levels < share, bitorder="little") for share in SHARES if share < 1}

    def search(self, query: Vector, share: float, effort: int) -> Found:
        faiss = self._faiss
        faiss.omp_set_num_threads(1)  # of the calling thread
        selector = faiss.IDSelectorBitmap(self._bits[share]) if share < 1 else None
        if self._kind == "Flat":
            parameters = faiss.SearchParameters(sel=selector)
        elif self._kind.startswith("IVF"):
            parameters = faiss.SearchParametersIVF(nprobe=effort, sel=selector)
        else:
            parameters = faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
        scores, rows = self._index.search(query[None], LIMIT, params=parameters)
        return _named(self._ids, rows[0], scores[0])


class Edge:
    """Bare Qdrant Edge: a chunk's id is the id of its point, an index on the filtered field."""

    shares: Sequence[float] = SHARES
    efforts: Sequence[int] = _LADDER

    def build(self, collection: Collection, folder: Path) -> None:
        import qdrant_edge as edge

        config = edge.EdgeConfig(
            vectors={"": edge.EdgeVectorParams(size=collection.queries.shape[1], distance=edge.Distance.Cosine)},
            hnsw_config=edge.HnswIndexConfig(
                m=16, ef_construct=128, full_scan_threshold=10_000, max_indexing_threads=BUILD_THREADS
            ),
            max_search_threads=1,
        )
        (folder / "shard").mkdir()
        shard = edge.EdgeShard.create(str(folder / "shard"), config)
        shard.update(edge.UpdateOperation.create_field_index("level", edge.PayloadSchemaType.Float))
        for start, part in _slices(collection.vectors, 1_000):
            levels = collection.levels[start : start + len(part)].tolist()
            chunks = collection.ids[start : start + len(part)]
            points = [
                edge.Point(UUID(chunk.removeprefix("chunk_")), vector, {"level": level})
                for chunk, vector, level in zip(chunks, part.tolist(), levels, strict=True)
            ]
            shard.update(edge.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()
        shard.close()

    def open(self, collection: Collection, folder: Path) -> None:
        import qdrant_edge as edge

        self._edge = edge
        self._shard = edge.EdgeShard.load(str(folder / "shard"))

    def search(self, query: Vector, share: float, effort: int) -> Found:
        edge = self._edge
        where = None
        if share < 1:
            where = edge.Filter(must=[edge.FieldCondition(key="level", range=edge.RangeFloat(lt=share))])
        request = edge.QueryRequest(
            query=edge.Query.Nearest(query.tolist()),
            limit=LIMIT,
            filter=where,
            params=edge.SearchParams(hnsw_ef=effort),
        )
        return [("chunk_" + hit.id.hex, hit.score) for hit in self._shard.query(request)]


class Hnswlib:
    """hnswlib; its filter is a Python function that is called for each row that a search meets."""

    shares: Sequence[float] = SHARES
    efforts: Sequence[int] = _LADDER

    def build(self, collection: Collection, folder: Path) -> None:
        import hnswlib

        vectors = collection.vectors
        index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        index.init_index(max_elements=len(vectors), M=16, ef_construction=128)
        index.set_num_threads(BUILD_THREADS)
        for _, part in _slices(vectors):
            index.add_items(part)
        index.save_index(str(folder / "index"))

    def open(self, collection: Collection, folder: Path) -> None:
        import hnswlib

        self._index = hnswlib.Index(space="ip", dim=collection.queries.shape[1])
        self._index.load_index(str(folder / "index"))
        self._index.set_num_threads(1)
        self._ids = collection.ids
        self._levels = collection.levels.tolist()
        self._effort = 0

    def search(self, query: Vector, share: float, effort: int) -> Found:
        if effort != self._effort:
            self._index.set_ef(effort)
            self._effort = effort
        levels = self._levels
        allowed = None if share == 1 else lambda row: levels[row] < share
        try:
            rows, distances = self._index.knn_query(query, LIMIT, filter=allowed)
        except RuntimeError:  # fewer than ten found
            return ()
        return _named(self._ids, rows[0], 1 - distances[0])


class Usearch:
    """usearch, which cannot filter from Python."""

    shares: Sequence[float] = (1.0,)
    efforts: Sequence[int] = _LADDER

    def build(self, collection: Collection, folder: Path) -> None:
        from usearch.index import Index

        vectors = collection.vectors
        index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=128)
        for start, part in _slices(vectors):
            index.add(np.arange(start, start + len(part)), part, threads=BUILD_THREADS)
        index.save(str(folder / "index"))

    def open(self, collection: Collection, folder: Path) -> None:
        from usearch.index import Index

        self._index: Any = Index.restore(str(folder / "index"))
        self._ids = collection.ids

    def search(self, query: Vector, share: float, effort: int) -> Found:
        self._index.expansion_search = effort
        found = self._index.search(query, LIMIT, threads=1)
        return _named(self._ids, found.keys, 1 - found.distances)


def rivals(rows: int) -> dict[str, Rival]:
    """By name, those that can hold so many rows."""
    peers: dict[str, Rival] = {
        "FAISS Flat": Faiss("Flat", ()),
        "FAISS HNSW32": Faiss("HNSW32", _LADDER),
        "FAISS IVF": Faiss("IVF{lists},Flat", _PROBES),
        "Qdrant Edge": Edge(),
    }
    optional: dict[str, Rival] = {"hnswlib": Hnswlib(), "usearch": Usearch()}  # the `peers` extra
    return {**ours(rows), **peers, **{name: rival for name, rival in optional.items() if find_spec(name)}}


def _slices(vectors: Vector, rows: int = _SLICE) -> Iterable[tuple[int, Vector]]:
    """With the number of the first row of each."""
    for start in range(0, len(vectors), rows):
        yield start, np.ascontiguousarray(vectors[start : start + rows])


def _named(ids: Sequence[str], rows: NDArray[Any], scores: NDArray[Any]) -> Found:
    return [(ids[row], score) for row, score in zip(rows.tolist(), scores.tolist(), strict=True) if row >= 0]
