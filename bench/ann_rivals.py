"""What is compared: the platform's engines, and the libraries that people would use instead.

Each is built from the rows of a file and asked for the best ten; filters are what each of them has to offer. `efforts`
are the values of its one knob, smallest first; () where it has none or sets it itself.
"""

import itertools
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.ann_data import LIMIT, REVISION_ROWS, SHARES
from indexes.engines.opening import open_engine
from indexes.engines.settings import (
    EngineSettings,
    ExactEngineSettings,
    FaissEngineSettings,
    QdrantEdgeEngineSettings,
)
from indexes.filters import Comparison, Operator
from indexes.ids import chunk_id
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Point, SparseVector, Vector

BUILD_THREADS = 2
_LADDER = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
_PROBES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512)


class Rival(Protocol):
    """One way to search."""

    efforts: Sequence[int]
    shares: Sequence[float]

    def build(self, vectors: Vector, levels: NDArray[np.float64], folder: Path) -> None:
        """Store all rows, as fast to search as they will be, and on disk in `folder` if it can."""

    def search(self, query: Vector, share: float, effort: int) -> Sequence[object]:
        """The best ten rows of those that the filter leaves, as its results come."""

    def rows(self, found: Sequence[object]) -> set[int]:
        """The numbers of the rows in a result."""


class Ours:
    """An engine of the platform behind its contract."""

    efforts: Sequence[int] = ()
    shares: Sequence[float] = SHARES

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._filters = {share: Comparison("level", Operator.LT, share) for share in SHARES if share < 1}

    def build(self, vectors: Vector, levels: NDArray[np.float64], folder: Path) -> None:
        spec = EmbeddingSpec("bench", "1", "0" * 64, vectors.shape[1], 256)
        self._index = open_engine(self._settings, folder).create(
            "ixv_bench", Manifest("p", "c", Chunking(256, 0), spec)
        )
        self._count = len(vectors)
        none = SparseVector((), ())
        numbers = iter(range(len(vectors)))
        while batch := list(itertools.islice(numbers, 1_000)):
            points = []
            for row in batch:
                revision = f"rev_{row // REVISION_ROWS}"
                attributes = {"level": float(levels[row])}
                points.append(Point(_chunk(row), revision, vectors[row], none, attributes))
            self._index.upsert(points)
        if not isinstance(self._settings, ExactEngineSettings):
            self._settle(vectors[0])

    def search(self, query: Vector, share: float, effort: int) -> Sequence[object]:
        return self._index.dense(query, LIMIT, self._filters.get(share))

    def rows(self, found: Sequence[object]) -> set[int]:
        return {self._numbers[match.chunk_id] for match in found}  # type: ignore[attr-defined]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Made after the memory was measured: it is the bench's."""
        return {_chunk(row): row for row in range(self._count)}

    def _settle(self, query: Vector) -> None:
        """Wait for what goes on in the background: graphs and merges."""
        version = self._index.version  # type: ignore[attr-defined]
        inner = getattr(version, "inner", None)
        while version.due() or (inner is not None and (not version.loaded or inner.version.due())):
            self._index.dense(query, LIMIT)
            time.sleep(0.1)
        if inner is not None:
            while version.now.shape.delta:  # all in the main part, as in the others
                version.merge(threading.Event())


class Faiss:
    """Bare FAISS, one thread a query; its selector as filter."""

    shares: Sequence[float] = SHARES

    def __init__(self, kind: str, efforts: Sequence[int]) -> None:
        self._kind = kind
        self.efforts = efforts

    def build(self, vectors: Vector, levels: NDArray[np.float64], folder: Path) -> None:
        import faiss

        self._faiss = faiss
        faiss.omp_set_num_threads(BUILD_THREADS)
        kind = self._kind.format(lists=int(4 * len(vectors) ** 0.5))
        self._index = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        if hasattr(self._index, "hnsw"):
            self._index.hnsw.efConstruction = 64
        if not self._index.is_trained:
            sample = np.random.default_rng(0).permutation(len(vectors))[: 40 * self._index.nlist]
            self._index.train(vectors[np.sort(sample)])
        for start in range(0, len(vectors), 10_000):
            self._index.add(np.ascontiguousarray(vectors[start : start + 10_000]))
        faiss.write_index(self._index, str(folder / "index"))
        faiss.omp_set_num_threads(1)
        self._bits = {share: np.packbits(levels < share, bitorder="little") for share in SHARES if share < 1}

    def search(self, query: Vector, share: float, effort: int) -> Sequence[object]:
        faiss = self._faiss
        selector = faiss.IDSelectorBitmap(self._bits[share]) if share < 1 else None
        if self._kind == "Flat":
            parameters = faiss.SearchParameters(sel=selector)
        elif self._kind.startswith("IVF"):
            parameters = faiss.SearchParametersIVF(nprobe=effort, sel=selector)
        else:
            parameters = faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
        _, rows = self._index.search(query[None], LIMIT, params=parameters)
        return rows[0]  # type: ignore[no-any-return]

    def rows(self, found: Sequence[object]) -> set[int]:
        return {int(row) for row in found}  # type: ignore[call-overload]


class Edge:
    """Bare Qdrant Edge: ids and scores only, an index on the filtered field."""

    shares: Sequence[float] = SHARES
    efforts: Sequence[int] = _LADDER

    def build(self, vectors: Vector, levels: NDArray[np.float64], folder: Path) -> None:
        import qdrant_edge as edge

        self._edge = edge
        config = edge.EdgeConfig(
            vectors={"": edge.EdgeVectorParams(size=vectors.shape[1], distance=edge.Distance.Cosine)},
            hnsw_config=edge.HnswIndexConfig(
                m=16, ef_construct=128, full_scan_threshold=10_000, max_indexing_threads=BUILD_THREADS
            ),
            max_search_threads=1,
        )
        (folder / "shard").mkdir()
        self._shard = edge.EdgeShard.create(str(folder / "shard"), config)
        self._shard.update(edge.UpdateOperation.create_field_index("level", edge.PayloadSchemaType.Float))
        for start in range(0, len(vectors), 1_000):
            rows = range(start, min(start + 1_000, len(vectors)))
            points = [edge.Point(row, vectors[row].tolist(), {"level": float(levels[row])}) for row in rows]
            self._shard.update(edge.UpdateOperation.upsert_points(points))
        self._shard.optimize()
        self._shard.flush()

    def search(self, query: Vector, share: float, effort: int) -> Sequence[object]:
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
        return self._shard.query(request)  # type: ignore[no-any-return]

    def rows(self, found: Sequence[object]) -> set[int]:
        return {hit.id for hit in found}  # type: ignore[attr-defined]


class Hnswlib:
    """hnswlib; its filter is a Python function that is called for each row that a search meets."""

    shares: Sequence[float] = SHARES
    efforts: Sequence[int] = _LADDER

    def build(self, vectors: Vector, levels: NDArray[np.float64], folder: Path) -> None:
        import hnswlib

        self._index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        self._index.init_index(max_elements=len(vectors), M=16, ef_construction=128)
        self._index.set_num_threads(BUILD_THREADS)
        for start in range(0, len(vectors), 10_000):
            self._index.add_items(np.ascontiguousarray(vectors[start : start + 10_000]))
        self._index.save_index(str(folder / "index"))
        self._index.set_num_threads(1)
        self._levels = levels.tolist()
        self._effort = 0

    def search(self, query: Vector, share: float, effort: int) -> Sequence[object]:
        if effort != self._effort:
            self._index.set_ef(effort)
            self._effort = effort
        if share == 1:
            return self._index.knn_query(query, LIMIT)[0][0]  # type: ignore[no-any-return]
        levels = self._levels
        try:
            return self._index.knn_query(query, LIMIT, filter=lambda row: levels[row] < share)[0][0]  # type: ignore[no-any-return]
        except RuntimeError:  # fewer than ten found
            return ()

    def rows(self, found: Sequence[object]) -> set[int]:
        return {int(row) for row in found}  # type: ignore[call-overload]


class Usearch:
    """usearch, which cannot filter from Python."""

    shares: Sequence[float] = (1.0,)
    efforts: Sequence[int] = _LADDER

    def build(self, vectors: Vector, levels: NDArray[np.float64], folder: Path) -> None:
        from usearch.index import Index

        self._index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=128)
        for start in range(0, len(vectors), 10_000):
            rows = np.arange(start, min(start + 10_000, len(vectors)))
            self._index.add(rows, np.ascontiguousarray(vectors[rows]), threads=BUILD_THREADS)
        self._index.save(str(folder / "index"))

    def search(self, query: Vector, share: float, effort: int) -> Sequence[object]:
        self._index.expansion_search = effort
        return self._index.search(query, LIMIT, threads=1).keys  # type: ignore[no-any-return,union-attr]

    def rows(self, found: Sequence[object]) -> set[int]:
        return {int(row) for row in found}  # type: ignore[call-overload]


def _chunk(row: int) -> str:
    return chunk_id(f"rev_{row // REVISION_ROWS}", "c", row)


def rivals(rows: int) -> dict[str, Rival]:
    """By name, those that can hold so many rows."""
    edge = QdrantEdgeEngineSettings(optimise_threads=BUILD_THREADS, search_threads=1)
    ours: dict[str, Rival] = {
        "citewell faiss": Ours(FaissEngineSettings(inner=edge, merge_threads=BUILD_THREADS)),
        "citewell edge": Ours(edge),
    }
    if rows <= 20_000:  # the oracle makes every comparison in Python, and is for tests
        ours["citewell exact"] = Ours(ExactEngineSettings())
    peers: dict[str, Rival] = {
        "FAISS Flat": Faiss("Flat", ()),
        "FAISS HNSW32": Faiss("HNSW32", _LADDER),
        "FAISS IVF": Faiss("IVF{lists},Flat", _PROBES),
        "Qdrant Edge": Edge(),
    }
    optional: dict[str, Rival] = {"hnswlib": Hnswlib(), "usearch": Usearch()}  # the `peers` extra
    return {**ours, **peers, **{name: rival for name, rival in optional.items() if find_spec(name)}}
