"""Dense search in memory by FAISS, over the points of another engine, which keeps them and does everything else."""

import logging
from collections.abc import Sequence

import numpy as np

from indexes.engines.checks import require_dimension
from indexes.engines.faiss_scan import unit
from indexes.engines.faiss_search import search
from indexes.engines.faiss_upkeep import FaissUpkeep
from indexes.engines.faiss_version import FaissVersion
from indexes.engines.gpu_device import DeviceFailure
from indexes.filters import Filter
from indexes.manifest import Manifest
from indexes.model import Attributes, Match, Matches, Page, Point, SparseVector, Vector

log = logging.getLogger(__name__)


class FaissIndex:
    """One version: see `FaissVersion` for how it stays equal to the engine within."""

    def __init__(self, version: FaissVersion, manifest: Manifest, upkeep: FaissUpkeep) -> None:
        self.version = version
        self.made_by = manifest.hash
        self._inner = version.inner
        self._dimension = manifest.embedding.dimension
        self._upkeep = upkeep

    def upsert(self, points: Sequence[Point]) -> None:
        for point in points:
            require_dimension(point.vector, self._dimension)
        if not points:
            return
        with self.version.writing({point.revision_id for point in points}) as then:
            self._inner.upsert(points)
            page = _page(points)
            then(lambda table: table.put(page))
        self._keep_up()

    def delete(self, revision_id: str) -> None:
        with self.version.writing([revision_id]) as then:
            self._inner.delete(revision_id)
            then(lambda table: table.remove(revision_id))

    def set_attributes(self, revision_id: str, attributes: Attributes) -> None:
        with self.version.writing([revision_id]) as then:
            self._inner.set_attributes(revision_id, attributes)
            then(lambda table: table.change(revision_id, attributes))

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
        found = self._search(vector, limit, where, hidden, exact=exact)
        if found is not None:
            return found
        self._keep_up()
        return self._inner.dense(vector, limit, where, hidden, exact=exact)

    def lexical(
        self, terms: SparseVector, limit: int, where: Filter | None = None, hidden: Sequence[str] = ()
    ) -> list[Match]:
        return self._inner.lexical(terms, limit, where, hidden)

    def chunk_ids(self, revision_id: str) -> set[str]:
        return self._inner.chunk_ids(revision_id)

    def count(self) -> int:
        return self._inner.count()

    def inventory(self) -> dict[str, int]:
        return self._inner.inventory()

    def page(self, start: str | None = None, revision_ids: Sequence[str] = ()) -> Page:
        return self._inner.page(start, revision_ids)

    def vectors(self, chunk_ids: Sequence[str]) -> dict[str, Vector]:
        return self._inner.vectors(chunk_ids)

    def _search(
        self, vector: Vector, limit: int, where: Filter | None, hidden: Sequence[str], *, exact: bool
    ) -> Matches | None:
        now = self.version.now
        if now is None:
            return None
        try:
            return search(now, unit(vector), limit, where, hidden, exact=exact)
        except DeviceFailure as error:
            log.warning("index version %s goes on without the device: %s", self.version.version_id, error)
            assert now.part is not None
            self.version.place(now.part, self.version.placement, None)
            return self._search(vector, limit, where, hidden, exact=exact)

    def _keep_up(self) -> None:
        if not self.version.loaded or self.version.due():
            self._upkeep.submit(self.version)


def _page(points: Sequence[Point]) -> Page:
    return Page(
        [point.chunk_id for point in points],
        [point.revision_id for point in points],
        [point.attributes for point in points],
        np.stack([point.vector for point in points]),
        None,
    )
