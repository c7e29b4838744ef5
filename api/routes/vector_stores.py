"""`/v1/vector_stores`: knowledge bases, and the search in one."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from api import presenting
from api.deps import IdempotencyDep, Reader, SessionHeader, StateDep, StoreId, Writer
from api.disconnect import while_wanted
from api.state import State
from api.wire.chunking import to_chunking
from api.wire.filters import to_filter
from api.wire.pages import Page, PageQuery
from api.wire.search import SearchPage, SearchRequest
from api.wire.vector_stores import VectorStore, VectorStoreCreate, VectorStoreDeleted, VectorStoreUpdate
from evaluation.thresholds import Thresholds
from indexes.catalog import stores, tables
from indexes.catalog.pages import Cursor
from ingestion import estimate
from ingestion.defaults import default_manifest
from ingestion.intake import NewStore, Wanted
from retrieval.query import Query as SearchQuery

router = APIRouter(prefix="/v1/vector_stores", tags=["vector stores"])


@router.post("")
async def create_vector_store(
    state: StateDep, caller: Writer, request: VectorStoreCreate, again: IdempotencyDep
) -> VectorStore:
    """Make a store. Its first index version is live at once."""
    new = NewStore(
        name=request.name,
        description=request.description,
        meta=request.metadata or {},
        expires_after_days=request.expires_after.days if request.expires_after else None,
        manifest=await default_manifest(state.models, state.settings.worker.chunker),
        gate=_gate(request.gate),
    )
    chunking = to_chunking(request.chunking_strategy)
    wanted = [Wanted(file_id, None, {}, chunking) for file_id in request.file_ids or ()]
    return await _shown(state, await state.intake.create_store(caller.project, new, wanted, again))


@router.get("")
async def list_vector_stores(
    state: StateDep, caller: Reader, query: Annotated[PageQuery, Query()]
) -> Page[VectorStore]:
    """The project's stores."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        page = await stores.listing(session, caller.project, cursor)
        counts = await stores.counts(session, [row.id for row in page.rows])
        etas = await estimate.of_stores(session, counts)
    shown = [presenting.store(row, counts[row.id], etas.get(row.id)) for row in page.rows]
    return Page.of(shown, has_more=page.has_more)


@router.get("/{vector_store_id}")
async def get_vector_store(state: StateDep, caller: Reader, vector_store_id: StoreId) -> VectorStore:
    """One store."""
    async with state.database.read() as session:
        row = await stores.get(session, caller.project, vector_store_id)
    return await _shown(state, row)


@router.post("/{vector_store_id}")
async def update_vector_store(
    state: StateDep, caller: Writer, vector_store_id: StoreId, request: VectorStoreUpdate
) -> VectorStore:
    """Change a store's name, metadata, expiry or gate; what is left out stays."""
    async with state.database.write() as session:
        row = await stores.get(session, caller.project, vector_store_id)
        if "name" in request.model_fields_set:
            row.name = request.name
        if "metadata" in request.model_fields_set:
            row.meta = request.metadata or {}
        if "expires_after" in request.model_fields_set:
            row.expires_after_days = request.expires_after.days if request.expires_after else None
        if "gate" in request.model_fields_set:
            row.gate = _gate(request.gate)
        await stores.touch(session, [row.id])
    return await _shown(state, row)


@router.delete("/{vector_store_id}")
async def delete_vector_store(state: StateDep, caller: Writer, vector_store_id: StoreId) -> VectorStoreDeleted:
    """Delete a store with everything in it. The uploaded files stay. The receipt says what was verified gone."""
    async with state.database.read() as session:
        row = await stores.get(session, caller.project, vector_store_id)
    receipt = await state.intake.delete_store(row)
    return VectorStoreDeleted(id=vector_store_id, receipt=presenting.receipt(receipt))


@router.post("/{vector_store_id}/search")
async def search_vector_store(
    http: Request,
    state: StateDep,
    caller: Reader,
    vector_store_id: StoreId,
    request: SearchRequest,
    session: SessionHeader = None,
) -> SearchPage:
    """The chunks that answer a query best, by meaning and by words."""
    weights = request.ranking_options.hybrid_search
    query = SearchQuery(
        queries=request.queries,
        limit=request.max_num_results,
        where=to_filter(request.filters),
        score_threshold=request.ranking_options.score_threshold or 0.0,
        dense_weight=weights.embedding_weight if weights else None,
        lexical_weight=weights.text_weight if weights else None,
        index_version=request.index_version,
        snapshot=request.snapshot,
        sticky_key=session,
        within_s=None if request.deadline_ms is None else request.deadline_ms / 1000,
        rerank=request.ranking_options.ranker != "none",
        diversity=request.diversity,
        max_per_document=request.max_per_document,
        neighbours=request.neighbours,
        rewrite=request.rewrite_query,
    )
    async with state.capacity:
        results = await while_wanted(http, state.searcher.search(caller.project, vector_store_id, query))
    return SearchPage.of(results, explain=request.explain)


def _gate(thresholds: Thresholds | None) -> dict[str, Any]:
    """What is kept: only what was said, so that better defaults reach the stores that said nothing."""
    return thresholds.model_dump(exclude_unset=True) if thresholds else {}


async def _shown(state: State, row: tables.Store) -> VectorStore:
    async with state.database.read() as session:
        counts = await stores.counts(session, [row.id])
        etas = await estimate.of_stores(session, counts)
    return presenting.store(row, counts[row.id], etas.get(row.id))
