"""`/v1/vector_stores/{id}/golden_sets`: what index versions are judged by."""

import asyncio
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Query

from api import presenting_versions as presenting
from api.deps import IdempotencyDep, Reader, StateDep, StoreId, Writer
from api.wire.golden_sets import GoldenSet, GoldenSetCreate, GoldenSetSummary
from api.wire.pages import Page, PageQuery
from evaluation import golden
from indexes.catalog import comparisons, idempotency, stores
from indexes.catalog.pages import Cursor

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/golden_sets", tags=["index versions"])


@router.post("")
async def create_golden_set(
    state: StateDep, caller: Writer, vector_store_id: StoreId, request: GoldenSetCreate, again: IdempotencyDep
) -> GoldenSetSummary:
    """Keep a golden set, as the next version of its name; what it says already makes no new one.

    The newest set of a store is what its index versions are compared by, unless another is named.
    """
    read = await asyncio.to_thread(_read, request)
    async with state.database.write() as session:
        await stores.get(session, caller.project, vector_store_id)
        known = await idempotency.earlier(session, caller.project, again)
        if known is not None:
            row = await comparisons.golden(session, vector_store_id, known)
        else:
            row = await comparisons.put_golden(
                session,
                vector_store_id,
                request.name,
                sha256=read.hash,
                queries=len(read.queries),
                content=read.write().decode(),
            )
            idempotency.remember(session, caller.project, again, row.id)
    return presenting.golden_set_summary(row)


@router.get("")
async def list_golden_sets(
    state: StateDep, caller: Reader, vector_store_id: StoreId, query: Annotated[PageQuery, Query()]
) -> Page[GoldenSetSummary]:
    """The newest version of each golden set of a store."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        page = await comparisons.golden_listing(session, vector_store_id, cursor)
    return Page.of([presenting.golden_set_summary(row) for row in page.rows], has_more=page.has_more)


@router.get("/{golden_set}")
async def get_golden_set(
    state: StateDep,
    caller: Reader,
    vector_store_id: StoreId,
    golden_set: Annotated[str, Path(description="Id of one version, `gold_…`, or a name for its newest.")],
) -> GoldenSet:
    """One version of a golden set with its queries."""
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        return presenting.golden_set(await comparisons.golden(session, vector_store_id, golden_set))


def _read(request: GoldenSetCreate) -> golden.GoldenSet:
    """Thousands of queries take a while, beside the event loop."""
    lines = (orjson.dumps(query.model_dump(exclude_none=True)) for query in request.queries)
    return golden.GoldenSet.read(b"\n".join(lines))
