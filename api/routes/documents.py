"""`/v1/vector_stores/{id}/documents`: the keys of a store, each with its newest revision and its history."""

from typing import Annotated

from fastapi import APIRouter, Query

from api import presenting
from api.deps import Reader, StateDep, StoreId, Writer
from api.routes.vector_store_files import canonical_text
from api.state import State
from api.wire.documents import Document, DocumentChunk, DocumentDeleted, DocumentsQuery
from api.wire.pages import Page
from api.wire.vector_store_files import FileContentPage, TextPart
from indexes.catalog import parts, revisions, stores
from indexes.catalog.pages import Cursor
from indexes.catalog.tables import Revision, RevisionState, Stage
from indexes.errors import NotFound
from ingestion import estimate

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/documents", tags=["documents"])
_Key = Annotated[str, Query(min_length=1, max_length=512, description="The document.")]


@router.get("")
async def list_documents(
    state: StateDep, caller: Reader, vector_store_id: StoreId, query: Annotated[DocumentsQuery, Query()]
) -> Page[Document]:
    """The documents of a store: what is there, what is on its way, and what it replaced."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        page = await revisions.newest_by_key(
            session,
            vector_store_id,
            cursor,
            key=query.key,
            state=presenting.STATES[query.status] if query.status else None,
            stage=Stage(query.stage) if query.stage else None,
        )
        of_key: dict[str, list[Revision]] = {row.key: [] for row in page.rows}
        for revision in await revisions.of_keys(session, vector_store_id, list(of_key)):
            of_key[revision.key].append(revision)
        etas = await estimate.of_files(session, vector_store_id, page.rows)
        parents = await parts.parents(session, page.rows)
    shown = [
        presenting.document(row, of_key[row.key], etas.get(row.seq), parents.get(row.parent_id)) for row in page.rows
    ]
    return Page.of(shown, has_more=page.has_more)


@router.delete("")
async def delete_document(state: StateDep, caller: Writer, vector_store_id: StoreId, key: _Key) -> DocumentDeleted:
    """Take a document out of a store by its key, whatever its state, with its history and its parts.

    The uploaded files stay.
    """
    receipt = await state.intake.delete_document(caller.project, vector_store_id, key)
    return DocumentDeleted(id=key, receipt=presenting.receipt(receipt))


@router.get("/content")
async def get_document_content(state: StateDep, caller: Reader, vector_store_id: StoreId, key: _Key) -> FileContentPage:
    """The canonical text of a document's current revision."""
    revision = await _current(state, caller.project, vector_store_id, key)
    return FileContentPage(data=[TextPart(text=(await canonical_text(state, revision)).text)])


@router.get("/chunks")
async def list_document_chunks(
    state: StateDep, caller: Reader, vector_store_id: StoreId, key: _Key
) -> Page[DocumentChunk]:
    """All chunks of a document's current revision, in order."""
    revision = await _current(state, caller.project, vector_store_id, key)
    async with state.database.read() as session:
        rows = await revisions.chunks(session, revision)
    return Page.of([presenting.chunk(row) for row in rows], has_more=False)


async def _current(state: State, project: str, store_id: str, key: str) -> Revision:
    async with state.database.read() as session:
        await stores.get(session, project, store_id)
        for revision in await revisions.of_keys(session, store_id, [key]):
            if revision.state == RevisionState.CURRENT:
                return revision
    raise NotFound(f"No document under the key '{key}' is completed in this store.", param="key")
