"""Prompts of a project: a name, its numbered texts, which never change, and its test cases."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.history import Because
from indexes.catalog.pages import Cursor, Page, page
from indexes.catalog.prompt_tables import Prompt, PromptText
from indexes.errors import InvalidRequest, NotFound
from indexes.ids import Kind, new_id

_HASH = re.compile(r"[0-9a-f]{8,64}")


async def put(session: AsyncSession, project: str, name: str, text: str, because: Because) -> PromptText:
    """Keep a text as the next version of its name. A text that the name has already makes no new version."""
    prompt = await _named(session, project, name) or await _make(session, project, name)
    await alone(session, prompt)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    known = await session.scalar(
        select(PromptText).where(PromptText.prompt_id == prompt.id, PromptText.sha256 == sha256)
    )
    if known is not None:
        return known
    last = await session.scalar(select(func.max(PromptText.number)).where(PromptText.prompt_id == prompt.id))
    row = PromptText(
        id=new_id(Kind.PROMPT_VERSION),
        prompt_id=prompt.id,
        number=(last or 0) + 1,
        sha256=sha256,
        text=text,
        actor=because.actor,
        reason=because.reason,
    )
    session.add(row)
    await session.flush()
    return row


async def has(session: AsyncSession, project: str, hashes: Mapping[str, str]) -> bool:
    """Whether the project has these texts: names with SHA-256."""
    query = select(Prompt.name, PromptText.sha256).join(PromptText, PromptText.prompt_id == Prompt.id)
    query = query.where(Prompt.project == project, PromptText.sha256.in_(hashes.values()))
    return set(hashes.items()) <= {(name, sha256) for name, sha256 in await session.execute(query)}


async def get(session: AsyncSession, project: str, name: str) -> Prompt:
    """A prompt by its name or id. Raises NotFound, also for another project's."""
    row = await _named(session, project, name)
    if row is None:
        raise NotFound(f"There is no prompt '{name}'. List yours with GET /v1/prompts.", param="prompt")
    return row


async def listing(session: AsyncSession, project: str, cursor: Cursor) -> Page[Prompt]:
    """A page of a project's prompts."""
    return await page(session, select(Prompt).where(Prompt.project == project), Prompt.seq, Prompt.id, cursor)


async def newest(session: AsyncSession, prompt_ids: Sequence[str]) -> dict[str, PromptText]:
    """The newest version of each prompt, by its id."""
    last = select(func.max(PromptText.seq)).where(PromptText.prompt_id.in_(prompt_ids)).group_by(PromptText.prompt_id)
    rows = await session.scalars(select(PromptText).where(PromptText.seq.in_(last)))
    return {row.prompt_id: row for row in rows}


async def versions(session: AsyncSession, prompt: Prompt, cursor: Cursor) -> Page[PromptText]:
    """A page of the versions of a prompt."""
    query = select(PromptText).where(PromptText.prompt_id == prompt.id)
    return await page(session, query, PromptText.seq, PromptText.id, cursor)


async def version(session: AsyncSession, prompt: Prompt, which: str) -> PromptText:
    """A version by its number, its id, or at least 8 digits of its hash. Raises NotFound."""
    query = select(PromptText).where(PromptText.prompt_id == prompt.id)
    by_number = query.where(PromptText.number == int(which)) if which.isdecimal() and len(which) < 8 else None
    by_hash = query.where(PromptText.sha256.startswith(which)) if _HASH.fullmatch(which) else None
    for one in (by_number, by_hash, query.where(PromptText.id == which)):
        row = None if one is None else await session.scalar(one.order_by(PromptText.seq.desc()).limit(1))
        if row is not None:
            return row
    raise NotFound(
        f"The prompt '{prompt.name}' has no version '{which}'. Name one by its number, its id or the beginning of its "
        "hash.",
        param="version",
    )


async def set_tests(session: AsyncSession, prompt: Prompt, tests: Sequence[Mapping[str, Any]]) -> None:
    """Put the test cases of a prompt in place of those it had. Raises InvalidRequest where two have one name."""
    names = [test["name"] for test in tests]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidRequest(f"Two test cases have the name '{twice[0]}'. Give each its own.", param="tests")
    await alone(session, prompt)
    prompt.tests = [dict(test) for test in tests]


async def alone(session: AsyncSession, prompt: Prompt) -> None:
    """From here to the end of this transaction nobody else changes the prompt, or what of it is in force."""
    await session.execute(select(Prompt.seq).where(Prompt.id == prompt.id).with_for_update())


async def _named(session: AsyncSession, project: str, name: str) -> Prompt | None:
    query = select(Prompt).where(Prompt.project == project, (Prompt.name == name) | (Prompt.id == name))
    return await session.scalar(query)


async def _make(session: AsyncSession, project: str, name: str) -> Prompt:
    """The prompt of that name, made by us or by who came first."""
    row = Prompt(id=new_id(Kind.PROMPT), project=project, name=name)
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return await get(session, project, name)
    return row
