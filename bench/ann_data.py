"""Vectors to search, and what an exact search finds in them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexes.ids import chunk_id
from indexes.model import Vector

SHARES = (1.0, 0.1, 0.01, 0.001)
"""Of the rows, that a filter leaves."""

LIMIT = 10
DIMENSION = 384
REVISION_ROWS = 10  # rows that belong together and have the same attributes, as the chunks of a document
_CLUSTERS, _SPREAD = 200, 0.6  # as in `bench.synthetic`
_BLOCK = 100_000


@dataclass(frozen=True, slots=True)
class Collection:
    """Vectors in a file, queries, and for each share the rows that an exact search finds, shape (queries, LIMIT).

    `levels` has a number between 0 and 1 for each row, evenly spread over documents: a filter is `level < share`.
    """

    name: str
    path: Path
    queries: Vector
    levels: NDArray[np.float64]
    truth: dict[float, NDArray[np.int64]]

    @property
    def vectors(self) -> Vector:
        """Mapped from the file."""
        rows: Vector = np.load(self.path, mmap_mode="r")
        return rows

    @property
    def ids(self) -> list[str]:
        """Of the chunk in each row, made anew."""
        return [_chunk(row) for row in range(len(self.levels))]

    def nearest(self, share: float) -> list[set[str]]:
        """The ids of what an exact search finds for each query."""
        return [set(map(_chunk, rows)) for rows in self.truth[share].tolist()]

    @classmethod
    def of(cls, name: str, vectors: Vector, queries: Vector, folder: Path) -> "Collection":
        """Saves the vectors and searches them exactly."""
        path = folder / f"{name}.npy"
        np.save(path, vectors)
        documents = -(-len(vectors) // REVISION_ROWS)
        order = np.random.default_rng(3).permutation(documents)
        levels = np.repeat((order + 0.5) / documents, REVISION_ROWS)[: len(vectors)]
        truth = {share: _nearest(vectors, queries, levels < share) for share in SHARES}
        return cls(name, path, queries, levels, truth)


def _chunk(row: int) -> str:
    return chunk_id(f"rev_{row // REVISION_ROWS}", "c", row)


def clustered(rows: int, queries: int, folder: Path) -> Collection:
    """Made-up vectors around 200 centres."""
    random = np.random.default_rng(7)
    centres = _unit(random.standard_normal((_CLUSTERS, DIMENSION), dtype=np.float32))
    vectors = np.empty((rows, DIMENSION), dtype=np.float32)
    for start in range(0, rows, _BLOCK):
        part = vectors[start : start + _BLOCK]
        part[:] = _near(random, centres, len(part))
    return Collection.of(f"clustered {rows:,}", vectors, _near(random, centres, queries), folder)


def real(kept: Path, queries: int, folder: Path) -> Collection:
    """Vectors that an earlier bench kept (`bench.vectors`): passages of SciFact, some of which are the queries."""
    with np.load(kept) as file:
        rows = _unit(file["rows"].astype(np.float32))
    rows = np.unique(rows, axis=0)
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    return Collection.of(f"SciFact {len(rows) - queries:,}", rows[queries:], rows[:queries], folder)


def _near(random: np.random.Generator, centres: Vector, count: int) -> Vector:
    noise = random.standard_normal((count, centres.shape[1]), dtype=np.float32)
    return _unit(centres[random.integers(len(centres), size=count)] + _SPREAD * _unit(noise))


def _unit(rows: Vector) -> Vector:
    lengths: Vector = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / lengths).astype(np.float32)


def _nearest(vectors: Vector, queries: Vector, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """By blocks, so that a million rows need no second copy."""
    rows = np.flatnonzero(allowed)
    best_scores, best_rows = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        scores = np.hstack([best_scores, queries @ vectors[part].T])
        numbers = np.hstack([best_rows, np.broadcast_to(part, (len(queries), len(part)))])
        top = np.argpartition(-scores, min(LIMIT, scores.shape[1]) - 1, axis=1)[:, :LIMIT]
        best_scores, best_rows = np.take_along_axis(scores, top, axis=1), np.take_along_axis(numbers, top, axis=1)
    return best_rows
