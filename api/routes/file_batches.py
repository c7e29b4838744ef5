"""`/v1/vector_stores/{id}/file_batches`: many files attached in one request."""

from typing import Annotated

from fastapi import APIRouter, Query

from api import presenting
from api.deps import BatchId, IdempotencyDep, Reader, StateDep, StoreId, Writer
from api.routes.vector_store_files import wanted
from api.state import State
from api.wire.file_batches import FileBatch, FileBatchCreate
from api.wire.pages import Page
from api.wire.vector_store_files import StoreFilesQuery, VectorStoreFile
from indexes.catalog import parts, revisions, stores, tables
from indexes.catalog.pages import Cursor
from ingestion import estimate

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/file_batches", tags=["file batches"])


@router.post("")
async def create_file_batch(
    state: StateDep, caller: Writer, vector_store_id: StoreId, request: FileBatchCreate, again: IdempotencyDep
) -> FileBatch:
    """Attach many files, all or none of them."""
    attachments = [wanted(one) for one in request.attachments()]
    return await _shown(state, await state.intake.attach_batch(caller.project, vector_store_id, attachments, again))


@router.get("/{batch_id}")
async def get_file_batch(state: StateDep, caller: Reader, vector_store_id: StoreId, batch_id: BatchId) -> FileBatch:
    """How far a batch is."""
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        row = await stores.batch(session, vector_store_id, batch_id)
    return await _shown(state, row)


@router.post("/{batch_id}/cancel")
async def cancel_file_batch(state: StateDep, caller: Writer, vector_store_id: StoreId, batch_id: BatchId) -> FileBatch:
    """Stop what of a batch is not finished; what is completed stays."""
    return await _shown(state, await state.intake.cancel_batch(caller.project, vector_store_id, batch_id))


@router.post("/{batch_id}/retry")
async def retry_file_batch(state: StateDep, caller: Writer, vector_store_id: StoreId, batch_id: BatchId) -> FileBatch:
    """Put all failed files of a batch back in line, each from the stage it had reached."""
    return await _shown(state, await state.intake.retry_batch(caller.project, vector_store_id, batch_id))


@router.get("/{batch_id}/files")
async def list_batch_files(
    state: StateDep,
    caller: Reader,
    vector_store_id: StoreId,
    batch_id: BatchId,
    query: Annotated[StoreFilesQuery, Query()],
) -> Page[VectorStoreFile]:
    """The files of a batch."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    only = presenting.STATES[query.filter] if query.filter else None
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        await stores.batch(session, vector_store_id, batch_id)
        page = await revisions.listing(session, vector_store_id, cursor, only, batch_id)
        etas = await estimate.of_files(session, vector_store_id, page.rows)
        parents = await parts.parents(session, page.rows)
    shown = [presenting.store_file(row, etas.get(row.seq), parents.get(row.parent_id)) for row in page.rows]
    return Page.of(shown, has_more=page.has_more)


async def _shown(state: State, row: tables.Batch) -> FileBatch:
    async with state.database.read() as session:
        counts = (await stores.batch_counts(session, [row.id]))[row.id]
        eta_s = await estimate.of_batch(session, row.store_id, counts)
    return presenting.batch(row, counts, eta_s)
