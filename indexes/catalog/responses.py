"""Stored answers, and the traces of how each was made."""

import time
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.answer_tables import ResponseSource, StoredResponse, Trace
from indexes.catalog.tables import Revision, RevisionState
from indexes.errors import NotFound

Made = Select[str]
"""A query for the ids of stored answers."""


async def store(
    session: AsyncSession, project: str, body: dict[str, Any], given: list[Any], sources: Collection[str]
) -> None:
    """Keep an answer with the input it was given and the revisions it was made from.

    Where one of them was deleted while the answer was being made, it is kept without its text (I4).
    """
    row = StoredResponse(id=body["id"], project=project, body=body, input=given)
    # The lock lets a delete of these revisions wait, so that it finds this answer when it looks for those to redact.
    alive = select(Revision.id).where(Revision.id.in_(sources), Revision.state != RevisionState.DELETED)
    if len(list(await session.scalars(alive.with_for_update(read=True)))) < len(set(sources)):
        _redact(row)
    session.add(row)
    await session.flush()
    session.add_all(ResponseSource(response_id=row.id, revision_id=source) for source in set(sources))


async def alive(session: AsyncSession, revision_ids: Collection[str]) -> bool:
    """Whether none of these revisions was deleted."""
    there = select(func.count()).where(Revision.id.in_(revision_ids), Revision.state != RevisionState.DELETED)
    return await session.scalar(there) == len(set(revision_ids))


async def sources(session: AsyncSession, response_id: str) -> set[str]:
    """The revisions that a stored answer was made from."""
    query = select(ResponseSource.revision_id).where(ResponseSource.response_id == response_id)
    return set(await session.scalars(query))


async def trace(session: AsyncSession, project: str, trace_id: str, body: dict[str, Any]) -> None:
    """Keep what made an answer."""
    session.add(Trace(id=trace_id, project=project, body=body))


async def traced(session: AsyncSession, project: str, trace_id: str) -> dict[str, Any]:
    """What made an answer. Raises NotFound, also for another project's."""
    row = await session.scalar(select(Trace).where(Trace.id == trace_id, Trace.project == project))
    if row is None:
        raise NotFound(f"There is no trace '{trace_id}'.", param="trace_id")
    return row.body


async def states(session: AsyncSession, revision_ids: Collection[str]) -> dict[str, RevisionState]:
    """What became of revisions; those that are gone are left out."""
    query = select(Revision.id, Revision.state).where(Revision.id.in_(revision_ids))
    return {row.id: row.state for row in await session.execute(query)}


async def get(session: AsyncSession, project: str, response_id: str) -> StoredResponse:
    """A stored answer. Raises NotFound, also for another project's."""
    row = await session.scalar(
        select(StoredResponse).where(StoredResponse.id == response_id, StoredResponse.project == project)
    )
    if row is None:
        raise NotFound(
            f"There is no response '{response_id}'. Only responses made with store=true are kept.", param="response_id"
        )
    return row


async def remove(session: AsyncSession, response_id: str) -> None:
    """Forget an answer."""
    await session.execute(delete(StoredResponse).where(StoredResponse.id == response_id))


def of_revision(revision_id: str) -> Made:
    """The answers that were made from a revision."""
    return select(ResponseSource.response_id).where(ResponseSource.revision_id == revision_id)


def of_store(store_id: str) -> Made:
    """The answers that were made from any revision of a store."""
    sources = select(ResponseSource.response_id).join(Revision, Revision.id == ResponseSource.revision_id)
    return sources.where(Revision.store_id == store_id)


async def redact(session: AsyncSession, made: Made) -> int:
    """Take the text out of stored answers whose revision is being deleted (I4); how many held any."""
    rows = list(await session.scalars(select(StoredResponse).where(_holds_text(made))))
    for row in rows:
        _redact(row)
    return len(rows)


async def unredacted(session: AsyncSession, made: Made) -> int:
    """How many of these answers still hold text."""
    return await session.scalar(select(func.count()).select_from(StoredResponse).where(_holds_text(made))) or 0


def _holds_text(made: Made) -> ColumnElement[bool]:
    return StoredResponse.id.in_(made) & StoredResponse.redacted_at.is_(None)


def _redact(row: StoredResponse) -> None:
    gone: dict[str, Any] = {"sentences": [], "search_query": None}  # a model makes queries of earlier answers, too
    row.body = {**row.body, "output": [_redacted(item) for item in row.body["output"]], **gone}
    row.redacted_at = time.time()


def _redacted(item: dict[str, Any]) -> dict[str, Any]:
    if item["type"] != "message":
        return {**item, "queries": [], "results": None}
    text = "This answer was removed because a document it was made from has been deleted."
    return {**item, "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}
