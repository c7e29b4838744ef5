"""The platform's engines as rivals of bare libraries, behind their contract."""

import itertools
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bench.ann_data import LIMIT, REVISION_ROWS, SHARES, Collection
from indexes.engines.faiss_index import FaissIndex
from indexes.engines.opening import open_engine
from indexes.engines.qdrant_edge import QdrantEdgeIndex
from indexes.engines.settings import (
    EngineSettings,
    ExactEngineSettings,
    FaissEngineSettings,
    QdrantEdgeEngineSettings,
)
from indexes.filters import Comparison, Operator
from indexes.index import Index
from indexes.manifest import Chunking, EmbeddingSpec, Manifest
from indexes.model import Matches, Point, SparseVector, Vector

BUILD_THREADS = 2
_VERSION = "ixv_bench"
_BATCH = 1_000
_ORACLE_ROWS = 20_000


class Ours:
    """An engine of the platform, which chooses its effort itself."""

    efforts: Sequence[int] = ()
    shares: Sequence[float] = SHARES

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._filters = {share: Comparison("level", Operator.LT, share) for share in SHARES if share < 1}

    def build(self, collection: Collection, folder: Path) -> None:
        engine = open_engine(self._settings, folder)
        index = engine.create(_VERSION, _manifest(collection))
        _fill(index, collection)
        _settle(index, collection.queries[0])
        engine.close()

    def open(self, collection: Collection, folder: Path) -> None:
        engine = open_engine(self._settings, folder)
        self._index = engine.create(_VERSION, _manifest(collection))
        if isinstance(self._settings, ExactEngineSettings):  # which has no files
            _fill(self._index, collection)
        _settle(self._index, collection.queries[0])

    def search(self, query: Vector, share: float, effort: int) -> Matches:
        return self._index.dense(query, LIMIT, self._filters.get(share))


def ours(rows: int) -> dict[str, Ours]:
    """By name, those that can hold so many rows. Graphs and lists are made once, when all rows are there."""
    edge = QdrantEdgeEngineSettings(optimise_after=rows, optimise_threads=BUILD_THREADS, search_threads=1)
    within = edge.model_copy(update={"optimise_after": 2 * rows})  # no graph: it is not asked for neighbours
    engines = {
        "citewell faiss": Ours(FaissEngineSettings(inner=within, merge_after=rows, merge_threads=BUILD_THREADS)),
        "citewell edge": Ours(edge),
    }
    if rows <= _ORACLE_ROWS:  # it makes every comparison in Python, and is for tests
        engines["citewell exact"] = Ours(ExactEngineSettings())
    return engines


def _manifest(collection: Collection) -> Manifest:
    return Manifest("p", "c", Chunking(256, 0), EmbeddingSpec("bench", "1", "0" * 64, collection.queries.shape[1], 256))


def _fill(index: Index, collection: Collection) -> None:
    none, vectors = SparseVector((), ()), collection.vectors
    numbered = enumerate(collection.ids)
    while batch := list(itertools.islice(numbered, _BATCH)):
        index.upsert(
            [
                Point(
                    chunk, f"rev_{row // REVISION_ROWS}", vectors[row], none, {"level": float(collection.levels[row])}
                )
                for row, chunk in batch
            ]
        )


def _settle(index: Index, query: Vector) -> None:
    """Wait for what goes on in the background, which a search begins where it is due: loading, graphs and merges."""
    busy = True
    while busy:
        index.dense(query, LIMIT)
        busy = False
        if isinstance(index, FaissIndex):
            _settle(index.version.inner, query)
            busy = not index.version.loaded
        if isinstance(index, FaissIndex | QdrantEdgeIndex):
            busy |= index.version.due()
        time.sleep(1 if busy else 0)  # the engine within compares all rows, and holds the GIL
    if isinstance(index, FaissIndex) and (now := index.version.now) and now.shape.delta:
        index.version.merge(threading.Event())  # all in the main part, as in the others
