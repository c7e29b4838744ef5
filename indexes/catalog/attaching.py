"""Attaching many files at once, so that a batch of thousands does not hold the write lock as long as one by one."""

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import revisions
from indexes.catalog.database import batched
from indexes.catalog.revisions import LISTED, Attachment
from indexes.catalog.tables import BatchRevision, Revision


async def attach_all(
    session: AsyncSession, store_id: str, wanted: Sequence[Attachment], batch_id: str | None = None
) -> list[Revision]:
    """`revisions.attach` for each of them, in order; what is new to the store goes in hundreds at a time."""
    attached: list[Revision] = []
    for some in batched(wanted):
        attached += await _attach_some(session, store_id, some, batch_id)
    return attached


async def _attach_some(
    session: AsyncSession, store_id: str, wanted: Sequence[Attachment], batch_id: str | None
) -> list[Revision]:
    taken = await _taken(session, store_id, wanted)
    fresh: dict[int, Revision] = {}
    for place, one in enumerate(wanted):
        names = {one.key, one.file.id}
        if not names & taken:
            fresh[place] = revisions.new(store_id, one)
            taken |= names
    session.add_all(fresh.values())
    await session.flush()
    if batch_id is not None:
        session.add_all(BatchRevision(batch_id=batch_id, revision_id=row.id) for row in fresh.values())
        await session.flush()
    return [
        fresh[place] if place in fresh else await revisions.attach(session, store_id, one, batch_id)
        for place, one in enumerate(wanted)
    ]


async def _taken(session: AsyncSession, store_id: str, wanted: Sequence[Attachment]) -> set[str]:
    """Keys and file ids that revisions of the store have."""
    query = select(Revision.key, Revision.file_id).where(
        Revision.store_id == store_id,
        Revision.state.in_(LISTED),
        or_(Revision.key.in_([one.key for one in wanted]), Revision.file_id.in_([one.file.id for one in wanted])),
    )
    return {name for row in await session.execute(query) for name in row}
