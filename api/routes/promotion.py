"""Which index version of a store answers: promoted on numbers, rolled back in one call, written down for good."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api import presenting_versions as presenting
from api.deps import IdempotencyDep, Reader, StateDep, StoreId, VersionId, Writer
from api.routes.index_versions import shown
from api.wire.comparisons import GateRefusal
from api.wire.index_versions import UNSAID, IndexVersion, PromoteRequest, Reasoned, VersionEvent
from api.wire.pages import Page, PageQuery
from indexes.catalog import history, idempotency, promotion, stores, versions
from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}", tags=["index versions"])
_UNFORCED = PromoteRequest()
_REFUSED: dict[str, Any] = {
    "model": GateRefusal,
    "description": "The quality gate does not let it pass (`gate_failed`).",
}


@router.post("/index_versions/{version_id}/promote", responses={409: _REFUSED})
async def promote_index_version(
    state: StateDep,
    caller: Writer,
    vector_store_id: StoreId,
    version_id: VersionId,
    request: PromoteRequest = _UNFORCED,
) -> IndexVersion:
    """Make a version the one that answers, from one moment to the next.

    It is compared with the live one first, unless that was done by the present golden set and thresholds. Where the
    gate does not let it pass, the refusal carries the report; `force` with a `reason` promotes it all the same.
    """
    because = Because(caller.actor, request.reason)
    row = await state.gatekeeper.promote(caller.project, vector_store_id, version_id, because, force=request.force)
    return await shown(state, row)


@router.post("/rollback")
async def rollback_vector_store(
    state: StateDep, caller: Writer, vector_store_id: StoreId, again: IdempotencyDep, request: Reasoned = UNSAID
) -> IndexVersion:
    """Make the version live that was so before; it has every write made since. The one that was live stays ready.

    Send an Idempotency-Key where the call may be repeated, or a repeated one goes back by two versions.
    """
    async with state.database.write() as session:
        await stores.get(session, caller.project, vector_store_id)
        known = await idempotency.earlier(session, caller.project, again)
        if known is not None:
            row = await versions.get(session, vector_store_id, known)
        else:
            because = Because(caller.actor, request.reason)
            row = await promotion.rollback(session, vector_store_id, because)
            idempotency.remember(session, caller.project, again, row.id)
    return await shown(state, row)


@router.get("/history")
async def list_history(
    state: StateDep, caller: Reader, vector_store_id: StoreId, query: Annotated[PageQuery, Query()]
) -> Page[VersionEvent]:
    """Who did what to which index version of a store, when, why, and on which comparison."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        page = await history.listing(session, vector_store_id, cursor)
    return Page.of([presenting.event(row) for row in page.rows], has_more=page.has_more)
