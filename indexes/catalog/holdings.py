"""Which index version holds which revision (I8): written before the points are, and verified after a read-back.

Every kept version must hold every revision that readers may see: the current ones, and those that a snapshot names.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import versions
from indexes.catalog.database import batched
from indexes.catalog.tables import IndexVersion, Revision, RevisionState, VersionState
from indexes.catalog.version_tables import Holding, SnapshotRevision
from indexes.model import AttributeValue


@dataclass(frozen=True, slots=True)
class Held:
    """What a version holds for certain, of what it must."""

    files: int
    chunks: int
    wanted: int

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.files >= self.wanted


def in_snapshot() -> ColumnElement[bool]:
    """Whether a snapshot needs the revision of this row."""
    return exists().where(SnapshotRevision.revision_id == Revision.id)


def wanted(store_id: str) -> ColumnElement[bool]:
    """Whether every kept version of the store must hold the revision of this row."""
    superseded = and_(Revision.state == RevisionState.SUPERSEDED, Revision.has_points, in_snapshot())
    return and_(Revision.store_id == store_id, or_(Revision.state == RevisionState.CURRENT, superseded))


def missing(version: IndexVersion) -> ColumnElement[bool]:
    """Whether the version must hold the revision of this row and was not seen to."""
    held = exists().where(
        Holding.version_id == version.id, Holding.revision_id == Revision.id, Holding.verified_at.is_not(None)
    )
    return and_(wanted(version.store_id), ~held)


async def held(session: AsyncSession, version_id: str, store_id: str) -> Held:
    """Counts of one version."""
    mine = select(func.count(), func.sum(Holding.chunks)).join(Revision, Revision.id == Holding.revision_id)
    seen = mine.where(Holding.version_id == version_id, Holding.verified_at.is_not(None), wanted(store_id))
    files, chunks = (await session.execute(seen)).one()
    of_store = select(func.count()).select_from(Revision).where(wanted(store_id))
    return Held(files, int(chunks or 0), await session.scalar(of_store) or 0)


async def is_complete(session: AsyncSession, version: IndexVersion) -> bool:
    """Whether the version was seen to hold everything that it must."""
    return await session.scalar(select(Revision.seq).where(missing(version)).limit(1)) is None


async def announce(session: AsyncSession, version_id: str, revision_ids: Sequence[str]) -> None:
    """Note that points of these revisions are about to be written."""
    for ids in batched(revision_ids):
        rows = [{"version_id": version_id, "revision_id": one, "chunks": 0} for one in ids]
        await session.execute(_insert(session).on_conflict_do_nothing(), rows)


async def note_completed(session: AsyncSession, held: Mapping[str, int], revision_id: str) -> None:
    """Note that each of the versions was seen to hold a revision in so many chunks."""
    now = time.time()
    rows = [
        {"version_id": one, "revision_id": revision_id, "chunks": chunks, "verified_at": now}
        for one, chunks in held.items()
    ]
    insert = _insert(session)
    seen = {"chunks": insert.excluded.chunks, "verified_at": insert.excluded.verified_at}
    await session.execute(insert.on_conflict_do_update(index_elements=["version_id", "revision_id"], set_=seen), rows)


async def note_verified(
    session: AsyncSession,
    version: IndexVersion,
    read_back: Mapping[str, int],
    attributes: Mapping[str, Mapping[str, AttributeValue]],
) -> list[str]:
    """Note what was read back, as chunks by revision, and return those of the revisions whose points must go again.

    A revision that was superseded or deleted meanwhile is no longer wanted. One whose attributes were changed
    meanwhile stays unverified, and is written again. Raises NotFound for a store that is gone.
    """
    # First the store and then its rows in order, as everybody does who locks several: no two wait for each other.
    await versions.kept_ids(session, version.store_id)
    query = select(Revision.id, Revision.attributes).where(wanted(version.store_id), Revision.id.in_(read_back))
    locked = query.order_by(Revision.seq).with_for_update(of=Revision)
    rows = {row.id: row.attributes for row in await session.execute(locked)}
    for ident, now in rows.items():
        if now == dict(attributes[ident]):
            await note_completed(session, {version.id: read_back[ident]}, ident)
    return [ident for ident in read_back if ident not in rows]


async def doubt_failed(session: AsyncSession, version_id: str) -> None:
    """Note that what a failed version was seen to hold must be seen again: writes went past it since it failed."""
    failed = exists().where(IndexVersion.id == version_id, IndexVersion.state == VersionState.FAILED)
    await session.execute(
        update(Holding).where(Holding.version_id == version_id, failed).values(verified_at=None),
        execution_options={"synchronize_session": False},
    )


async def still_wanted(session: AsyncSession, version: IndexVersion, revision_id: str) -> bool:
    """Whether the version must hold a revision. Where it must, that stays so until the transaction ends."""
    query = select(Revision.seq).where(wanted(version.store_id), Revision.id == revision_id)
    return await session.scalar(query.with_for_update(read=True, of=Revision)) is not None


async def forget(session: AsyncSession, version_id: str, revision_ids: Sequence[str]) -> None:
    """Note that a version no longer holds these revisions."""
    for ids in batched(revision_ids):
        await session.execute(delete(Holding).where(Holding.version_id == version_id, Holding.revision_id.in_(ids)))


async def forget_erased(session: AsyncSession, revision_id: str) -> None:
    """Note that a revision was erased everywhere, except where a builder may be writing it at this moment."""
    being_filled = select(IndexVersion.id).where(
        IndexVersion.id == Holding.version_id, IndexVersion.lease_until >= time.time()
    )
    settled = Holding.verified_at.is_not(None) | ~being_filled.exists()
    await session.execute(
        delete(Holding).where(Holding.revision_id == revision_id, settled),
        execution_options={"synchronize_session": False},
    )


async def orphans(session: AsyncSession, limit: int) -> list[Holding]:
    """What a builder that died may have written of revisions that were superseded or deleted meanwhile."""
    unwanted = ~exists().where(Revision.id == Holding.revision_id, Revision.state != RevisionState.DELETED)
    unwanted |= exists().where(
        Revision.id == Holding.revision_id,
        Revision.state.not_in((RevisionState.CURRENT, RevisionState.PENDING, RevisionState.DELETED)),
        ~Revision.has_points,
    )
    query = (
        select(Holding)
        .join(IndexVersion, IndexVersion.id == Holding.version_id)
        .where(unwanted, IndexVersion.lease_until < time.time())
    )
    return list(await session.scalars(query.limit(limit)))


async def chunks_by_revision(session: AsyncSession, version: IndexVersion) -> dict[str, int]:
    """How many chunks each revision has that the version was seen to hold and still must."""
    query = (
        select(Holding.revision_id, Holding.chunks)
        .join(Revision, Revision.id == Holding.revision_id)
        .where(Holding.version_id == version.id, Holding.verified_at.is_not(None), wanted(version.store_id))
    )
    return {row.revision_id: row.chunks for row in await session.execute(query)}


def inventory_hash(inventory: Mapping[str, int]) -> str:
    """SHA-256 over revisions and how many chunks each has: equal for versions that hold the same in the same cut."""
    lines = "\n".join(f"{revision} {chunks}" for revision, chunks in sorted(inventory.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _insert(session: AsyncSession) -> postgresql.Insert | sqlite.Insert:
    """The form of the database at hand that says what to do about rows that are there."""
    name = session.get_bind().dialect.name
    return postgresql.insert(Holding) if name == "postgresql" else sqlite.insert(Holding)
