"""Stored answers, and the traces of how each was made."""

import time
from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog.tables import ResponseSource, StoredResponse, Trace
from indexes.errors import NotFound


async def store(
    session: AsyncSession, project: str, body: dict[str, Any], given: list[Any], sources: Collection[str]
) -> None:
    """Keep an answer with the input it was given and the revisions it was made from."""
    session.add(StoredResponse(id=body["id"], project=project, body=body, input=given))
    await session.flush()
    session.add_all(ResponseSource(response_id=body["id"], revision_id=source) for source in set(sources))


async def trace(session: AsyncSession, project: str, trace_id: str, body: dict[str, Any]) -> None:
    """Keep what made an answer."""
    session.add(Trace(id=trace_id, project=project, body=body))


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


async def redact(session: AsyncSession, revision_id: str) -> None:
    """Take the text out of every stored answer that was made from a revision which is being deleted (I4)."""
    made_from = select(ResponseSource.response_id).where(ResponseSource.revision_id == revision_id)
    for row in await session.scalars(select(StoredResponse).where(StoredResponse.id.in_(made_from))):
        row.body = {**row.body, "output": [_redacted(item) for item in row.body["output"]], "sentences": []}
        row.redacted_at = time.time()


def _redacted(item: dict[str, Any]) -> dict[str, Any]:
    if item["type"] != "message":
        return {**item, "results": None}
    text = "This answer was removed because a document it was made from has been deleted."
    return {**item, "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}
