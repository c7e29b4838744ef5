"""`/v1/vector_stores/{id}/files`: files as they are attached to a store."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from api import presenting
from api.deps import FileId, IdempotencyDep, Reader, StateDep, StoreId, Writer
from api.state import State
from api.wire.chunking import to_chunking
from api.wire.pages import Page
from api.wire.vector_store_files import (
    FileContentPage,
    StoreFilesQuery,
    TextPart,
    VectorStoreFile,
    VectorStoreFileCreate,
    VectorStoreFileDeleted,
    VectorStoreFileUpdate,
)
from indexes.catalog import parts, revisions, stores
from indexes.catalog.pages import Cursor
from indexes.catalog.tables import Revision
from indexes.errors import Conflict
from indexes.model import CanonicalText
from ingestion import estimate
from ingestion.intake import Wanted
from ingestion.parse.artefact import loads

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/files", tags=["vector store files"])


@router.post("")
async def attach_file(
    state: StateDep, caller: Writer, vector_store_id: StoreId, request: VectorStoreFileCreate, again: IdempotencyDep
) -> VectorStoreFile:
    """Attach a file: it is parsed, cut, embedded and indexed in the background."""
    return await _shown(state, await state.intake.attach(caller.project, vector_store_id, wanted(request), again))


@router.get("")
async def list_store_files(
    state: StateDep, caller: Reader, vector_store_id: StoreId, query: Annotated[StoreFilesQuery, Query()]
) -> Page[VectorStoreFile]:
    """The files of a store."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    only = presenting.STATES[query.filter] if query.filter else None
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        page = await revisions.listing(session, vector_store_id, cursor, only)
        etas = await estimate.of_files(session, vector_store_id, page.rows)
        parents = await parts.parents(session, page.rows)
    shown = [presenting.store_file(row, etas.get(row.seq), parents.get(row.parent_id)) for row in page.rows]
    return Page.of(shown, has_more=page.has_more)


@router.get("/{file_id}")
async def get_store_file(state: StateDep, caller: Reader, vector_store_id: StoreId, file_id: FileId) -> VectorStoreFile:
    """A file in a store: how far the work on it is."""
    return await _shown(state, await _revision(state, caller.project, vector_store_id, file_id))


@router.post("/{file_id}")
async def update_store_file(
    state: StateDep, caller: Writer, vector_store_id: StoreId, file_id: FileId, request: VectorStoreFileUpdate
) -> VectorStoreFile:
    """Replace the attributes of a file in a store, and of its parts; filters use them at once."""
    changed = await state.intake.set_attributes(caller.project, vector_store_id, file_id, request.attributes or {})
    return await _shown(state, changed)


@router.post("/{file_id}/retry")
async def retry_store_file(
    state: StateDep, caller: Writer, vector_store_id: StoreId, file_id: FileId
) -> VectorStoreFile:
    """Put failed or cancelled work back in line, from the stage it had reached. 409 where it is neither."""
    return await _shown(state, await state.intake.retry(caller.project, vector_store_id, file_id))


@router.post("/{file_id}/cancel")
async def cancel_store_file(
    state: StateDep, caller: Writer, vector_store_id: StoreId, file_id: FileId
) -> VectorStoreFile:
    """Stop the work on a file. 409 where it is not in progress; to take a completed one out, delete it."""
    return await _shown(state, await state.intake.cancel(caller.project, vector_store_id, file_id))


@router.delete("/{file_id}")
async def detach_file(
    state: StateDep, caller: Writer, vector_store_id: StoreId, file_id: FileId
) -> VectorStoreFileDeleted:
    """Take a file out of a store, with its parts. When this returns, no search and no answer holds it any more.

    The receipt says what was verified gone. The uploaded file stays; that of a part goes.
    """
    receipt = await state.intake.detach(caller.project, vector_store_id, file_id)
    return VectorStoreFileDeleted(id=file_id, receipt=presenting.receipt(receipt))


@router.get("/{file_id}/content")
async def get_store_file_content(
    state: StateDep, caller: Reader, vector_store_id: StoreId, file_id: FileId
) -> FileContentPage:
    """The canonical text of a file: what every offset counts in."""
    revision = await _revision(state, caller.project, vector_store_id, file_id)
    text = await canonical_text(state, revision)
    return FileContentPage(data=[TextPart(text=text.text)])


async def canonical_text(state: State, revision: Revision) -> CanonicalText:
    """The stored text of a revision. Raises Conflict where there is none yet, or none any more."""
    if revision.text_blob is None:
        raise Conflict(
            f"The file '{revision.file_id}' has no text here: its status is {revision.state}. "
            "Wait until it is completed.",
            code="no_text",
        )
    key = revision.text_blob
    return await asyncio.to_thread(lambda: loads(state.blobs.read(key)))


def wanted(request: VectorStoreFileCreate) -> Wanted:
    """An attachment as the intake takes it."""
    return Wanted(request.file_id, request.key, request.attributes or {}, to_chunking(request.chunking_strategy))


async def _shown(state: State, revision: Revision) -> VectorStoreFile:
    async with state.database.read() as session:
        etas = await estimate.of_files(session, revision.store_id, [revision])
        parents = await parts.parents(session, [revision])
    return presenting.store_file(revision, etas.get(revision.seq), parents.get(revision.parent_id))


async def _revision(state: State, project: str, store_id: str, file_id: str) -> Revision:
    async with state.database.read() as session:
        await stores.get(session, project, store_id)
        return await revisions.get(session, store_id, file_id)
