"""The contract of a device that searches main parts.

A device is only ever asked for the best of all rows: without cuVS the GPU indexes of FAISS ignore selectors without a
word, so what a filter forbids is thrown away afterwards, or the CPU searches.
"""

from typing import Protocol

from indexes.engines.faiss_scan import Nearest
from indexes.engines.gpu_plan import Placement
from indexes.errors import Unavailable
from indexes.model import Vector


class DeviceFailure(Unavailable):
    """The device has no memory left, failed, or finds too little; the CPU takes over."""


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
