"""`/v1/prompts`: what language models are told, in versions that never change."""

import difflib
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy.ext.asyncio import AsyncSession

from api import presenting_prompts as presenting
from api import prompting
from api.deps import IdempotencyDep, Reader, StateDep, Writer
from api.prompting import Place
from api.wire.pages import Page, PageQuery
from api.wire.prompts import (
    Prompt,
    PromptCreate,
    PromptDiff,
    PromptDiffQuery,
    PromptListQuery,
    PromptPlace,
    PromptTestReport,
    PromptTestsUpdate,
    PromptTrialRequest,
    PromptVersion,
    PromptVersionSummary,
)
from generation import prompt_version
from indexes.catalog import prompt_tables, prompts
from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor


async def keep_shipped(state: StateDep, caller: Reader) -> None:
    """What ships is there before anybody looks."""
    await prompting.keep_shipped(state, caller.project)


router = APIRouter(prefix="/v1/prompts", tags=["prompts"], dependencies=[Depends(keep_shipped)])
PromptName = Annotated[str, Path(description="Name or id of the prompt.")]
_NEWEST = PromptTrialRequest()


@router.post("")
async def create_prompt(state: StateDep, caller: Writer, request: PromptCreate, again: IdempotencyDep) -> PromptVersion:
    """Keep a text as the next version of a prompt; a text that the prompt has already makes no new one.

    It is refused unless it renders, shows the question and what else it is given, and uses no variable that there is
    not. Nothing changes for answers until it is set live.
    """
    version = prompt_version.PromptVersion(request.name, request.text)
    because = Because(caller.actor, request.reason)
    row = await prompting.keep(state, caller.project, version, request.tests, because, again)
    return presenting.version(request.name, row)


@router.get("")
async def list_prompts(state: StateDep, caller: Reader, query: Annotated[PromptListQuery, Query()]) -> Page[Prompt]:
    """The prompts of the project, with what is in force in it or in the store named."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    place = Place(caller.project, query.vector_store_id)
    async with state.database.read() as session:
        await place.check(session)
        page = await prompts.listing(session, caller.project, cursor)
        shown = await _shown(session, place, page.rows)
    return Page.of(shown, has_more=page.has_more)


@router.get("/{prompt}")
async def get_prompt(
    state: StateDep, caller: Reader, prompt: PromptName, query: Annotated[PromptPlace, Query()]
) -> Prompt:
    """One prompt, with its test cases and what is in force in the project or in the store named."""
    place = Place(caller.project, query.vector_store_id)
    async with state.database.read() as session:
        await place.check(session)
        return (await _shown(session, place, [await prompts.get(session, caller.project, prompt)]))[0]


@router.get("/{prompt}/versions")
async def list_prompt_versions(
    state: StateDep, caller: Reader, prompt: PromptName, query: Annotated[PageQuery, Query()]
) -> Page[PromptVersionSummary]:
    """The versions of a prompt, without their texts."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        row = await prompts.get(session, caller.project, prompt)
        page = await prompts.versions(session, row, cursor)
    return Page.of([presenting.version_summary(row.name, one) for one in page.rows], has_more=page.has_more)


@router.get("/{prompt}/versions/{version}")
async def get_prompt_version(
    state: StateDep,
    caller: Reader,
    prompt: PromptName,
    version: Annotated[str, Path(description="Number or id of the version, or the beginning of its hash.")],
) -> PromptVersion:
    """One version with its text."""
    async with state.database.read() as session:
        row = await prompts.get(session, caller.project, prompt)
        return presenting.version(row.name, await prompts.version(session, row, version))


@router.get("/{prompt}/diff")
async def diff_prompt(
    state: StateDep, caller: Reader, prompt: PromptName, query: Annotated[PromptDiffQuery, Query()]
) -> PromptDiff:
    """What changed from one version to another, line by line."""
    async with state.database.read() as session:
        row = await prompts.get(session, caller.project, prompt)
        before = await prompts.version(session, row, query.before)
        after = await _named_or_newest(session, row, query.after)
    old, new = presenting.version_summary(row.name, before), presenting.version_summary(row.name, after)
    lines = difflib.unified_diff(
        before.text.splitlines(), after.text.splitlines(), old.label, new.label, lineterm="", n=3
    )
    return PromptDiff(before=old, after=new, diff="\n".join(lines))


@router.post("/{prompt}/tests")
async def set_prompt_tests(state: StateDep, caller: Writer, prompt: PromptName, request: PromptTestsUpdate) -> Prompt:
    """Put test cases in place of those that a prompt has. A version must pass them before it goes live."""
    async with state.database.write() as session:
        row = await prompts.get(session, caller.project, prompt)
        await prompts.set_tests(session, row, [test.model_dump(mode="json") for test in request.tests])
        return (await _shown(session, Place(caller.project), [row]))[0]


@router.post("/{prompt}/trial")
async def try_prompt(
    state: StateDep, caller: Writer, prompt: PromptName, request: PromptTrialRequest = _NEWEST
) -> PromptTestReport:
    """Run the test cases of a prompt on one of its versions. Nothing changes."""
    async with state.database.read() as session:
        row = await prompts.get(session, caller.project, prompt)
        version = await _named_or_newest(session, row, request.version)
    return await prompting.tried(state, row, version)


async def _named_or_newest(
    session: AsyncSession, row: prompt_tables.Prompt, which: str | None
) -> prompt_tables.PromptText:
    if which is not None:
        return await prompts.version(session, row, which)
    return (await prompts.newest(session, [row.id]))[row.id]


async def _shown(session: AsyncSession, place: Place, rows: Sequence[prompt_tables.Prompt]) -> list[Prompt]:
    newest = await prompts.newest(session, [row.id for row in rows])
    live = await prompting.in_force(session, place)
    shown = []
    for row in rows:
        version = live.get(row.name)
        there = await prompts.version(session, row, version.hash) if version else None
        shown.append(presenting.prompt(row, newest[row.id], there))
    return shown
