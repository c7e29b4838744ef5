"""`/v1/vector_stores/{id}/index_versions`: what a store's index was built by, and what is built beside it."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from api import presenting_versions as presenting
from api.deps import IdempotencyDep, Reader, StateDep, StoreId, VersionId, Writer
from api.state import State
from api.wire.chunking import to_chunking
from api.wire.index_versions import (
    UNSAID,
    IndexVersion,
    IndexVersionCreate,
    IndexVersionPlan,
    IndexVersionUpdate,
    Reasoned,
)
from api.wire.pages import Page, PageQuery
from indexes.catalog import builds, holdings, promotion, stores, versions
from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor
from indexes.catalog.tables import IndexVersion as Row
from indexes.catalog.tables import VersionState
from indexes.errors import Conflict
from ingestion.reindex import Wanted

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/index_versions", tags=["index versions"])


@router.post("")
async def create_index_version(
    state: StateDep, caller: Writer, vector_store_id: StoreId, request: IndexVersionCreate, again: IdempotencyDep
) -> IndexVersion | IndexVersionPlan:
    """Build another index version beside the live one, or say what that would do (`dry_run`).

    Every write from now on goes to both. Searches and answers stay with the live one until the new one is promoted.
    """
    wanted = await _wanted(state, caller.project, vector_store_id, request)
    if request.dry_run:
        planned = await state.reindexer.plan(caller.project, vector_store_id, wanted)
        return presenting.plan(vector_store_id, planned)
    because = Because(caller.actor, request.reason)
    return await shown(state, await state.reindexer.begin(caller.project, vector_store_id, wanted, because, again))


@router.get("")
async def list_index_versions(
    state: StateDep, caller: Reader, vector_store_id: StoreId, query: Annotated[PageQuery, Query()]
) -> Page[IndexVersion]:
    """The index versions of a store, deleted ones too; exactly one is live."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        page = await versions.listing(session, vector_store_id, cursor)
        presented = await _presented(state, session, vector_store_id, page.rows)
    return Page.of(presented, has_more=page.has_more)


@router.get("/{version_id}")
async def get_index_version(
    state: StateDep, caller: Reader, vector_store_id: StoreId, version_id: VersionId
) -> IndexVersion:
    """One index version: its manifest, what it holds, how far its build is."""
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        row = await versions.get(session, vector_store_id, version_id)
    return await shown(state, row)


@router.post("/{version_id}")
async def update_index_version(
    state: StateDep, caller: Writer, vector_store_id: StoreId, version_id: VersionId, request: IndexVersionUpdate
) -> IndexVersion:
    """Let a ready version run beside a share of the live queries, or answer a share of them."""
    async with state.database.write() as session:
        row = await _of_caller(session, caller.project, vector_store_id, version_id)
        shadow_share = row.shadow_share if request.shadow_share is None else request.shadow_share
        canary_share = row.canary_share if request.canary_share is None else request.canary_share
        because = Because(caller.actor, request.reason)
        await promotion.set_traffic(session, row, shadow_share, canary_share, because)
    return await shown(state, row)


@router.delete("/{version_id}")
async def delete_index_version(
    state: StateDep, caller: Writer, vector_store_id: StoreId, version_id: VersionId
) -> IndexVersion:
    """Give a version up; it cannot be searched any more, and what it holds is erased. 409 for the live one."""
    async with state.database.write() as session:
        await _of_caller(session, caller.project, vector_store_id, version_id)
        row = await promotion.delete(session, vector_store_id, version_id, Because(caller.actor))
    return await shown(state, row)


@router.post("/{version_id}/pause")
async def pause_build(
    state: StateDep, caller: Writer, vector_store_id: StoreId, version_id: VersionId, request: Reasoned = UNSAID
) -> IndexVersion:
    """Stop working on a build until it is resumed. What is written meanwhile still goes to it."""
    async with state.database.write() as session:
        row = await _of_caller(session, caller.project, vector_store_id, version_id)
        await builds.pause(session, row, Because(caller.actor, request.reason))
    return await shown(state, row)


@router.post("/{version_id}/resume")
async def resume_build(
    state: StateDep, caller: Writer, vector_store_id: StoreId, version_id: VersionId, request: Reasoned = UNSAID
) -> IndexVersion:
    """Go on with a build that was paused, or try a failed one again from where it was."""
    async with state.database.write() as session:
        row = await _of_caller(session, caller.project, vector_store_id, version_id)
        await builds.resume(session, row, Because(caller.actor, request.reason))
    return await shown(state, row)


@router.post("/{version_id}/cancel")
async def cancel_build(
    state: StateDep, caller: Writer, vector_store_id: StoreId, version_id: VersionId, request: Reasoned = UNSAID
) -> IndexVersion:
    """Give a build up. 409 where it is not being built: a version that is whole is deleted with DELETE."""
    async with state.database.write() as session:
        await stores.get(session, caller.project, vector_store_id)
        await versions.alone(session, vector_store_id)  # so that it does not become ready in between
        row = await versions.get(session, vector_store_id, version_id)
        if row.state != VersionState.BUILDING:
            raise Conflict(
                f"The index version '{version_id}' is {row.state.value}: only a build can be cancelled.",
                code="not_building",
                param="index_version",
            )
        because = Because(caller.actor, request.reason)
        row = await promotion.delete(session, vector_store_id, version_id, because)
    return await shown(state, row)


async def _of_caller(session: AsyncSession, project: str, store_id: str, version_id: str) -> Row:
    await stores.get(session, project, store_id)
    return await versions.get(session, store_id, version_id)


async def _wanted(state: State, project: str, store_id: str, request: IndexVersionCreate) -> Wanted:
    async with state.database.read() as session:
        await stores.get(session, project, store_id)
        live = versions.opened_as(await versions.live(session, store_id)).manifest
    return Wanted(
        embedding_model=request.embedding_model,
        chunking=to_chunking(request.chunking_strategy),
        lexical=request.lexical.applied_to(live.lexical) if request.lexical else None,
        ann=request.ann.applied_to(live.ann) if request.ann else None,
        context=request.context,
    )


async def shown(state: State, row: Row) -> IndexVersion:
    """A version with what it holds now."""
    async with state.database.read() as session:
        (version,) = await _presented(state, session, row.store_id, [row])
    return version


async def _presented(state: State, session: AsyncSession, store_id: str, rows: Sequence[Row]) -> list[IndexVersion]:
    of_store = await stores.chunks(session, store_id)
    build_share = state.settings.worker.build_share
    held = [await holdings.held(session, row.id, store_id) for row in rows]
    return [presenting.index_version(row, each, of_store, build_share) for row, each in zip(rows, held, strict=True)]
