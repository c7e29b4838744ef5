"""The contracts of vector storage: `Index` is one index version, `Engine` opens and drops them.

Implementations live in `engines/` and pass `tests/contract/test_index.py`. `engines/exact_index.py` is the oracle.
"""

from collections.abc import Sequence
from typing import Protocol

from indexes.filters import Filter
from indexes.manifest import Manifest
from indexes.model import Attributes, Match, Matches, Page, Point, SparseVector, Vector


class VectorSource(Protocol):
    """Where vectors that were made before can be had again, so that no text is embedded twice."""

    def vectors(self, chunk_ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vectors of those of the chunks that are there."""


class Index(VectorSource, Protocol):
    """The points of one index version. Calls block; each is safe from any thread, one writer at a time is enough."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Store points, replacing those of the same chunk. Durable when it returns."""

    def delete(self, revision_id: str) -> None:
        """Remove every point of a revision, or none if it has none. Durable when it returns."""

    def set_attributes(self, revision_id: str, attributes: Attributes) -> None:
        """Replace the attributes on every point of a revision. Durable when it returns."""

    def dense(
        self,
        vector: Vector,
        limit: int,
        where: Filter | None = None,
        hidden: Sequence[str] = (),
        *,
        exact: bool = False,
    ) -> Matches:
        """The `limit` points of highest cosine that satisfy `where`, best first, none of a revision in `hidden`.

        `exact` compares every point: slow, and what the approximate search is measured against.
        """

    def lexical(
        self, terms: SparseVector, limit: int, where: Filter | None = None, hidden: Sequence[str] = ()
    ) -> list[Match]:
        """As `dense`, by BM25: the dot product of `terms` with stored weights times each term's rarity (IDF).

        Points that share no term with the query are not returned.
        """

    def chunk_ids(self, revision_id: str) -> set[str]:
        """Which chunks of a revision are stored: the read-back behind `completed` (I3) and behind a delete (I4)."""

    def count(self) -> int:
        """How many points are stored, of all revisions."""

    def inventory(self) -> dict[str, int]:
        """How many points of each revision are stored, of all that are. Slow: it reads through the whole version."""

    def page(self, start: str | None = None, revision_ids: Sequence[str] = ()) -> Page:
        """Some hundred points from chunk `start` on; of these revisions alone, where any are named.

        Following `Page.next` reads every point that is there from beginning to end, and may miss what is written
        meanwhile.
        """


class Engine(Protocol):
    """Opens index versions by id. One engine serves all stores of a process."""

    def create(self, version_id: str, manifest: Manifest) -> Index:
        """Make the version if it is not there, and open it.

        Raises ManifestMismatch where another manifest made it (I6).
        """

    def open(self, version_id: str, manifest: Manifest) -> Index:
        """Open an existing version; cheap when it is open already.

        Raises NotFound where there is none, ManifestMismatch where another manifest made it, and IndexDamaged where
        what is left of it cannot be read.
        """

    def drop(self, version_id: str) -> None:
        """Erase the version and its files, whatever state they are in; nothing happens if there is none."""

    def close(self) -> None:
        """Flush and release every open version."""
