"""`/v1/prompts/{prompt}/live`, `/rollback`, `/history`: which version is in force where, since when, and why."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession

from api import presenting_prompts as presenting
from api import prompting
from api.deps import IdempotencyDep, Reader, StateDep, Writer
from api.prompting import Place
from api.routes.prompts import PromptName, keep_shipped
from api.wire.pages import Page
from api.wire.prompts import PromptChange, PromptListQuery, PromptLive, PromptRollback, PromptTestsRefusal
from indexes.catalog import idempotency, live_prompts, prompt_tables, prompts
from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor

router = APIRouter(prefix="/v1/prompts/{prompt}", tags=["prompts"], dependencies=[Depends(keep_shipped)])
_EVERYWHERE = PromptRollback()
_REFUSED: dict[str, Any] = {
    "model": PromptTestsRefusal,
    "description": "Test cases of the prompt fail (`prompt_tests_failed`).",
}


@router.post("/live", responses={409: _REFUSED})
async def set_live_prompt(state: StateDep, caller: Writer, prompt: PromptName, request: PromptLive) -> PromptChange:
    """Put a version in force in a store, or in the project for all stores without their own.

    The test cases of the prompt are run first. Where one fails, the refusal carries the report; `force` with a `reason`
    puts the version in force all the same.
    """
    place, because = Place(caller.project, request.vector_store_id), Because(caller.actor, request.reason)
    row = await prompting.go_live(state, prompt, place, request.version, because, force=request.force)
    async with state.database.read() as session:
        return (await _shown(session, await prompts.get(session, caller.project, prompt), [row]))[0]


@router.post("/rollback")
async def rollback_prompt(
    state: StateDep, caller: Writer, prompt: PromptName, again: IdempotencyDep, request: PromptRollback = _EVERYWHERE
) -> PromptChange:
    """Put in force again what was so before; before the first version, nothing of the place's own.

    Send an Idempotency-Key where the call may be repeated, or a repeated one goes back by two versions.
    """
    place = Place(caller.project, request.vector_store_id)
    async with state.database.write() as session:
        await place.check(session)
        named = await prompts.get(session, caller.project, prompt)
        known = await idempotency.earlier(session, caller.project, again)
        if known is not None:
            row = await live_prompts.get(session, named, known)
        else:
            because = Because(caller.actor, request.reason)
            row = await live_prompts.rollback(session, named, place.store_id, because)
            idempotency.remember(session, caller.project, again, row.id)
        return (await _shown(session, named, [row]))[0]


@router.get("/history")
async def list_prompt_history(
    state: StateDep, caller: Reader, prompt: PromptName, query: Annotated[PromptListQuery, Query()]
) -> Page[PromptChange]:
    """Who put which version in force in the project, or in the store named, when and why."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    place = Place(caller.project, query.vector_store_id)
    async with state.database.read() as session:
        await place.check(session)
        named = await prompts.get(session, caller.project, prompt)
        page = await live_prompts.history(session, named, place.store_id, cursor)
        shown = await _shown(session, named, list(page.rows))
    return Page.of(shown, has_more=page.has_more)


async def _shown(
    session: AsyncSession, named: prompt_tables.Prompt, rows: list[prompt_tables.PromptChange]
) -> list[PromptChange]:
    texts = await live_prompts.texts(session, {row.version_id for row in rows if row.version_id})
    return [presenting.change(named.name, row, texts.get(row.version_id or "")) for row in rows]
