"""Inverted lists over rows that lie elsewhere: each row is in the list of the centroid nearest to it (Jégou 2011).

FAISS's own IndexIVF would hold a second copy of the vectors, and filters by looking at every row of a fixed number of
lists. These hold row numbers only, and a filtered search opens more lists until enough allowed rows are in them.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import faiss
import numpy as np
from numpy.typing import NDArray

from indexes.engines.faiss_scan import Numbers, best, products, unit
from indexes.model import Vector

_TRAINING_ROWS = 48  # for each centroid: more do not make better ones (FAISS warns below 39)
_ROUNDS = 8
_MOST, _SURPLUS = 4, 1.25  # times as many lists at most, and more than it seems to take, when there were too few
_FEW = 24


@dataclass(frozen=True)
class Lists:
    """`centroids` has shape (lists, dimension), `homes` the number of each row's list, shape (rows,)."""

    centroids: Vector
    homes: NDArray[np.int32]

    @classmethod
    def train(cls, vectors: Vector) -> "Lists":
        """New lists for these rows: 4 √rows, as FAISS's guidelines have it."""
        count = int(min(4096, 4 * len(vectors) ** 0.5, len(vectors)))
        means = faiss.Kmeans(
            vectors.shape[1],
            count,
            niter=_ROUNDS,
            spherical=True,
            seed=1,
            min_points_per_centroid=1,
            max_points_per_centroid=_TRAINING_ROWS,
        )
        means.train(vectors)
        centroids = unit(means.centroids)
        return cls(centroids, _nearest(centroids, vectors))

    def ordered(self) -> tuple["Lists", Numbers]:
        """Over the rows in the order of their lists, and what that order is: what is read together lies together."""
        return Lists(self.centroids, self.homes[self._sorted]), self._sorted

    def extended(self, vectors: Vector) -> "Lists":
        """With more rows behind those that are there."""
        return Lists(self.centroids, np.concatenate([self.homes, _nearest(self.centroids, vectors)]))

    def candidates(self, query: Vector, probes: int, allowed: NDArray[np.bool_] | None, wanted: int) -> Numbers:
        """The rows of the `probes` lists nearest to the query, those alone that are `allowed`.

        Of more lists, or all, where fewer than `wanted` rows are in those: a filter may forbid what lies near.
        """
        scores = products(self.centroids, query)
        while True:
            rows = self._rows(best(scores, probes))
            if allowed is not None:
                rows = rows[allowed[rows]]
            if len(rows) >= wanted or probes >= len(scores):
                return rows
            probes = ceil(probes * min(_MOST, _SURPLUS * wanted / max(1, len(rows))))

    def ranks(self, queries: Vector, neighbours: Numbers) -> NDArray[np.intp]:
        """How many lists must be opened until each neighbour is found. Both shapes are (queries, neighbours)."""
        order = np.argsort(-(queries @ self.centroids.T), axis=1)
        places = np.argsort(order, axis=1)
        return np.take_along_axis(places, self.homes[neighbours].astype(np.intp), axis=1) + 1

    @cached_property
    def _sorted(self) -> Numbers:
        """The rows of list after list."""
        return np.argsort(self.homes, kind="stable").astype(np.int64)

    @cached_property
    def _bounds(self) -> Numbers:
        """Where each list begins in `_sorted`, and where the last one ends."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.homes, minlength=len(self.centroids)))])

    def _rows(self, lists: NDArray[np.intp]) -> Numbers:
        starts, ends = self._bounds[lists], self._bounds[lists + 1]
        if len(lists) <= _FEW:  # faster one by one
            pairs = zip(starts.tolist(), ends.tolist(), strict=True)
            return np.concatenate([self._sorted[start:end] for start, end in pairs])
        counts = ends - starts
        before = np.cumsum(counts) - counts
        rows: Numbers = self._sorted[np.arange(counts.sum()) + np.repeat(starts - before, counts)]
        return rows


def _nearest(centroids: Vector, vectors: Vector) -> NDArray[np.int32]:
    _, nearest = faiss.knn(vectors, centroids, 1, metric=faiss.METRIC_INNER_PRODUCT)
    homes: NDArray[np.int32] = nearest[:, 0].astype(np.int32)
    return homes
