"""Exact comparison of one query with rows in memory, through FAISS's kernels and without its wrappers.

One thread, no GIL, no copy of the rows. numpy's matrix product is not used: its threads trample on each other where
several queries run at once (16 ms instead of 0.4 ms for 10,000 rows on two busy cores).
"""

from dataclasses import dataclass
from functools import lru_cache

import faiss
import numpy as np
from numpy.typing import NDArray

from indexes.model import Vector

_UNIT = 1e-6

Numbers = NDArray[np.int64]
"""Of rows."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """Rows and their inner products with the query, in no order."""

    rows: Numbers
    scores: Vector

    def top(self, limit: int) -> "Nearest":
        """The best of them."""
        if limit >= len(self.scores):
            return self
        at = best(self.scores, limit)
        return Nearest(self.rows[at], self.scores[at])


def products(vectors: Vector, query: Vector, rows: Numbers | None = None) -> Vector:
    """The inner products of `query`, shape (dimension,), with these rows of `vectors`, or with all of them."""
    assert vectors.flags.c_contiguous
    assert query.flags.c_contiguous
    count = len(vectors) if rows is None else len(rows)
    scores = np.empty(count, dtype=np.float32)
    out, one, many = faiss.swig_ptr(scores), faiss.swig_ptr(query), faiss.swig_ptr(vectors)
    if count == 0:
        pass
    elif rows is None:
        faiss.fvec_inner_products_ny(out, one, many, len(query), count)
    else:
        faiss.omp_set_num_threads(1)  # of this thread: a second one has nothing to do, and is waited for
        faiss.fvec_inner_products_by_idx(out, one, many, faiss.swig_ptr(rows), len(query), 1, count)
    return scores


def walk(
    graph: faiss.IndexHNSW, query: Vector, fetch: int, kept: int, bitmap: NDArray[np.uint8] | None = None
) -> Nearest:
    """The best `fetch` that a walk finds which keeps so many; of those whose bit is set, lowest bit first."""
    if bitmap is None:
        parameters = _parameters(kept)
    else:
        parameters = faiss.SearchParametersHNSW(efSearch=kept, sel=faiss.IDSelectorBitmap(bitmap))
    rows, scores = np.empty(fetch, dtype=np.int64), np.empty(fetch, dtype=np.float32)
    graph.search_c(1, faiss.swig_ptr(query), fetch, faiss.swig_ptr(scores), faiss.swig_ptr(rows), parameters)
    found = rows >= 0
    return Nearest(rows, scores) if found.all() else Nearest(rows[found], scores[found])


@lru_cache(maxsize=256)  # making them takes as long as forty comparisons
def _parameters(kept: int) -> faiss.SearchParametersHNSW:
    return faiss.SearchParametersHNSW(efSearch=kept)


def best(scores: Vector, limit: int) -> NDArray[np.intp]:
    """Where the `limit` highest scores are, in no order."""
    if limit >= len(scores):
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - limit)[len(scores) - limit :]


def unit(vectors: Vector) -> Vector:
    """Rows of length 1, or 0 where they were; the last axis is the dimension. Contiguous."""
    if _is_unit(vectors):
        return vectors  # as a query is, nearly always
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.ascontiguousarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _is_unit(vectors: Vector) -> bool:
    ready = vectors.ndim == 1 and vectors.flags.c_contiguous and vectors.dtype == np.float32
    return bool(ready and abs(float(vectors @ vectors) - 1) < _UNIT)
