"""Index versions that lost points: who noted it, what is erased, how much is back.

A version that is being restored keeps its state. It is filled by whoever holds its lease, as a build is; its fence
tells apart what was seen before it was noted, erased or taken over from what was seen after.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import history, holdings
from indexes.catalog.builds import BuildLease
from indexes.catalog.history import Because
from indexes.catalog.tables import IndexVersion, Revision, RevisionState, Store
from indexes.catalog.version_tables import EventKind, Holding
from indexes.catalog.versions import KEPT, SEARCHABLE
from indexes.errors import LeaseLost


@dataclass(frozen=True, slots=True)
class Restored:
    """How many documents of a version that is being restored can be found again."""

    done: int
    total: int


async def note_damaged(session: AsyncSession, version_id: str, fence: int, why: str) -> bool:
    """Note that what a version holds cannot be read, or is gone: it is erased, and filled again.

    False where that was noted before, or the version is not as it was when `fence` was read.
    """
    noted = await _noted(session, version_id, fence, why, damaged=True)
    if noted:
        every = update(Holding).where(Holding.version_id == version_id).values(verified_at=None)
        await session.execute(every, execution_options={"synchronize_session": False})
    return noted


async def note_lost(
    session: AsyncSession, version_id: str, fence: int, why: str, revision_ids: Sequence[str] = ()
) -> bool:
    """Note that a version which can be searched lacks points, of these revisions as far as that is known: whoever fills
    it finds the others. False as in `note_damaged`."""
    noted = await _noted(session, version_id, fence, why, damaged=False)
    if noted:
        await holdings.forget(session, version_id, revision_ids)
    return noted


async def note_dropped(session: AsyncSession, lease: BuildLease) -> None:
    """Note that nothing is left of a damaged version, and end the lease. Raises LeaseLost.

    Whoever may have written to what was erased loses the lease too, or would complete a revision that is not there.
    """
    statement = (
        update(IndexVersion)
        .where(IndexVersion.id == lease.version_id, IndexVersion.fence == lease.fence, IndexVersion.damaged)
        .values(damaged=False, fence=IndexVersion.fence + 1, lease_until=0.0, lease_owner=None)
        .returning(IndexVersion.store_id)
    )
    store_id = await session.scalar(statement, execution_options={"synchronize_session": False})
    if store_id is None:
        raise LeaseLost(f"The restoring of {lease.version_id} was taken over.")
    await session.execute(delete(Holding).where(Holding.version_id == lease.version_id))
    await session.execute(
        update(Revision)
        .where(Revision.store_id == store_id, Revision.state == RevisionState.PENDING, Revision.lease_until > 0)
        .values(fence=Revision.fence + 1, lease_until=0.0, lease_owner=None),
        execution_options={"synchronize_session": False},
    )


async def so_far(session: AsyncSession, version: IndexVersion) -> Restored:
    """How far the restoring of a version is."""
    held = await holdings.held(session, version.id, version.store_id)
    return Restored(held.files, held.wanted)


async def whole(session: AsyncSession, store_id: str) -> IndexVersion | None:
    """The newest version of a store that can be searched and lacks nothing; None where there is none."""
    kept = select(IndexVersion).where(IndexVersion.store_id == store_id, *_STANDING)
    for version in await session.scalars(kept.order_by(IndexVersion.seq.desc())):
        if await holdings.is_complete(session, version):
            return version
    return None


async def holds_any(session: AsyncSession, version_id: str) -> bool:
    """Whether a version was seen to hold points."""
    seen = select(Holding.version_id).where(
        Holding.version_id == version_id, Holding.verified_at.is_not(None), Holding.chunks > 0
    )
    return await session.scalar(seen.limit(1)) is not None


async def standing(session: AsyncSession) -> list[IndexVersion]:
    """The versions that are to hold what the catalog says, of all stores that are not being deleted."""
    of_stores = IndexVersion.store_id.in_(select(Store.id).where(~Store.deleting))
    return list(await session.scalars(select(IndexVersion).where(*_STANDING, of_stores).order_by(IndexVersion.seq)))


_STANDING = (IndexVersion.state.in_(SEARCHABLE), IndexVersion.restoring_since.is_(None))


async def _noted(session: AsyncSession, version_id: str, fence: int, why: str, *, damaged: bool) -> bool:
    now = time.time()
    statement = (
        update(IndexVersion)
        .where(
            IndexVersion.id == version_id,
            IndexVersion.fence == fence,
            ~IndexVersion.damaged,
            IndexVersion.state.in_(KEPT if damaged else SEARCHABLE),
            IndexVersion.store_id.in_(select(Store.id).where(~Store.deleting)),
        )
        .values(
            damaged=damaged,
            restoring_since=func.coalesce(IndexVersion.restoring_since, now),
            fence=IndexVersion.fence + 1,
            lease_until=0.0,
            lease_owner=None,
            error=why,
            attempts=0,
            next_attempt_at=0.0,
            embedded=0,
            reused=0,
            build_s=0.0,
        )
        .returning(IndexVersion.store_id)
    )
    store_id = await session.scalar(statement, execution_options={"synchronize_session": False})
    if store_id is not None:
        await history.note(session, store_id, version_id, EventKind.DAMAGED, Because(reason=why))
    return store_id is not None
