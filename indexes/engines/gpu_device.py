"""The contract of a device that searches main parts, and a stand-in without one.

A device is only ever asked for the best of all rows: GPU indexes of FAISS ignore selectors without a word, so what a
filter forbids is thrown away afterwards, or the CPU searches.
"""

import threading
from typing import Protocol

import faiss
import numpy as np

from indexes.engines.faiss_scan import Nearest
from indexes.engines.gpu_plan import Placement, bytes_on_device
from indexes.engines.shared_pass import SharedPass
from indexes.errors import Unavailable
from indexes.model import Vector


class DeviceFailure(Unavailable):
    """The device has no memory left, or failed; the CPU takes over."""


class DeviceIndex(Protocol):
    """One main part on the device, for any number of threads."""

    def search(self, query: Vector, fetch: int) -> Nearest:
        """The best `fetch` of all rows for a query of shape (dimension,). Raises DeviceFailure."""


class Device(Protocol):
    """The memory of one device."""

    @property
    def cuvs(self) -> bool:
        """Whether it can build CAGRA graphs."""

    def put(self, vectors: Vector, placement: Placement) -> DeviceIndex:
        """Rows of shape (rows, dimension) in this form; gone with the last reference. Raises DeviceFailure."""


class StandIn:
    """A device in ordinary memory, half precision as on a GPU, which is full beyond `room_bytes`: for tests."""

    cuvs = False

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes

    def put(self, vectors: Vector, placement: Placement) -> "StandInIndex":
        if bytes_on_device(placement, *vectors.shape) > self.room_bytes:
            raise DeviceFailure("The device has no memory left.")
        index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        index.add(vectors)
        return StandInIndex(index)


class StandInIndex:
    """Rows of a stand-in. `broken` makes it fail as a device does that was taken away."""

    def __init__(self, index: faiss.Index) -> None:
        self._index = index
        self._pass = SharedPass(self._answer, threading.Lock())
        self.broken = False

    def search(self, query: Vector, fetch: int) -> Nearest:
        return self._pass.search(query, fetch)

    def _answer(self, queries: Vector, fetch: int) -> list[Nearest]:
        if self.broken:
            raise DeviceFailure("The device does not answer.")
        return nearest(self._index, queries, fetch)


def nearest(index: faiss.Index, queries: Vector, fetch: int) -> list[Nearest]:
    """What the index finds for each query, shape (queries, dimension); fewer rows where it finds no more."""
    scores, rows = index.search(queries, fetch)
    return [Nearest(row[row >= 0].astype(np.int64), score[row >= 0]) for row, score in zip(rows, scores, strict=True)]
