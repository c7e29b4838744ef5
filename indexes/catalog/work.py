"""The work of making revisions searchable: who owns it, how far it is, how it ends.

A worker owns a revision while its lease runs. Every change it makes names the fence it got with the lease, so a worker
that was thought dead and comes back changes nothing (Kleppmann 2016, "How to do distributed locking").
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Float, and_, bindparam, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import chunks, holdings
from indexes.catalog.tables import Revision, RevisionState, Stage
from indexes.errors import LeaseLost
from indexes.model import AttributeValue, Chunk

# What is asked for every document is built once: building a statement costs more than running it.
_NOW = bindparam("now", type_=Float)
_DUE = (
    Revision.state == RevisionState.PENDING,
    Revision.next_attempt_at <= _NOW,
    Revision.lease_until < _NOW,
)
_NEXT_STORE = (
    select(Revision.store_id)
    .where(Revision.state == RevisionState.PENDING)
    .group_by(Revision.store_id)
    .having(func.sum(case((and_(*_DUE), 1), else_=0)) > 0)
    .order_by(func.sum(case((Revision.lease_until >= _NOW, 1), else_=0)), func.min(Revision.seq))
    .limit(1)
)
_OLDEST = select(Revision.seq).where(Revision.store_id == bindparam("of_store"), *_DUE).order_by(Revision.seq).limit(1)
_CLAIM = (
    update(Revision)
    # On PostgreSQL several workers claim at once, each the next one that no other is just taking.
    .where(Revision.seq == _OLDEST.with_for_update(skip_locked=True).scalar_subquery(), *_DUE)
    .values(
        lease_owner=bindparam("owner"),
        lease_until=bindparam("until"),
        fence=Revision.fence + 1,
        attempts=Revision.attempts + 1,
        started_at=func.coalesce(Revision.started_at, _NOW),
        updated_at=_NOW,
    )
    .returning(Revision)
    .execution_options(synchronize_session=False)
)
_REVISIONS = Revision.metadata.tables[Revision.__tablename__]
_CHANGE = (
    update(_REVISIONS)
    .where(
        _REVISIONS.c.id == bindparam("held_id"),
        _REVISIONS.c.fence == bindparam("held_fence"),
        _REVISIONS.c.lease_owner == bindparam("held_by"),
        _REVISIONS.c.state == RevisionState.PENDING,
    )
    .returning(_REVISIONS.c.id, _REVISIONS.c.attributes)
)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one revision until it ends or another worker takes over."""

    revision_id: str
    owner: str
    fence: int

    def holds(self, row: Revision) -> bool:
        """Whether this is the lease on the revision of `row`, and there is work left to do."""
        mine = (self.revision_id, self.owner, self.fence, RevisionState.PENDING)
        return (row.id, row.lease_owner, row.fence, row.state) == mine


async def next_store(session: AsyncSession) -> str | None:
    """Whose turn it is: of the stores with work that is due, the one with the least in work; None if there is none.

    So a batch of thousands delays another store's single upload by one document, not by thousands.
    """
    return await session.scalar(_NEXT_STORE, {"now": time.time()})


async def claim(session: AsyncSession, store_id: str, owner: str, lease_s: float) -> Revision | None:
    """Take over a store's oldest revision that is due and count the attempt; None if there is none."""
    now = time.time()
    return await session.scalar(_CLAIM, {"now": now, "of_store": store_id, "owner": owner, "until": now + lease_s})


async def renew(session: AsyncSession, lease: Lease, lease_s: float) -> None:
    """Push the end of a lease out. Raises LeaseLost."""
    await _change(session, lease, {"lease_until": time.time() + lease_s})


async def advance(session: AsyncSession, lease: Lease, stage: Stage, **values: object) -> None:
    """Note that a stage is done, with what it produced. Raises LeaseLost."""
    await _change(session, lease, {"stage": stage, **values})


async def progress(session: AsyncSession, lease: Lease, chunks_done: int, chunks_reused: int) -> None:
    """Note how many chunks are stored, and for how many of them no text was embedded. Raises LeaseLost."""
    await _change(session, lease, {"chunks_done": chunks_done, "chunks_reused": chunks_reused})


async def announce_points(session: AsyncSession, lease: Lease) -> dict[str, AttributeValue]:
    """From now on searches hide this revision, since its points are about to be written with these attributes.

    Attributes that change later are marked as not synced. Raises LeaseLost.
    """
    return await _change(session, lease, {"has_points": True})


async def put_chunks(session: AsyncSession, lease: Lease, cut: str, made: Sequence[Chunk]) -> dict[str, AttributeValue]:
    """Replace the revision's chunks, note the stage, and announce their points as `announce_points` does."""
    values = {"stage": Stage.CHUNKED, "chunks_total": len(made), "has_points": True}
    attributes = await _change(session, lease, values)
    await chunks.put(session, lease.revision_id, cut, made)
    return attributes


async def fail(session: AsyncSession, lease: Lease, code: str, message: str) -> None:
    """End the work for good, with what its owner should know. Raises LeaseLost."""
    values = {"state": RevisionState.FAILED, "error_code": code, "error_message": message}
    await _change(session, lease, {**values, "lease_until": 0.0, "lease_owner": None})


async def postpone(
    session: AsyncSession, lease: Lease, code: str, message: str, delay_s: float, *, counted: bool = True
) -> None:
    """Give the lease back and try again later; the reason is shown meanwhile. Raises LeaseLost.

    Not `counted`: as if the attempt had not been.
    """
    if not counted:
        mine = (Revision.id == lease.revision_id, Revision.fence == lease.fence)
        await session.execute(update(Revision).where(*mine).values(attempts=Revision.attempts - 1))
    values = {"error_code": code, "error_message": message, "next_attempt_at": time.time() + delay_s}
    await _change(session, lease, {**values, "lease_until": 0.0, "lease_owner": None})


async def release(session: AsyncSession, lease: Lease) -> None:
    """Give the lease back unfinished, as if the attempt had not been: a worker that shuts down does this."""
    await session.execute(
        update(Revision)
        # Work that ended has no owner: a worker that hears of the end as a lost lease has nothing to give back.
        .where(Revision.id == lease.revision_id, Revision.fence == lease.fence, Revision.lease_owner == lease.owner)
        .values(lease_until=0.0, lease_owner=None, attempts=Revision.attempts - 1)
    )


async def hold(session: AsyncSession, revision: Revision, owner: str, lease_s: float) -> Lease | None:
    """Take the lease of a revision that is still in the state it was read in; None where that cannot be had."""
    now = time.time()
    fence = await session.scalar(
        update(Revision)
        .where(Revision.id == revision.id, Revision.state == revision.state, Revision.lease_until < now)
        .values(lease_owner=owner, lease_until=now + lease_s, fence=Revision.fence + 1)
        .returning(Revision.fence),
        execution_options={"synchronize_session": False},
    )
    return None if fence is None else Lease(revision.id, owner, fence)


async def let_go(session: AsyncSession, lease: Lease) -> None:
    """Give back what `hold` took."""
    await session.execute(
        update(Revision)
        .where(Revision.id == lease.revision_id, Revision.fence == lease.fence, Revision.lease_owner == lease.owner)
        .values(lease_until=0.0, lease_owner=None)
    )


async def attributes(session: AsyncSession, lease: Lease) -> dict[str, AttributeValue]:
    """The attributes of a revision as they are now."""
    return await session.scalar(select(Revision.attributes).where(Revision.id == lease.revision_id)) or {}


async def leftovers(session: AsyncSession, limit: int) -> list[Revision]:
    """Revisions that no reader may see and no worker holds, but of which points or rows are left."""
    superseded = and_(Revision.state == RevisionState.SUPERSEDED, ~holdings.in_snapshot())
    ended = Revision.state.in_((RevisionState.FAILED, RevisionState.CANCELLED))
    query = select(Revision).where(
        Revision.lease_until < time.time(),
        or_(
            Revision.state == RevisionState.DELETED,
            Revision.has_points & (ended | superseded),
            Revision.text_blob.is_not(None) & superseded,  # it had failed, and was superseded when its points were gone
        ),
    )
    return list(await session.scalars(query.order_by(Revision.seq).limit(limit)))


async def unsynced(session: AsyncSession, limit: int) -> list[Revision]:
    """Revisions that readers may see, now or in a snapshot, whose points may still carry older attributes."""
    named = and_(Revision.state == RevisionState.SUPERSEDED, holdings.in_snapshot())
    query = select(Revision).where(or_(Revision.state == RevisionState.CURRENT, named), ~Revision.attributes_synced)
    return list(await session.scalars(query.order_by(Revision.seq).limit(limit)))


async def attributes_synced(session: AsyncSession, revision_id: str, attributes: dict[str, AttributeValue]) -> None:
    """Note that the points carry these attributes, unless they were changed again meanwhile."""
    row = await session.scalar(select(Revision).where(Revision.id == revision_id))
    if row is not None and row.attributes == attributes:
        row.attributes_synced = True


async def _change(session: AsyncSession, lease: Lease, values: dict[str, object]) -> dict[str, AttributeValue]:
    """Change the row of a held revision; gives its attributes."""
    held = {"held_id": lease.revision_id, "held_fence": lease.fence, "held_by": lease.owner}
    row = (await session.execute(_CHANGE, {**values, **held})).one_or_none()
    if row is None:
        raise lease_lost(lease)
    attributes: dict[str, AttributeValue] = row.attributes
    return attributes


def lease_lost(lease: Lease) -> LeaseLost:
    """What to raise where a lease is not held any more."""
    return LeaseLost(f"The work on {lease.revision_id} was taken over, cancelled or deleted.")
