"""The oracle: every point in memory, every comparison made. What the other engines must agree with."""

import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexes.engines.checks import require_dimension, require_manifest, unknown_version
from indexes.engines.points import PAGE_POINTS, point_id, ranked
from indexes.filters import Filter, matches
from indexes.manifest import Manifest
from indexes.model import Attributes, Match, Matches, Page, Point, SparseVector, Vector

Postings = dict[int, tuple[NDArray[np.intp], Vector]]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The points at one moment. `vectors` has shape (points, dimension), rows of length 1 or 0.

    `postings` maps a term to the rows that hold it and their weights.
    """

    points: tuple[Point, ...]
    vectors: Vector
    postings: Postings

    @classmethod
    def of(cls, points: Sequence[Point], dimension: int) -> "_Snapshot":
        vectors = np.array([point.vector for point in points], dtype=np.float32).reshape(len(points), dimension)
        rows: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        for row, point in enumerate(points):
            for term, weight in zip(point.sparse.indices, point.sparse.values, strict=True):
                rows[term].append((row, weight))
        postings = {
            term: (np.array([row for row, _ in held]), np.array([weight for _, weight in held], dtype=np.float32))
            for term, held in rows.items()
        }
        return cls(tuple(points), _unit(vectors), postings)

    def best(
        self, scores: Vector, rows: NDArray[np.intp], limit: int, where: Filter | None, hidden: Sequence[str]
    ) -> list[Match]:
        found = [
            Match(point.chunk_id, point.revision_id, float(scores[row]))
            for row, point in ((row, self.points[row]) for row in rows)
            if point.revision_id not in hidden and (where is None or matches(where, point.attributes))
        ]
        return ranked(found)[:limit]


class ExactIndex:
    """One version in memory. Writers replace the snapshot; readers never wait for them."""

    def __init__(self, version_id: str, manifest: Manifest) -> None:
        self.made_by = manifest.hash
        self._version_id = version_id
        self._dimension = manifest.embedding.dimension
        self._writing = threading.Lock()
        self._points: dict[str, Point] = {}
        self._snapshot: _Snapshot | None = _Snapshot.of((), self._dimension)

    def upsert(self, points: Sequence[Point]) -> None:
        for point in points:
            point_id(point.chunk_id)  # refuses what the other engines would refuse
            require_dimension(point.vector, self._dimension)
        with self._writing:
            self._store({**self._points, **{point.chunk_id: point for point in points}})

    def delete(self, revision_id: str) -> None:
        with self._writing:
            self._store({key: point for key, point in self._points.items() if point.revision_id != revision_id})

    def set_attributes(self, revision_id: str, attributes: Attributes) -> None:
        with self._writing:
            changed = {
                key: replace(point, attributes=attributes)
                for key, point in self._points.items()
                if point.revision_id == revision_id
            }
            self._store({**self._points, **changed})

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
        now = self._read()
        return Matches(now.best(now.vectors @ _unit(vector), np.arange(len(now.points)), limit, where, hidden))

    def lexical(
        self, terms: SparseVector, limit: int, where: Filter | None = None, hidden: Sequence[str] = ()
    ) -> list[Match]:
        now = self._read()
        scores = np.zeros(len(now.points), dtype=np.float32)
        total = sum(1 for point in now.points if point.sparse.indices)
        for term, weight in zip(terms.indices, terms.values, strict=True):
            if term in now.postings:
                rows, weights = now.postings[term]
                scores[rows] += weight * _idf(total, len(rows)) * weights
        return now.best(scores, np.flatnonzero(scores), limit, where, hidden)

    def chunk_ids(self, revision_id: str) -> set[str]:
        return {point.chunk_id for point in self._read().points if point.revision_id == revision_id}

    def count(self) -> int:
        return len(self._read().points)

    def inventory(self) -> dict[str, int]:
        return dict(Counter(point.revision_id for point in self._read().points))

    def vectors(self, chunk_ids: Sequence[str]) -> dict[str, Vector]:
        self._read()
        points = self._points
        return {key: _unit(points[key].vector) for key in chunk_ids if key in points}

    def page(self, start: str | None = None, revision_ids: Sequence[str] = ()) -> Page:
        named = set(revision_ids)
        rest = sorted(
            (point for point in self._read().points if not named or point.revision_id in named),
            key=lambda point: point.chunk_id,
        )
        rest = [point for point in rest if start is None or point.chunk_id >= start]
        some = rest[:PAGE_POINTS]
        return Page(
            [point.chunk_id for point in some],
            [point.revision_id for point in some],
            [point.attributes for point in some],
            _unit(np.array([point.vector for point in some], dtype=np.float32).reshape(len(some), self._dimension)),
            rest[PAGE_POINTS].chunk_id if len(rest) > PAGE_POINTS else None,
        )

    def forget(self) -> None:
        """Drop the points; every later call raises NotFound."""
        with self._writing:
            self._points, self._snapshot = {}, None

    def _store(self, points: dict[str, Point]) -> None:
        self._read()
        self._points, self._snapshot = points, _Snapshot.of(tuple(points.values()), self._dimension)

    def _read(self) -> _Snapshot:
        if self._snapshot is None:
            raise unknown_version(self._version_id)
        return self._snapshot


class ExactEngine:
    """Versions in memory: they live as long as the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._indexes: dict[str, ExactIndex] = {}

    def create(self, version_id: str, manifest: Manifest) -> ExactIndex:
        with self._lock:
            if version_id not in self._indexes:
                self._indexes[version_id] = ExactIndex(version_id, manifest)
        return self.open(version_id, manifest)

    def open(self, version_id: str, manifest: Manifest) -> ExactIndex:
        index = self._indexes.get(version_id)
        if index is None:
            raise unknown_version(version_id)
        require_manifest(version_id, index.made_by, manifest)
        return index

    def drop(self, version_id: str) -> None:
        if index := self._indexes.pop(version_id, None):
            index.forget()

    def close(self) -> None:
        self._indexes.clear()


def _idf(total: int, holding: int) -> float:
    """The rarity of a term in the form that Qdrant uses: ln(1 + (N - n + 0.5) / (n + 0.5)), never negative."""
    return float(np.log1p((total - holding + 0.5) / (holding + 0.5)))


def _unit(vectors: Vector) -> Vector:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
