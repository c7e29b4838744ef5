"""Named points in time of a store: taken, searched, compared, restored.

A snapshot names revisions. Superseded ones that it names keep their text, chunks and points in every kept version
until it is deleted. Deleting a document takes it out of snapshots too: they then say that it is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import history, versions
from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.tables import Revision, RevisionState
from indexes.catalog.version_tables import EventKind, Snapshot, SnapshotRevision
from indexes.errors import Conflict, NotFound
from indexes.ids import Kind, new_id


@dataclass(frozen=True, slots=True)
class Contents:
    """How many documents a snapshot names, and how many of them were deleted since."""

    documents: int
    deleted: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Keys of documents, from one point in time to another."""

    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[str]


def names(snapshot_id: str) -> ColumnElement[bool]:
    """Whether a snapshot names the revision of this row."""
    return exists().where(SnapshotRevision.snapshot_id == snapshot_id, SnapshotRevision.revision_id == Revision.id)


async def take(session: AsyncSession, store_id: str, name: str) -> Snapshot:
    """Name what readers see now. Raises Conflict where the name is taken."""
    await versions.alone(session, store_id)
    if await session.scalar(select(Snapshot.seq).where(Snapshot.store_id == store_id, Snapshot.name == name)):
        raise Conflict(
            f"This vector store has a snapshot '{name}' already. Snapshots never change: take another name.",
            code="name_taken",
            param="name",
        )
    live = await versions.live(session, store_id)
    snapshot = Snapshot(id=new_id(Kind.SNAPSHOT), store_id=store_id, name=name, live_version=live.id)
    session.add(snapshot)
    await session.flush()
    current = select(literal(snapshot.id), Revision.id, Revision.key, Revision.sha256).where(
        Revision.store_id == store_id, Revision.state == RevisionState.CURRENT
    )
    await session.execute(
        insert(SnapshotRevision).from_select(["snapshot_id", "revision_id", "key", "sha256"], current)
    )
    return snapshot


async def get(session: AsyncSession, store_id: str, snapshot_id: str) -> Snapshot:
    """A snapshot by its id or name. Raises NotFound."""
    row = await session.scalar(
        select(Snapshot).where(
            Snapshot.store_id == store_id, (Snapshot.id == snapshot_id) | (Snapshot.name == snapshot_id)
        )
    )
    if row is None:
        raise NotFound(f"There is no snapshot '{snapshot_id}' of this vector store.", param="snapshot")
    return row


async def listing(session: AsyncSession, store_id: str, cursor: Cursor) -> Page[Snapshot]:
    """A page of a store's snapshots."""
    return await page(session, select(Snapshot).where(Snapshot.store_id == store_id), Snapshot.seq, Snapshot.id, cursor)


async def contents(session: AsyncSession, snapshot_id: str) -> Contents:
    """What a snapshot is made of."""
    mine = select(func.count()).select_from(SnapshotRevision).where(SnapshotRevision.snapshot_id == snapshot_id)
    there = exists().where(Revision.id == SnapshotRevision.revision_id, Revision.state != RevisionState.DELETED)
    return Contents(await session.scalar(mine) or 0, await session.scalar(mine.where(~there)) or 0)


async def documents(session: AsyncSession, store_id: str, snapshot_id: str | None) -> dict[str, str]:
    """The hash of each document's bytes by key: of a snapshot, or of what readers see now."""
    if snapshot_id is None:
        now = select(Revision.key, Revision.sha256).where(
            Revision.store_id == store_id, Revision.state == RevisionState.CURRENT
        )
        return {row.key: row.sha256 for row in await session.execute(now)}
    then = select(SnapshotRevision.key, SnapshotRevision.sha256).where(SnapshotRevision.snapshot_id == snapshot_id)
    return {row.key: row.sha256 for row in await session.execute(then)}


async def difference(session: AsyncSession, store_id: str, before: str | None, after: str | None) -> Difference:
    """What changed between two snapshots; None is what readers see now."""
    old, new = await documents(session, store_id, before), await documents(session, store_id, after)
    return Difference(
        added=sorted(new.keys() - old.keys()),
        changed=sorted(key for key in new.keys() & old.keys() if new[key] != old[key]),
        removed=sorted(old.keys() - new.keys()),
    )


async def restore(session: AsyncSession, snapshot: Snapshot, because: Because) -> None:
    """Let readers see again what the snapshot names, and nothing else, in this transaction.

    What was deleted since stays deleted. Uploads in progress complete afterwards, and supersede what is restored.
    Raises NotFound where the snapshot was removed meanwhile.
    """
    await versions.alone(session, snapshot.store_id)
    await get(session, snapshot.store_id, snapshot.id)
    here = Revision.store_id == snapshot.store_id
    named = names(snapshot.id)
    await _become(session, RevisionState.SUPERSEDED, here, Revision.state == RevisionState.CURRENT, ~named)
    await _become(session, RevisionState.CURRENT, here, Revision.state == RevisionState.SUPERSEDED, named)
    live = await versions.live(session, snapshot.store_id)
    reason = f"snapshot {snapshot.name}" + (f": {because.reason}" if because.reason else "")
    await history.note(session, snapshot.store_id, live.id, EventKind.RESTORED, Because(because.actor, reason))


async def remove(session: AsyncSession, snapshot: Snapshot) -> None:
    """Forget a snapshot. What only it named is erased afterwards, as anything superseded is."""
    await versions.alone(session, snapshot.store_id)  # or it could be gone in the middle of a `restore`
    await session.execute(delete(Snapshot).where(Snapshot.seq == snapshot.seq))


async def _become(session: AsyncSession, state: RevisionState, *which: ColumnElement[bool]) -> None:
    await session.execute(
        update(Revision).where(*which).values(state=state), execution_options={"synchronize_session": False}
    )
