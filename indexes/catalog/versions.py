"""Index versions of a store: which there are, which hold what is written, which may be searched."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.tables import IndexVersion, Store, VersionState
from indexes.errors import Conflict, NotFound
from indexes.manifest import Manifest

KEPT = (VersionState.BUILDING, VersionState.READY, VersionState.LIVE, VersionState.RETIRED)
"""States in which a version receives every write (I8)."""

SEARCHABLE = (VersionState.READY, VersionState.LIVE, VersionState.RETIRED)
"""States in which a version holds all that readers may see."""


@dataclass(frozen=True, slots=True)
class Version:
    """An index version as engines open it."""

    id: str
    manifest: Manifest


async def kept(session: AsyncSession, store_id: str) -> list[Version]:
    """Every version of the store that must hold its revisions, the live one first, then the oldest."""
    return await _in_states(session, store_id, KEPT)


async def kept_ids(session: AsyncSession, store_id: str) -> set[str]:
    """As `kept`, and until this transaction ends no version of the store is made, promoted or deleted.

    Raises NotFound for a store that is gone.
    """
    query = (
        select(IndexVersion.id)
        .join(Store, Store.id == IndexVersion.store_id)
        .where(Store.id == store_id, ~Store.deleting, IndexVersion.state.in_(KEPT))
        .with_for_update(read=True, of=Store)
    )
    found = set(await session.scalars(query))
    if not found:
        raise NotFound(f"There is no vector store '{store_id}' any more.", param="vector_store_id")
    return found


async def undeleted(session: AsyncSession, store_id: str) -> list[Version]:
    """Every version of the store that may hold points, failed builds too."""
    return await _in_states(session, store_id, (*KEPT, VersionState.FAILED))


async def unerased(session: AsyncSession, store_id: str) -> list[Version]:
    """Every version of the store of which something may be left in the engine, deleted ones too."""
    query = select(IndexVersion).where(IndexVersion.store_id == store_id, ~IndexVersion.erased)
    return [opened_as(row) for row in await session.scalars(query.order_by(IndexVersion.seq))]


async def alone(session: AsyncSession, store_id: str) -> None:
    """From here to the end of this transaction no revision of the store completes and no version changes its state.

    Whoever completes a revision takes the shared form of this lock. Raises NotFound for a store that is gone.
    """
    query = select(Store.seq).where(Store.id == store_id, ~Store.deleting).with_for_update()
    if await session.scalar(query) is None:
        raise NotFound(f"There is no vector store '{store_id}' any more.", param="vector_store_id")


async def live(session: AsyncSession, store_id: str) -> IndexVersion:
    """The version that answers for a store. Raises NotFound for a store that is gone."""
    row = await session.scalar(
        select(IndexVersion).join(Store, Store.live_version == IndexVersion.id).where(Store.id == store_id)
    )
    if row is None:
        raise NotFound(f"There is no vector store '{store_id}' any more.", param="vector_store_id")
    return row


async def searchable(session: AsyncSession, store_id: str, version_id: str) -> IndexVersion:
    """A version that may be searched. Raises NotFound, and Conflict for one that is not whole."""
    row = await get(session, store_id, version_id)
    if row.state not in SEARCHABLE:
        raise Conflict(
            f"The index version '{version_id}' is {row.state.value} and cannot be searched: wait until it is ready, or "
            "name another.",
            code="version_not_ready",
            param="index_version",
        )
    return row


async def by_id(session: AsyncSession, version_id: str) -> list[Version]:
    """That version, unless it was deleted: then none."""
    row = await session.scalar(
        select(IndexVersion).where(IndexVersion.id == version_id, IndexVersion.state != VersionState.DELETED)
    )
    return [] if row is None else [opened_as(row)]


async def get(session: AsyncSession, store_id: str, version_id: str) -> IndexVersion:
    """One version of a store. Raises NotFound."""
    row = await session.scalar(
        select(IndexVersion).where(IndexVersion.id == version_id, IndexVersion.store_id == store_id)
    )
    if row is None:
        raise NotFound(f"There is no index version '{version_id}' in this vector store.", param="index_version")
    return row


async def listing(session: AsyncSession, store_id: str, cursor: Cursor) -> Page[IndexVersion]:
    """A page of a store's versions, deleted ones too: they are its history."""
    query = select(IndexVersion).where(IndexVersion.store_id == store_id)
    return await page(session, query, IndexVersion.seq, IndexVersion.id, cursor)


def opened_as(row: IndexVersion) -> Version:
    """A row as engines want it."""
    return Version(row.id, read_manifest(row.manifest))


def read_manifest(data: dict[str, object]) -> Manifest:
    """The manifest of a row. Manifests never change, so each is read once."""
    return _read(orjson.dumps(data, option=orjson.OPT_SORT_KEYS))


async def rows(session: AsyncSession, store_id: str, states: Sequence[VersionState]) -> list[IndexVersion]:
    """The versions of a store that are in one of these states, oldest first."""
    query = select(IndexVersion).where(IndexVersion.store_id == store_id, IndexVersion.state.in_(states))
    return list(await session.scalars(query.order_by(IndexVersion.seq)))


async def newest(session: AsyncSession, states: Sequence[VersionState], limit: int) -> list[IndexVersion]:
    """Whole versions of all stores that are in one of these states, newest first."""
    whole = select(IndexVersion).where(IndexVersion.state.in_(states), IndexVersion.restoring_since.is_(None))
    return list(await session.scalars(whole.order_by(IndexVersion.seq.desc()).limit(limit)))


async def _in_states(session: AsyncSession, store_id: str, states: Sequence[VersionState]) -> list[Version]:
    query = select(IndexVersion.id, IndexVersion.manifest).where(
        IndexVersion.store_id == store_id, IndexVersion.state.in_(states)
    )
    rows = await session.execute(query.order_by(IndexVersion.state != VersionState.LIVE, IndexVersion.seq))
    return [Version(ident, read_manifest(manifest)) for ident, manifest in rows]


@lru_cache(maxsize=1024)
def _read(data: bytes) -> Manifest:
    return Manifest.from_json(orjson.loads(data))
