"""The work of making revisions searchable: who owns it, how far it is, how it ends.

A worker owns a revision while its lease runs. Every change it makes names the fence it got with the lease, so a worker
that was thought dead and comes back changes nothing (Kleppmann 2016, "How to do distributed locking").
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import chunks, holdings
from indexes.catalog.tables import Revision, RevisionState, Stage
from indexes.errors import LeaseLost
from indexes.model import AttributeValue, Chunk


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one revision until it ends or another worker takes over."""

    revision_id: str
    owner: str
    fence: int


async def next_store(session: AsyncSession) -> str | None:
    """Whose turn it is: of the stores with work that is due, the one with the least in work; None if there is none.

    So a batch of thousands delays another store's single upload by one document, not by thousands.
    """
    now = time.time()
    in_work = func.sum(case((Revision.lease_until >= now, 1), else_=0))
    due = func.sum(case((and_(*_due(now)), 1), else_=0))
    query = select(Revision.store_id).where(Revision.state == RevisionState.PENDING).group_by(Revision.store_id)
    return await session.scalar(query.having(due > 0).order_by(in_work, func.min(Revision.seq)).limit(1))


async def claim(session: AsyncSession, store_id: str, owner: str, lease_s: float) -> Revision | None:
    """Take over a store's oldest revision that is due and count the attempt; None if there is none."""
    now = time.time()
    oldest = select(Revision.seq).where(Revision.store_id == store_id, *_due(now)).order_by(Revision.seq).limit(1)
    statement = (
        update(Revision)
        # On PostgreSQL several workers claim at once, each the next one that no other is just taking.
        .where(Revision.seq == oldest.with_for_update(skip_locked=True).scalar_subquery(), *_due(now))
        .values(
            lease_owner=owner,
            lease_until=now + lease_s,
            fence=Revision.fence + 1,
            attempts=Revision.attempts + 1,
            started_at=func.coalesce(Revision.started_at, now),
            updated_at=now,
        )
        .returning(Revision)
    )
    return await session.scalar(statement)


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
    await _change(session, lease, {"has_points": True})
    attributes = await session.scalar(select(Revision.attributes).where(Revision.id == lease.revision_id))
    return attributes or {}


async def put_chunks(session: AsyncSession, lease: Lease, cut: str, made: Sequence[Chunk]) -> None:
    """Replace the revision's chunks and note the stage. Raises LeaseLost."""
    await advance(session, lease, Stage.CHUNKED, chunks_total=len(made))
    await chunks.put(session, lease.revision_id, cut, made)


async def unsynced_attributes(session: AsyncSession, lease: Lease) -> dict[str, AttributeValue] | None:
    """The attributes that points were not given yet, or None. Raises LeaseLost."""
    row = await session.scalar(select(Revision).where(*_held(lease)))
    if row is None:
        raise LeaseLost(f"The work on {lease.revision_id} was taken over.")
    return None if row.attributes_synced else row.attributes


async def complete(session: AsyncSession, lease: Lease) -> Revision:
    """Make the revision the current one of its key and hide the one before, in this transaction (I4).

    Where a newer one is current already, this one is superseded at once. Raises LeaseLost.
    """
    # On PostgreSQL two revisions of one key may end at once: they take turns, in the same order for both.
    key = select(Revision.store_id, Revision.key).where(Revision.id == lease.revision_id).subquery()
    of_key = select(Revision.seq).join(key, and_(Revision.store_id == key.c.store_id, Revision.key == key.c.key))
    await session.execute(of_key.order_by(Revision.seq).with_for_update(of=Revision))
    await _change(session, lease, {"stage": Stage.VERIFIED, "lease_until": 0.0, "lease_owner": None})
    mine = await session.scalar(select(Revision).where(Revision.id == lease.revision_id).with_for_update())
    assert mine is not None
    await session.refresh(mine)
    same_key = (Revision.store_id == mine.store_id, Revision.key == mine.key)
    newer = await session.scalar(
        select(func.max(Revision.seq)).where(
            *same_key, Revision.seq > mine.seq, Revision.state.in_((RevisionState.CURRENT, RevisionState.SUPERSEDED))
        )
    )
    if newer is not None:
        mine.state = RevisionState.SUPERSEDED
        return mine
    await session.execute(
        update(Revision)
        .where(*same_key, Revision.id != mine.id, Revision.state == RevisionState.CURRENT)
        .values(state=RevisionState.SUPERSEDED)
    )
    # What an older upload failed at no longer matters to anybody once a newer one is there.
    await session.execute(
        update(Revision)
        .where(*same_key, Revision.seq < mine.seq, Revision.state.in_((RevisionState.FAILED, RevisionState.CANCELLED)))
        .values(state=RevisionState.SUPERSEDED)
    )
    mine.state = RevisionState.CURRENT
    return mine


async def fail(session: AsyncSession, lease: Lease, code: str, message: str) -> None:
    """End the work for good, with what its owner should know. Raises LeaseLost."""
    values = {"state": RevisionState.FAILED, "error_code": code, "error_message": message}
    await _change(session, lease, {**values, "lease_until": 0.0, "lease_owner": None})


async def postpone(session: AsyncSession, lease: Lease, code: str, message: str, delay_s: float) -> None:
    """Give the lease back and try again later; the reason is shown meanwhile. Raises LeaseLost."""
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
        or_(Revision.state == RevisionState.DELETED, Revision.has_points & (ended | superseded)),
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


def _due(now: float) -> tuple[ColumnElement[bool], ...]:
    return (Revision.state == RevisionState.PENDING, Revision.next_attempt_at <= now, Revision.lease_until < now)


def _held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        Revision.id == lease.revision_id,
        Revision.fence == lease.fence,
        Revision.lease_owner == lease.owner,
        Revision.state == RevisionState.PENDING,
    )


async def _change(session: AsyncSession, lease: Lease, values: dict[str, object]) -> None:
    statement = update(Revision).where(*_held(lease)).values(**values, updated_at=time.time())
    changed = await session.scalar(statement.returning(Revision.id), execution_options={"synchronize_session": False})
    if changed is None:
        raise LeaseLost(f"The work on {lease.revision_id} was taken over, cancelled or deleted.")
