"""Erasing what readers no longer see: the right to do it, what becomes of the rows, and what is left of them.

Whoever erases holds the lease of the revision, as a worker does. Otherwise a revision that is tried again could be
completed by a worker while the points of its earlier attempt are still being taken away.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import holdings
from indexes.catalog.database import batched
from indexes.catalog.tables import ChunkRow, IndexVersion, Revision, RevisionState, Stage
from indexes.catalog.work import Lease, hold
from indexes.errors import LeaseLost

OWNER = "eraser"
LEASE_S = 15.0


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the catalog that are still there."""

    revisions: int
    chunks: int


async def begin(session: AsyncSession, revision: Revision) -> Lease | None:
    """Take the lease of a revision that is still in the state it was read in; None where that cannot be had.

    A superseded revision that a snapshot names is not to be erased.
    """
    kept = select(Revision.seq).where(Revision.id == revision.id, holdings.in_snapshot())
    if revision.state == RevisionState.SUPERSEDED and await session.scalar(kept) is not None:
        return None
    return await hold(session, revision, OWNER, LEASE_S)


async def renew(session: AsyncSession, lease: Lease) -> None:
    """Push the end of what `begin` gave out. Raises LeaseLost."""
    mine = (Revision.id == lease.revision_id, Revision.fence == lease.fence, Revision.lease_owner == lease.owner)
    renewed = update(Revision).where(*mine).values(lease_until=time.time() + LEASE_S).returning(Revision.fence)
    if await session.scalar(renewed, execution_options={"synchronize_session": False}) is None:
        raise LeaseLost(f"The right to erase {lease.revision_id} is gone.")


async def finish(session: AsyncSession, lease: Lease, erased: RevisionState) -> None:
    """After the points are gone, and the text of what was deleted or superseded.

    A deleted revision's row goes; a superseded one's stays as history. One that failed or was cancelled keeps its text
    and chunks, so that trying it again goes on from there (I5).
    """
    mine = (Revision.id == lease.revision_id, Revision.fence == lease.fence)
    await holdings.forget_erased(session, lease.revision_id)
    if erased == RevisionState.DELETED:
        await session.execute(delete(Revision).where(*mine))
        return
    row = await session.scalar(select(Revision).where(*mine).with_for_update())
    if row is None:
        return
    row.lease_owner, row.lease_until = None, 0.0
    row.has_points, row.chunks_done = False, 0
    if erased == RevisionState.SUPERSEDED:
        row.text_blob, row.chunks_total, row.stage = None, 0, Stage.RECEIVED
        await session.execute(delete(ChunkRow).where(ChunkRow.revision_id == row.id))
    elif row.stage not in (Stage.RECEIVED, Stage.PARSED):
        row.stage = Stage.CHUNKED


async def is_revision_held(session: AsyncSession, revision_id: str) -> bool:
    """Whether anybody works on a revision."""
    held = exists().where(Revision.id == revision_id, Revision.lease_until >= time.time())
    return bool(await session.scalar(select(held)))


async def is_store_held(session: AsyncSession, store_id: str) -> bool:
    """Whether anybody works on a revision of a store, or builds a version of it."""
    held = (
        exists().where(table.store_id == store_id, table.lease_until >= time.time())
        for table in (Revision, IndexVersion)
    )
    return bool(await session.scalar(select(or_(*held))))


async def rows_of_revisions(session: AsyncSession, revision_ids: Sequence[str]) -> Rows:
    """What the catalog holds of some revisions."""
    revisions = chunks = 0
    for ids in batched(revision_ids):
        rows = select(func.count()).select_from(Revision).where(Revision.id.in_(ids))
        revisions += await session.scalar(rows) or 0
        rows = select(func.count()).select_from(ChunkRow).where(ChunkRow.revision_id.in_(ids))
        chunks += await session.scalar(rows) or 0
    return Rows(revisions, chunks)


async def rows_of_store(session: AsyncSession, store_id: str) -> Rows:
    """What the catalog holds of a store's revisions."""
    mine = Revision.store_id == store_id
    revisions = select(func.count()).select_from(Revision).where(mine)
    chunks = select(func.count()).select_from(ChunkRow).join(Revision, Revision.id == ChunkRow.revision_id).where(mine)
    return Rows(await session.scalar(revisions) or 0, await session.scalar(chunks) or 0)
