"""Which version of a prompt is in force where: set, rolled back, written down. Each is one transaction.

A store that has none of its own follows its project; a project that has none follows what ships with the platform.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import prompts
from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.prompt_tables import ChangeKind, Prompt, PromptChange, PromptText
from indexes.errors import Conflict, NotFound
from indexes.ids import Kind, new_id


async def current(session: AsyncSession, prompt: Prompt, store_id: str | None) -> PromptChange | None:
    """The change that says what is in force in a store, or in the project; None where nothing was ever set there."""
    query = select(PromptChange).where(*_of(prompt, store_id)).order_by(PromptChange.seq.desc())
    return await session.scalar(query.limit(1))


async def get(session: AsyncSession, prompt: Prompt, change_id: str) -> PromptChange:
    """A change of a prompt. Raises NotFound."""
    query = select(PromptChange).where(PromptChange.prompt_id == prompt.id, PromptChange.id == change_id)
    row = await session.scalar(query)
    if row is None:
        raise NotFound(f"The prompt '{prompt.name}' has no change '{change_id}'.")
    return row


async def put(
    session: AsyncSession,
    prompt: Prompt,
    store_id: str | None,
    version: PromptText,
    because: Because,
    *,
    report: Mapping[str, Any],
    forced: bool = False,
) -> PromptChange:
    """Put a version in force. Where it is so already nothing changes."""
    await prompts.alone(session, prompt)
    now = await current(session, prompt, store_id)
    if now is not None and now.version_id == version.id:
        return now
    row = _change(prompt, store_id, ChangeKind.LIVE, because)
    row.version_id, row.before_id = version.id, now.id if now else None
    row.forced, row.report = forced, dict(report)
    session.add(row)
    await session.flush()
    return row


async def rollback(session: AsyncSession, prompt: Prompt, store_id: str | None, because: Because) -> PromptChange:
    """Put in force what was so before; before the first version, nothing of the place's own.

    Raises Conflict where nothing is left to go back to.
    """
    await prompts.alone(session, prompt)
    now = await current(session, prompt, store_id)
    if now is None or (now.version_id is None and now.before_id is None):
        raise Conflict(
            f"No version of the prompt '{prompt.name}' was set here before: there is nothing to go back to.",
            code="nothing_to_roll_back",
        )
    before = None if now.before_id is None else await get(session, prompt, now.before_id)
    row = _change(prompt, store_id, ChangeKind.ROLLED_BACK, because)
    if before is not None:
        row.version_id, row.before_id = before.version_id, before.before_id
    session.add(row)
    await session.flush()
    return row


async def history(session: AsyncSession, prompt: Prompt, store_id: str | None, cursor: Cursor) -> Page[PromptChange]:
    """A page of what was put in force in a store, or in the project."""
    query = select(PromptChange).where(*_of(prompt, store_id))
    return await page(session, query, PromptChange.seq, PromptChange.id, cursor)


async def in_force(session: AsyncSession, project: str, store_id: str | None) -> dict[str, PromptText]:
    """The versions that answer in a store, by the names of their prompts; of those that nobody set, none."""
    place = or_(PromptChange.store_id.is_(None), PromptChange.store_id == store_id)
    newest = (
        select(func.max(PromptChange.seq))
        .join(Prompt, Prompt.id == PromptChange.prompt_id)
        .where(Prompt.project == project, place)
        .group_by(PromptChange.prompt_id, PromptChange.store_id)
    )
    query = (
        select(Prompt.name, PromptChange.store_id, PromptText)
        .join(PromptChange, PromptChange.prompt_id == Prompt.id)
        .join(PromptText, PromptText.id == PromptChange.version_id)
        .where(PromptChange.seq.in_(newest))
    )
    rows = [(name, store, text) for name, store, text in await session.execute(query)]
    rows.sort(key=lambda row: row[1] is not None)  # a store's own comes last, and stays
    return {name: text for name, _, text in rows}


async def texts(session: AsyncSession, version_ids: set[str]) -> dict[str, PromptText]:
    """Versions by id."""
    return {row.id: row for row in await session.scalars(select(PromptText).where(PromptText.id.in_(version_ids)))}


def _change(prompt: Prompt, store_id: str | None, kind: ChangeKind, because: Because) -> PromptChange:
    return PromptChange(
        id=new_id(Kind.PROMPT_CHANGE),
        prompt_id=prompt.id,
        store_id=store_id,
        kind=kind,
        actor=because.actor,
        reason=because.reason,
    )


def _of(prompt: Prompt, store_id: str | None) -> tuple[ColumnElement[bool], ...]:
    place = PromptChange.store_id.is_(None) if store_id is None else PromptChange.store_id == store_id
    return PromptChange.prompt_id == prompt.id, place
