"""`/v1/vector_stores/{id}/snapshots`: named points in time, to search, to compare, to go back to."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from api import presenting_versions as presenting
from api.deps import IdempotencyDep, Reader, SnapshotId, StateDep, StoreId, Writer
from api.wire.index_versions import UNSAID, Reasoned
from api.wire.pages import Page, PageQuery
from api.wire.snapshots import NOW, DifferenceQuery, Snapshot, SnapshotCreate, SnapshotDeleted, SnapshotDifference
from indexes.catalog import idempotency, snapshots, stores, version_tables
from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/snapshots", tags=["snapshots"])


@router.post("")
async def take_snapshot(
    state: StateDep, caller: Writer, vector_store_id: StoreId, request: SnapshotCreate, again: IdempotencyDep
) -> Snapshot:
    """Name what readers see now. Later uploads change nothing in it; documents that are deleted leave it."""
    async with state.database.write() as session:
        await stores.get(session, caller.project, vector_store_id)
        known = await idempotency.earlier(session, caller.project, again)
        if known is not None:
            row = await snapshots.get(session, vector_store_id, known)
        else:
            row = await snapshots.take(session, vector_store_id, request.name)
            idempotency.remember(session, caller.project, again, row.id)
        return await _presented(session, row)


@router.get("")
async def list_snapshots(
    state: StateDep, caller: Reader, vector_store_id: StoreId, query: Annotated[PageQuery, Query()]
) -> Page[Snapshot]:
    """The snapshots of a store."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        page = await snapshots.listing(session, vector_store_id, cursor)
        shown = [await _presented(session, row) for row in page.rows]
    return Page.of(shown, has_more=page.has_more)


@router.get("/{snapshot_id}")
async def get_snapshot(state: StateDep, caller: Reader, vector_store_id: StoreId, snapshot_id: SnapshotId) -> Snapshot:
    """One snapshot."""
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        return await _presented(session, await snapshots.get(session, vector_store_id, snapshot_id))


@router.get("/{snapshot_id}/diff")
async def diff_snapshot(
    state: StateDep,
    caller: Reader,
    vector_store_id: StoreId,
    snapshot_id: SnapshotId,
    query: Annotated[DifferenceQuery, Query()],
) -> SnapshotDifference:
    """The documents that were added, changed or removed from a snapshot to another one, or to now."""
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        before = (await snapshots.get(session, vector_store_id, snapshot_id)).id
        after = None if query.to == NOW else (await snapshots.get(session, vector_store_id, query.to)).id
        found = await snapshots.difference(session, vector_store_id, before, after)
    return SnapshotDifference(
        before=before,
        after=after or NOW,
        added=list(found.added),
        changed=list(found.changed),
        removed=list(found.removed),
    )


@router.post("/{snapshot_id}/restore")
async def restore_snapshot(
    state: StateDep, caller: Writer, vector_store_id: StoreId, snapshot_id: SnapshotId, request: Reasoned = UNSAID
) -> Snapshot:
    """Let readers see again what the snapshot names, and nothing else, from one moment to the next.

    Documents that were deleted since stay deleted. Take a snapshot first where you may want to come back.
    """
    async with state.database.write() as session:
        await stores.get(session, caller.project, vector_store_id)
        row = await snapshots.get(session, vector_store_id, snapshot_id)
        await snapshots.restore(session, row, Because(caller.actor, request.reason))
        return await _presented(session, row)


@router.delete("/{snapshot_id}")
async def delete_snapshot(
    state: StateDep, caller: Writer, vector_store_id: StoreId, snapshot_id: SnapshotId
) -> SnapshotDeleted:
    """Forget a snapshot. What only it kept is erased in the background, and can be restored no more."""
    async with state.database.write() as session:
        await stores.get(session, caller.project, vector_store_id)
        row = await snapshots.get(session, vector_store_id, snapshot_id)
        await snapshots.remove(session, row)
    return SnapshotDeleted(id=row.id)


async def _presented(session: AsyncSession, row: version_tables.Snapshot) -> Snapshot:
    return presenting.snapshot(row, await snapshots.contents(session, row.id))
