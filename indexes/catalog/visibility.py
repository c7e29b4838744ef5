"""What a search may see, asked of the catalog at its start and again at its end (I4, I9)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from indexes.catalog import restoring, snapshots, stores, versions
from indexes.catalog.chunks import chunk_of
from indexes.catalog.database import batched
from indexes.catalog.restoring import Restored
from indexes.catalog.tables import ChunkRow, IndexVersion, Revision, RevisionState, Store
from indexes.catalog.versions import Version, opened_as, read_manifest, searchable
from indexes.errors import NotFound
from indexes.model import Attributes, Chunk

_GONE = (RevisionState.SUPERSEDED, RevisionState.DELETED)
_CLOCKS_APART_S = 2.0  # at most, of the machines of one installation; more than that costs freshness for as long


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that takes part in live traffic, with its shares of it, 0..1."""

    version: Version
    shadow_share: float
    canary_share: float
    fence: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """The version that answers for a store, and the revisions with points in it that nobody may see.

    `arriving` are those of them that are still being worked on. `fence` is that of the version's row; `restoring` says
    how much is back of a version that lost points. `taken_at` is in seconds since 1970; a `reused` view was taken for
    an earlier search.
    """

    store_id: str
    version: Version
    hidden: tuple[str, ...]
    arriving: tuple[str, ...]
    last_active_at: float
    candidates: tuple[Candidate, ...] = ()
    snapshot_id: str | None = None
    taken_at: float = field(default_factory=time.time)
    reused: bool = False
    fence: int = 0
    restoring: Restored | None = None
    live_is_whole: bool = True

    def fence_of(self, version: Version) -> int:
        """That of the row of `version`, which answers: it is `self.version` or a candidate."""
        return next((one.fence for one in self.candidates if one.version == version), self.fence)


@dataclass(frozen=True, slots=True)
class Pinned:
    """Another version than the live one, or another time than now."""

    version: Version | None = None
    snapshot_id: str | None = None
    fence: int = 0
    restoring: Restored | None = None


LIVE = Pinned()


@dataclass(frozen=True, slots=True)
class Visible:
    """A chunk as it stands now, of a revision that is current now."""

    chunk: Chunk
    file_id: str
    filename: str
    key: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Sighting:
    """Chunks by id; `settled` says that nothing happened during the search that could have changed them."""

    chunks: dict[str, Visible]
    settled: bool


def view(connection: Connection, project: str, store_id: str, pinned: Pinned = LIVE) -> View:
    """Where to search: in the live version now, or as `pinned`. For `Database.snapshot`.

    Raises NotFound for what there is not, also for another project's store.
    """
    rows = list(connection.execute(_ANSWERING, {"store_id": store_id, "project": project}))
    live = next((row for row in rows if row.id == row.live_version), None)
    if live is None:
        raise NotFound(
            f"There is no vector store '{store_id}'. List yours with GET /v1/vector_stores.", param="vector_store_id"
        )
    candidates = tuple(
        Candidate(Version(row.id, read_manifest(row.manifest)), row.shadow_share, row.canary_share, row.fence)
        for row in rows
        if row.id != live.id and row.restoring_since is None
    )
    hidden = list(connection.execute(_unseen(pinned.snapshot_id), {"store_id": store_id}))
    return View(
        store_id=store_id,
        version=pinned.version or Version(live.id, read_manifest(live.manifest)),
        fence=pinned.fence if pinned.version else live.fence,
        restoring=pinned.restoring,
        live_is_whole=live.restoring_since is None,
        hidden=tuple(row.id for row in hidden),
        arriving=tuple(row.id for row in hidden if row.state not in _GONE),
        last_active_at=live.last_active_at,
        candidates=candidates,
        snapshot_id=pinned.snapshot_id,
    )


async def pinned(
    session: AsyncSession, project: str, store_id: str, version_id: str | None, snapshot: str | None
) -> Pinned:
    """The version and the snapshot that are named. Raises NotFound, and Conflict for a version that is not whole.

    Where no version is named: the live one, or in its place a whole one while it is being restored.
    """
    await stores.get(session, project, store_id)
    if version_id is not None:
        row = await searchable(session, store_id, version_id)
    else:
        row = await versions.live(session, store_id)
        if row.restoring_since is not None:
            row = await restoring.whole(session, store_id) or row
    so_far = None if row.restoring_since is None else await restoring.so_far(session, row)
    snapshot_id = None if snapshot is None else (await snapshots.get(session, store_id, snapshot)).id
    return Pinned(opened_as(row), snapshot_id, row.fence, so_far)


def sighting(connection: Connection, view: View, chunk_ids: Sequence[str], version: Version | None = None) -> Sighting:
    """What of a search's result readers may see now, and whether the search may end with it. For `Database.snapshot`.

    It may not where something was lost or came in another's place since the view was taken: look again, with a new one.
    `version` is the one that answered, where that is a candidate.
    """
    wanted = {"chunk_ids": chunk_ids, "store_id": view.store_id}
    rows = list(connection.execute(_sighted(view.snapshot_id), wanted))
    found = {row.id: Visible(chunk_of(row), row.file_id, row.filename, row.key, row.attributes) for row in rows}
    settled = len(found) == len(chunk_ids) and not (view.hidden and _was_replaced(connection, view))
    if settled and view.reused:
        # A revision that became current after this view may have been searched while it was half stored.
        settled = not any(row.updated_at > view.taken_at - _CLOCKS_APART_S for row in rows)
    return Sighting(found, settled and _versions_are(connection, view, version or view.version))


def _versions_are(connection: Connection, view: View, version: Version) -> bool:
    """Whether `version` lost no points after the view was taken, and where it was reused the same ones answer still."""
    rows = list(connection.execute(_STANDING, {"store_id": view.store_id, "version_id": version.id}))
    if not any(row.id == version.id and row.fence == view.fence_of(version) for row in rows):
        return False  # less was found than the view says
    if not view.reused:
        return True
    known = [(one.version.id, one.shadow_share, one.canary_share, one.fence) for one in view.candidates]
    taking_part = [
        (row.id, row.shadow_share, row.canary_share, row.fence)
        for row in rows
        if row.id != row.live_version and row.restoring_since is None
    ]
    return all(row.live_version == view.version.id for row in rows) and taking_part == known


def _was_replaced(connection: Connection, view: View) -> bool:
    """Whether a revision that was hidden has come in the place of another since the view was taken, or was there and
    is gone again: the search may have missed both. One under a new key may be missed: nobody knows of it yet."""
    older = aliased(Revision)
    replaced = exists().where(
        older.store_id == Revision.store_id, older.key == Revision.key, older.seq < Revision.seq, older.state.in_(_GONE)
    )
    came_and_went = Revision.id.in_(view.arriving) & (Revision.state == RevisionState.SUPERSEDED)
    came = or_(readable(view.snapshot_id), came_and_went)
    for ids in batched(view.hidden):
        query = select(Revision.id).where(Revision.id.in_(ids), came, replaced)
        if connection.scalar(query.limit(1)) is not None:
            return True
    return False


def readable(snapshot_id: str | None) -> ColumnElement[bool]:
    """Whether the revision of this row is to be seen."""
    if snapshot_id is None:
        return Revision.state == RevisionState.CURRENT
    kept = Revision.state.in_((RevisionState.CURRENT, RevisionState.SUPERSEDED))
    return kept & snapshots.names(snapshot_id)


# Made once: making a statement takes longer than SQLite needs to answer it.
_STANDING = (
    select(
        IndexVersion.id,
        IndexVersion.shadow_share,
        IndexVersion.canary_share,
        IndexVersion.fence,
        IndexVersion.restoring_since,
        Store.live_version,
    )
    .join(Store, Store.id == IndexVersion.store_id)
    .where(Store.id == bindparam("store_id"), ~Store.deleting)
    .where(
        (IndexVersion.id == bindparam("version_id")) | (IndexVersion.shadow_share > 0) | (IndexVersion.canary_share > 0)
    )
    .order_by(IndexVersion.seq)
)
_ANSWERING = (
    select(
        IndexVersion.id,
        IndexVersion.manifest,
        IndexVersion.shadow_share,
        IndexVersion.canary_share,
        IndexVersion.fence,
        IndexVersion.restoring_since,
        Store.live_version,
        Store.last_active_at,
    )
    .join(Store, Store.id == IndexVersion.store_id)
    .where(Store.id == bindparam("store_id"), Store.project == bindparam("project"), ~Store.deleting)
    .where((IndexVersion.id == Store.live_version) | (IndexVersion.shadow_share > 0) | (IndexVersion.canary_share > 0))
    .order_by(IndexVersion.seq)
)


@lru_cache(maxsize=64)
def _unseen(snapshot_id: str | None) -> Select[str, RevisionState]:
    return select(Revision.id, Revision.state).where(
        Revision.store_id == bindparam("store_id"), Revision.has_points, ~readable(snapshot_id)
    )


@lru_cache(maxsize=64)
def _sighted(snapshot_id: str | None) -> Select[Any]:
    chunks = ChunkRow.__table__.c
    shown = (Revision.file_id, Revision.filename, Revision.key, Revision.attributes, Revision.updated_at)
    return (
        select(*(column for column in chunks if column.name not in ("cut", "sha256")), *shown)
        .join(Revision, Revision.id == chunks.revision_id)
        .where(chunks.id.in_(bindparam("chunk_ids", expanding=True)), Revision.store_id == bindparam("store_id"))
        .where(readable(snapshot_id))
    )
