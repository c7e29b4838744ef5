"""Inverted lists over rows that lie elsewhere: each row is in the list of the centroid nearest to it (Jégou 2011).

FAISS's own IndexIVF would hold a second copy of the vectors, and filters by looking at every row of a fixed number of
lists. These hold row numbers only, and a filtered search, which knows how many allowed rows each list has, opens more
lists until there are enough.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import faiss
import numpy as np
from numpy.typing import NDArray

from indexes.engines.faiss_centroids import Centroids
from indexes.engines.faiss_scan import Numbers, unit
from indexes.model import Vector

_TRAINING_ROWS = 48  # for each centroid: more do not make better ones (FAISS warns below 39)
_ROUNDS = 8
_MOST, _SURPLUS = 4, 1.25  # times as many lists at most, and more than it seems to take, when there were too few
_FEW = 24


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows in the order of their lists. `bounds` says where each list begins among them, and where the last ends."""

    rows: Numbers
    bounds: Numbers

    def of(self, lists: NDArray[np.intp]) -> Numbers:
        """The rows of these lists."""
        starts, ends = self.bounds[lists], self.bounds[lists + 1]
        if len(lists) <= _FEW:  # faster one by one
            return np.concatenate([self.rows[start:end] for start, end in zip(starts.tolist(), ends.tolist())])  # noqa: B905 - faster
        counts = ends - starts
        before = np.cumsum(counts) - counts
        rows: Numbers = self.rows[np.arange(counts.sum()) + np.repeat(starts - before, counts)]
        return rows


@dataclass(frozen=True)
class Lists:
    """`homes` has the number of each row's list, shape (rows,)."""

    centroids: Centroids
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
        centroids = Centroids(unit(means.centroids))
        return cls(centroids, centroids.nearest_to_each(vectors))

    def ordered(self) -> tuple["Lists", Numbers]:
        """Over the rows in the order of their lists, and what that order is: what is read together lies together."""
        rows = self.whole.rows
        return Lists(self.centroids, self.homes[rows]), rows

    def extended(self, vectors: Vector) -> "Lists":
        """With more rows behind those that are there."""
        return Lists(self.centroids, np.concatenate([self.homes, self.centroids.nearest_to_each(vectors)]))

    def candidates(self, query: Vector, probes: int, allowed: Listed, wanted: int) -> Numbers:
        """The `allowed` rows of the `probes` lists nearest to the query.

        Of more lists, or all, where fewer than `wanted` rows are in those: a filter may forbid what lies near.
        """
        lists = len(self.centroids)
        probes = max(probes, ceil(_SURPLUS * wanted * lists / max(1, len(allowed.rows))))
        while True:
            rows = allowed.of(self.centroids.nearest(query, probes))
            if len(rows) >= wanted or probes >= lists:
                return rows
            probes = ceil(probes * min(_MOST, _SURPLUS * wanted / max(1, len(rows))))

    def ranks(self, queries: Vector, neighbours: Numbers) -> NDArray[np.intp]:
        """How many lists must be opened until each neighbour is found. Both shapes are (queries, neighbours)."""
        order = np.argsort(-(queries @ self.centroids.vectors.T), axis=1)
        places = np.argsort(order, axis=1)
        return np.take_along_axis(places, self.homes[neighbours].astype(np.intp), axis=1) + 1

    @cached_property
    def whole(self) -> Listed:
        """Every row."""
        return self._listed(np.argsort(self.homes, kind="stable").astype(np.int64))

    def only(self, mask: NDArray[np.bool_]) -> Listed:
        """The rows for which `mask`, shape (rows,), is true."""
        rows = self.whole.rows
        return self._listed(rows[mask[rows]])

    def _listed(self, rows: Numbers) -> Listed:
        counts = np.bincount(self.homes[rows], minlength=len(self.centroids))
        return Listed(rows, np.concatenate([[0], np.cumsum(counts)]))
