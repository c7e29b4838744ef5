"""`/v1/vector_stores/{id}/files/{file_id}/boxes`: what an app needs to highlight a citation on its page."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import FileId, Reader, StateDep, StoreId
from api.routes.vector_store_files import canonical_text
from api.wire.boxes import BoxesQuery, FileBoxes, TextBox
from indexes.catalog import revisions, stores
from ingestion.boxes import boxes

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/files/{file_id}/boxes", tags=["vector store files"])


@router.get("")
async def get_boxes(
    state: StateDep, caller: Reader, vector_store_id: StoreId, file_id: FileId, query: Annotated[BoxesQuery, Query()]
) -> FileBoxes:
    """Where on the pages of a PDF or a picture a stretch of the canonical text is printed, line by line.

    For a citation, ask with its `file_id`, `source_start` and `source_end`.
    """
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        revision = await revisions.get(session, vector_store_id, file_id)
    text = await canonical_text(state, revision)
    return FileBoxes(data=[TextBox.of(found) for found in boxes(text, query.start, query.end)])
