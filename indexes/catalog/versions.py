"""Index versions of a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.tables import IndexVersion, VersionState
from indexes.errors import NotFound
from indexes.manifest import Manifest

KEPT = (VersionState.BUILDING, VersionState.READY, VersionState.LIVE, VersionState.RETIRED)
"""States in which a version receives every write (I8)."""


@dataclass(frozen=True, slots=True)
class Version:
    """An index version as engines open it."""

    id: str
    manifest: Manifest


async def kept(session: AsyncSession, store_id: str) -> list[Version]:
    """Every version of the store that must hold its revisions, oldest first."""
    return await _in_states(session, store_id, KEPT)


async def undeleted(session: AsyncSession, store_id: str) -> list[Version]:
    """Every version of the store that may hold points, failed builds too, oldest first."""
    return await _in_states(session, store_id, (*KEPT, VersionState.FAILED))


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


def read_manifest(data: dict[str, object]) -> Manifest:
    """The manifest of a row. Manifests never change, so each is read once."""
    return _read(orjson.dumps(data, option=orjson.OPT_SORT_KEYS))


async def _in_states(session: AsyncSession, store_id: str, states: Sequence[VersionState]) -> list[Version]:
    query = select(IndexVersion.id, IndexVersion.manifest).where(
        IndexVersion.store_id == store_id, IndexVersion.state.in_(states)
    )
    rows = await session.execute(query.order_by(IndexVersion.seq))
    return [Version(ident, read_manifest(manifest)) for ident, manifest in rows]


@lru_cache(maxsize=1024)
def _read(data: bytes) -> Manifest:
    return Manifest.from_json(orjson.loads(data))
