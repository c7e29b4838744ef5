"""`/v1/vector_stores/{id}/index_versions`: what a store's index was built by."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api import presenting
from api.deps import Reader, StateDep, StoreId
from api.wire.index_versions import IndexVersion
from api.wire.pages import Page, PageQuery
from indexes.catalog import stores, versions
from indexes.catalog.pages import Cursor

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/index_versions", tags=["index versions"])


@router.get("")
async def list_index_versions(
    state: StateDep, caller: Reader, vector_store_id: StoreId, query: Annotated[PageQuery, Query()]
) -> Page[IndexVersion]:
    """The index versions of a store; exactly one is live."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        page = await versions.listing(session, vector_store_id, cursor)
        counts = (await stores.counts(session, [vector_store_id]))[vector_store_id]
        chunks = await stores.chunks(session, vector_store_id)
    return Page.of([presenting.index_version(row, counts, chunks) for row in page.rows], has_more=page.has_more)


@router.get("/{version_id}")
async def get_index_version(
    state: StateDep,
    caller: Reader,
    vector_store_id: StoreId,
    version_id: Annotated[str, Path(description="Id of the index version, `ixv_…`.")],
) -> IndexVersion:
    """One index version with its manifest."""
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        row = await versions.get(session, vector_store_id, version_id)
        counts = (await stores.counts(session, [vector_store_id]))[vector_store_id]
        chunks = await stores.chunks(session, vector_store_id)
    return presenting.index_version(row, counts, chunks)
