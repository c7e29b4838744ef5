"""The main part of a FAISS index: vectors in one block, lists over them, and a graph where the vectors need one.

Row numbers count from 0 in the order in which rows were given. A part never changes; `grown` makes another one.
"""

import json
import mmap
import threading
from dataclasses import asdict
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from indexes.engines.dense_plan import Effort, wants_graph
from indexes.engines.faiss_centroids import Centroids
from indexes.engines.faiss_files import BadPart
from indexes.engines.faiss_lists import Listed, Lists
from indexes.engines.faiss_scan import Nearest, Numbers, best, products, walk
from indexes.errors import Unavailable
from indexes.model import Vector

RECALL = 0.97
"""Aimed at with stored vectors as questions; what people ask is a little harder, and 0.95 is promised."""

_LINKS, _CONSTRUCTION = 24, 128  # of a row in the graph: on real texts better than 32 and 64, and smaller than 32
_QUESTIONS = 256  # by which effort is measured
_LADDER = (16, 20, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024)
_SLICE = 4_000  # rows added between two looks at whether to stop, some seconds
_MARGIN = 8  # times the limit: so many rows at least are compared with where a filter forbids what lies near
_PAGE_NUMBERS = mmap.PAGESIZE // np.dtype(np.float32).itemsize
_INDEX, _LISTS, _FACTS = "index.faiss", "lists.npz", "effort.json"


class Stopped(Unavailable):
    """The service ends while a part is built; nothing was changed."""


Efforts = tuple[Effort, Effort | None]
"""Of the lists, and of the graph if there is one."""


class Part:
    """Searches take a query of shape (dimension,), contiguous and of length 1; any number of threads at once."""

    def __init__(self, index: faiss.Index, lists: Lists, trained_rows: int, efforts: Efforts) -> None:
        self.rows: int = index.ntotal
        self.trained_rows = trained_rows
        self.lists, self.graph = efforts
        self._index = index
        self._lists = lists
        self.vectors = _block(index)

    @classmethod
    def build(cls, vectors: Vector, stop: threading.Event) -> tuple["Part", Numbers]:
        """A new part of these rows, shape (rows, dimension), in an order without meaning; and in which it has them.

        Raises Stopped soon after `stop` is set.
        """
        lists = Lists.train(vectors)
        flat = faiss.IndexFlatIP(vectors.shape[1])
        known, questions = _split(vectors)
        _add(flat, known, stop)
        effort = _lists_effort(flat, lists, questions)
        if not wants_graph(len(vectors), len(lists.centroids), effort.ten):
            flat.reset()
            lists, order = lists.ordered()
            _add(flat, vectors, stop, order)
            return cls(flat, lists, len(vectors), (effort, None)), order
        graph = faiss.IndexHNSWFlat(vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = _CONSTRUCTION
        _add(graph, known, stop)
        efforts = effort, _graph_effort(flat, graph, questions)
        _add(graph, questions, stop)
        return cls(graph, lists, len(vectors), efforts), np.arange(len(vectors))

    def grown(self, vectors: Vector, folder: Path, stop: threading.Event) -> "Part":
        """A part with more rows behind these; `folder` is where this one lies. Raises Stopped soon after `stop`."""
        # Read anew: adding to a mapped index ends the process.
        index = faiss.read_index(str(folder / _INDEX))
        known, questions = _split(vectors)
        _add(index, known, stop)
        efforts = self.lists, self.graph
        if len(questions) == _QUESTIONS:
            flat = faiss.downcast_index(index.storage) if self.graph else index
            graph = _graph_effort(flat, index, questions) if self.graph else None
            efforts = _lists_effort(flat, self._lists.extended(known), questions), graph
        _add(index, questions, stop)
        return Part(index, self._lists.extended(vectors), self.trained_rows, efforts)

    def compare(self, query: Vector, fetch: int, rows: Numbers | None = None) -> Nearest:
        """The best `fetch` of these rows or of all, exactly."""
        scores = products(self.vectors, query, rows)
        top = best(scores, fetch)
        return Nearest(top if rows is None else rows[top], scores[top])

    def probe(self, query: Vector, fetch: int, probes: int, allowed: Listed | None = None) -> Nearest:
        """The best `fetch` by lists, of those that are `allowed`, which `listed` made."""
        wanted = fetch if allowed is None else _MARGIN * fetch
        return self.compare(query, fetch, self._lists.candidates(query, probes, allowed or self._lists.whole, wanted))

    def listed(self, mask: NDArray[np.bool_]) -> Listed:
        """The rows for which `mask` is true, in the order in which `probe` wants them."""
        return self._lists.only(mask)

    def walk(self, query: Vector, fetch: int, neighbours: int, bitmap: NDArray[np.uint8] | None = None) -> Nearest:
        """The best `fetch` by the graph; of those whose bit is set, lowest bit first."""
        return walk(self._index, query, fetch, neighbours, bitmap)

    def write(self, folder: Path) -> None:
        """Into files of an empty folder."""
        faiss.write_index(self._index, str(folder / _INDEX))
        np.savez(folder / _LISTS, centroids=self._lists.centroids.vectors, homes=self._lists.homes)
        facts = {"trained_rows": self.trained_rows, "lists": asdict(self.lists)}
        facts["graph"] = asdict(self.graph) if self.graph else None
        (folder / _FACTS).write_text(json.dumps(facts))

    @classmethod
    def read(cls, folder: Path) -> "Part":
        """What `write` wrote; vectors and graph are mapped, not copied. Raises BadPart, and what its readers raise."""
        index = faiss.read_index(str(folder / _INDEX), faiss.IO_FLAG_MMAP_IFC)
        # One number of each page, so that no search has to wait for the kernel to map it: at 100,000 the first 300 took
        # 91 microseconds, and 104 without.
        _block(index).reshape(-1)[::_PAGE_NUMBERS].max(initial=0)
        with np.load(folder / _LISTS) as kept:
            lists = Lists(Centroids(kept["centroids"]), kept["homes"])
        if len(lists.homes) != index.ntotal:
            raise BadPart(f"{folder.name}: {index.ntotal} vectors, of which {len(lists.homes)} are in lists")
        facts = json.loads((folder / _FACTS).read_text())
        graph = Effort(**facts["graph"]) if facts["graph"] else None
        return cls(index, lists, facts["trained_rows"], (Effort(**facts["lists"]), graph))


def _block(index: faiss.Index) -> Vector:
    """The vectors of an index, without a copy; valid as long as the index."""
    flat = faiss.downcast_index(index.storage) if isinstance(index, faiss.IndexHNSW) else index
    block: Vector = faiss.rev_swig_ptr(flat.get_xb(), index.ntotal * index.d)
    return block.reshape(index.ntotal, index.d)


def _add(index: faiss.Index, vectors: Vector, stop: threading.Event, order: Numbers | None = None) -> None:
    for start in range(0, len(vectors), _SLICE):
        if stop.is_set():
            raise Stopped("The service ends: the index is built at its next start.")
        part = slice(start, start + _SLICE)
        index.add(vectors[part if order is None else order[part]])


def _split(vectors: Vector) -> tuple[Vector, Vector]:
    """The rows, and a few at the end that stand for questions before they are added: a stored one finds itself."""
    at = len(vectors) - min(_QUESTIONS, len(vectors) // 10)
    return vectors[:at], vectors[at:]


def _lists_effort(flat: faiss.Index, lists: Lists, questions: Vector) -> Effort:
    return Effort(*(_probes(flat, lists, questions, count) for count in (10, 100)))


def _probes(flat: faiss.Index, lists: Lists, questions: Vector, count: int) -> int:
    if not len(questions):
        return len(lists.centroids)
    _, nearest = flat.search(questions, min(count, flat.ntotal))
    return int(np.quantile(lists.ranks(questions, nearest), RECALL, method="higher"))


def _graph_effort(flat: faiss.Index, graph: faiss.Index, questions: Vector) -> Effort:
    return Effort(*(_neighbours(flat, graph, questions, count) for count in (10, 100)))


def _neighbours(flat: faiss.Index, graph: faiss.Index, questions: Vector, count: int) -> int:
    if not len(questions):
        return _LADDER[-1]
    _, nearest = flat.search(questions, count)
    for effort in _LADDER:
        _, found = graph.search(questions, count, params=faiss.SearchParametersHNSW(efSearch=effort))
        pairs = zip(found, nearest, strict=True)
        if np.mean([np.isin(true, some).mean() for some, true in pairs]) >= RECALL:
            return effort
    return _LADDER[-1]
