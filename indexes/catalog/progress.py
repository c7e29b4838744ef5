"""How fast the work of a store goes, what is left of it, and what changed lately."""

import time
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, case, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.tables import Revision, RevisionState

WINDOW_S = 120.0
"""How far back speed is measured: long enough to hold a few batches, short enough to follow a change of load."""

Place = tuple[float, int]
"""A place in the order of changes: `updated_at` and `seq` of a revision."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`chunks` were embedded and stored in the last `elapsed_s`; `chunks_per_file` is their mean over files."""

    chunks: float
    elapsed_s: float
    chunks_per_file: float


@dataclass(frozen=True, slots=True)
class Line:
    """Work that is left: chunks of files that are cut, and files that are not."""

    chunks: int = 0
    uncut_files: int = 0


async def paces(session: AsyncSession, store_ids: Collection[str]) -> dict[str, Pace]:
    """What each store did lately; a store that did nothing is left out."""
    now = time.time()
    since = now - WINDOW_S
    within = Revision.started_at > since
    # Of work that began before the window, the part in proportion to its time within.
    share = Revision.chunks_done * (Revision.updated_at - since) / (Revision.updated_at - Revision.started_at)
    query = (
        select(
            Revision.store_id,
            func.sum(case((within, Revision.chunks_done), else_=share)),
            func.min(case((within, Revision.started_at), else_=since)),
            func.avg(Revision.chunks_total),
        )
        .where(
            Revision.store_id.in_(store_ids),
            Revision.updated_at > since,
            Revision.chunks_done > 0,
            # Finished work counts only if it began within: a later change of attributes also moves `updated_at`.
            or_(
                and_(Revision.state == RevisionState.CURRENT, within),
                and_(Revision.state == RevisionState.PENDING, Revision.started_at.is_not(None)),
            ),
        )
        .group_by(Revision.store_id)
    )
    return {
        store_id: Pace(float(chunks), now - float(began), float(per_file))
        for store_id, chunks, began, per_file in await session.execute(query)
    }


async def lines(session: AsyncSession, store_id: str, seqs: Collection[int]) -> dict[int, Line]:
    """For each of these unfinished revisions of a store, the work up to its end, that of those before it included."""
    if not seqs:
        return {}
    chunks = func.sum(Revision.chunks_total - Revision.chunks_done)
    uncut = func.sum(case((Revision.chunks_total > 0, 0), else_=1))
    pending = (Revision.store_id == store_id, Revision.state == RevisionState.PENDING)
    # What stands before all of them is one sum: running sums over a long line take four times as long.
    head = (await session.execute(select(chunks, uncut).where(*pending, Revision.seq < min(seqs)))).one()
    running = (
        select(
            Revision.seq,
            chunks.over(order_by=Revision.seq).label("chunks"),
            uncut.over(order_by=Revision.seq).label("uncut"),
        )
        .where(*pending, Revision.seq.between(min(seqs), max(seqs)))
        .subquery()
    )
    rows = await session.execute(select(running).where(running.c.seq.in_(seqs)))
    return {row.seq: Line(int(row.chunks + (head[0] or 0)), int(row.uncut + (head[1] or 0))) for row in rows}


async def changed(session: AsyncSession, store_id: str, after: Place, limit: int) -> list[Revision]:
    """Revisions of a store that last changed after that place, deleted ones too, in the order of their last change."""
    at = tuple_(Revision.updated_at, Revision.seq)
    query = select(Revision).where(Revision.store_id == store_id, Revision.updated_at >= after[0], at > tuple_(*after))
    return list(await session.scalars(query.order_by(Revision.updated_at, Revision.seq).limit(limit)))
