"""The centroids of inverted lists, and which of them are nearest to a query or to a row."""

import faiss
import numpy as np
from numpy.typing import NDArray

from indexes.engines.faiss_scan import best, products, walk
from indexes.model import Vector

_LEAST_WALKED = 2_500
"""Fewer are compared one by one. By a walk the search of 4,000 lists of a million rows took .40 instead of .48 ms, and
.15 instead of .21 with a filter that leaves a tenth; that of 1,264 lists, which lie in the cache, took as long."""

_SHARE_WALKED = 128  # of the lists at least, for each one wanted: more are found sooner by comparing all

_LINKS, _CONSTRUCTION = 16, 64
_KEPT, _LEAST_KEPT = 2, 32  # times those wanted, and at least: .99 of the nearest are found


class Centroids:
    """Shape (lists, dimension), rows of length 1; many are linked in a graph (HNSW, Malkov and Yashunin 2018)."""

    def __init__(self, vectors: Vector) -> None:
        self.vectors = vectors
        self._graph = _graph(vectors) if len(vectors) >= _LEAST_WALKED else None

    def __len__(self) -> int:
        return len(self.vectors)

    def nearest(self, query: Vector, count: int) -> NDArray[np.intp]:
        """The numbers of so many, in no order, for a query of shape (dimension,)."""
        if self._graph is not None and count * _SHARE_WALKED <= len(self):
            return walk(self._graph, query, count, max(_LEAST_KEPT, _KEPT * count)).rows
        return best(products(self.vectors, query), count)

    def nearest_to_each(self, rows: Vector) -> NDArray[np.int32]:
        """The number of one for each row."""
        _, nearest = faiss.knn(rows, self.vectors, 1, metric=faiss.METRIC_INNER_PRODUCT)
        numbers: NDArray[np.int32] = nearest[:, 0].astype(np.int32)
        return numbers


def _graph(vectors: Vector) -> faiss.IndexHNSWFlat:
    graph = faiss.IndexHNSWFlat(vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = _CONSTRUCTION
    graph.add(vectors)
    return graph
